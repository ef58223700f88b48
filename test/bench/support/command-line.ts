/** The command line that all benches share: `npm run bench:NAME [-- --json FILE] [--rounds N]`; of a bench with parts also `--only PART`, of one with peers to set up `--setup-peers`, of a long one `--quick`. */
import { parseArgs } from 'node:util';
import { ROUNDS_AT_LEAST } from './rounds.ts';

export interface BenchCommandLine<Part extends string = string> {
  readonly jsonPath: string | null;
  readonly rounds: number;
  /** The parts that were asked for: all, where none was named. */
  readonly parts: readonly Part[];
  readonly setUpPeers: boolean;
  /** Less of everything, while a bench is worked on: its figures are no claims. */
  readonly quick: boolean;
}

export interface BenchArguments<Part extends string> {
  /** Rounds where none are given. */
  readonly rounds?: number;
  /** What `--only` may name, once or several times. */
  readonly parts?: readonly Part[];
  /** Whether there is `--setup-peers`. */
  readonly peers?: boolean;
  /** Whether there is `--quick`. */
  readonly quick?: boolean;
}

const USAGE_ERROR = 2;

/** Reads the arguments of this process; says how it is meant and ends the process with 2 where they are wrong. */
export function benchCommandLine<Part extends string = never>(name: string, meant: BenchArguments<Part> = {}): BenchCommandLine<Part> {
  try {
    return readBenchArguments(process.argv.slice(2), meant);
  } catch (error) {
    const more = `${meant.parts === undefined ? '' : ` [--only ${meant.parts.join('|')}]`}${meant.peers === true ? ' [--setup-peers]' : ''}${meant.quick === true ? ' [--quick]' : ''}`;
    console.error(`error: ${error instanceof Error ? error.message : String(error)}\nusage: npm run bench:${name} [-- --json FILE] [--rounds N]${more}`);
    process.exit(USAGE_ERROR);
  }
}

/** Throws where they are wrong. */
export function readBenchArguments<Part extends string>(
  args: readonly string[],
  { rounds: usual = ROUNDS_AT_LEAST, parts = [], peers = false, quick: mayBeQuick = false }: BenchArguments<Part>,
): BenchCommandLine<Part> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'string' },
      rounds: { type: 'string' },
      only: { type: 'string', multiple: true },
      'setup-peers': { type: 'boolean' },
      quick: { type: 'boolean' },
    },
  });
  const { json, rounds: given, only = [], 'setup-peers': setUpPeers = false, quick = false } = values;
  if (setUpPeers && !peers) throw new RangeError('this bench sets up no peers');
  if (quick && !mayBeQuick) throw new RangeError('this bench has no quick form');
  const rounds = given === undefined ? usual : Number(given);
  if (!Number.isInteger(rounds) || rounds < ROUNDS_AT_LEAST) throw new RangeError(`--rounds takes a whole number of at least ${ROUNDS_AT_LEAST}`);
  const unknown = only.find(part => !parts.some(known => known === part));
  if (unknown !== undefined) throw new RangeError(parts.length === 0 ? 'this bench has no parts' : `--only takes ${parts.join(', ')}, and not ${unknown}`);
  return { jsonPath: json ?? null, rounds, parts: only.length === 0 ? parts : parts.filter(part => only.includes(part)), setUpPeers, quick };
}
