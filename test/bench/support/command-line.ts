/** The command line that all benches share: `npm run bench:NAME [-- --json FILE] [--rounds N]`. */
import { parseArgs } from 'node:util';
import { ROUNDS_AT_LEAST } from './rounds.ts';

export interface BenchCommandLine {
  readonly jsonPath: string | null;
  readonly rounds: number;
}

const USAGE_ERROR = 2;

/** Reads the arguments of this process; says how it is meant and ends the process with 2 where they are wrong. */
export function benchCommandLine(name: string, { rounds: usual = ROUNDS_AT_LEAST }: { readonly rounds?: number } = {}): BenchCommandLine {
  try {
    const { values } = parseArgs({ options: { json: { type: 'string' }, rounds: { type: 'string' } } });
    const rounds = values.rounds === undefined ? usual : Number(values.rounds);
    if (!Number.isInteger(rounds) || rounds < ROUNDS_AT_LEAST) throw new RangeError(`--rounds takes a whole number of at least ${ROUNDS_AT_LEAST}`);
    return { jsonPath: values.json ?? null, rounds };
  } catch (error) {
    console.error(`error: ${error instanceof Error ? error.message : String(error)}\nusage: npm run bench:${name} [-- --json FILE] [--rounds N]`);
    process.exit(USAGE_ERROR);
  }
}
