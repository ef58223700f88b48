/** Plays frames through the kernel's program and the oracle, frame by frame; what differs is shrunk before it is shown. */
import { toHex } from '../frames/frames.ts';
import { wide } from './addresses.ts';
import { eventText, type KernelSide, type SeenVerdict } from './kernel-side.ts';
import { shunText, slotText } from './kernel-state.ts';
import { createOracle, type Judgement, type Oracle } from './oracle.ts';
import { LONGEST_SEQUENCE_NS } from './random-scenarios.ts';
import type { Scenario, Sockets } from './scenario.ts';
import { printed, summarise } from './summary.ts';

/** What the oracle is told; a flaw changes it on purpose, to see that the comparison notices. */
export interface Flaw {
  readonly scenario?: (scenario: Scenario) => Scenario;
  readonly judgement?: (judgement: Judgement, frame: Uint8Array) => Judgement;
}

export interface Difference {
  /** `verdict`, `events`, `shuns`, `trackers`. */
  readonly what: string;
  /** Index of the frame, or of the last one. */
  readonly at: number;
  readonly oracle: string;
  readonly kernel: string;
}

export interface Contest {
  readonly kernel: KernelSide;
  readonly sockets: Sockets;
  readonly flaw?: Flaw;
}

export type OnVerdict = (verdict: string) => void;

/** The first difference of a sequence, or undefined. A sequence that a busy machine stretched over an edge in time is played again. */
export function compare(contest: Contest, scenario: Scenario, frames: readonly Uint8Array[], onVerdict: OnVerdict = () => {}): Difference | undefined {
  for (let attempt = 0; attempt < 10; attempt++) {
    const seen: string[] = [];
    const startedNs = process.hrtime.bigint();
    const difference = playOnce(contest, scenario, frames, verdict => seen.push(verdict));
    if (process.hrtime.bigint() - startedNs > LONGEST_SEQUENCE_NS) continue;
    for (const verdict of seen) onVerdict(verdict);
    return difference;
  }
  throw new Error(`${frames.length} frames took longer than ${LONGEST_SEQUENCE_NS / 1_000_000n} ms ten times: this machine is too busy to compare anything`);
}

function playOnce({ kernel, sockets, flaw }: Contest, scenario: Scenario, frames: readonly Uint8Array[], onVerdict: OnVerdict): Difference | undefined {
  const startNs = kernel.play(scenario);
  const oracle = createOracle(flaw?.scenario?.(scenario) ?? scenario, startNs, sockets);
  const expectedEvents: string[] = [];
  for (const [at, frame] of frames.entries()) {
    const right = oracle.judge(frame, startNs);
    const told = flaw?.judgement?.(right, frame) ?? right;
    const { verdict, bank, dropped } = told;
    const seen = kernel.judge(frame, { verdict, bank, dropped });
    if (seen.verdict !== verdict || seen.bank !== bank || seen.dropped !== dropped) {
      return { what: 'verdict', at, oracle: verdictText({ verdict, bank, dropped }), kernel: verdictText(seen) };
    }
    onVerdict(verdict);
    expectedEvents.push(...told.events.map(event => eventText({ ...event, sourceHex: wide(event.source), verdict })));
  }
  return compareAfterwards(kernel, oracle, startNs, expectedEvents, frames.length - 1);
}

const verdictText = ({ verdict, bank, dropped }: SeenVerdict): string => `${verdict} (${bank}), ${dropped ? 'dropped' : 'passed'}`;

function compareAfterwards(kernel: KernelSide, oracle: Oracle, startNs: bigint, expectedEvents: readonly string[], at: number): Difference | undefined {
  const differ = (what: string, ours: readonly string[], theirs: readonly string[]): Difference | undefined => {
    const [oracleOnly, kernelOnly] = [without(ours, theirs), without(theirs, ours)];
    return oracleOnly.length + kernelOnly.length === 0 ? undefined : { what, at, oracle: oracleOnly.join('; ') || '-', kernel: kernelOnly.join('; ') || '-' };
  };
  const remains = kernel.remains();
  const shuns = [...oracle.model.shuns].map(
    ([key, { kinds, reasons, repeats, expiresNs }]) => `${key.toString(16)}: ${shunText([...kinds], [...reasons], repeats, expiresNs - startNs)}`,
  );
  const inside = (slot: { atNs: bigint } | undefined): boolean => slot !== undefined && startNs - slot.atNs < oracle.model.settings.slowWindowNs;
  const trackers = [['trackers', oracle.model.trackers] as const, ['watch', oracle.model.watch] as const].flatMap(([map, entries]) =>
    [...entries].map(([key, { slots }]) => {
      const ports = slots.flatMap(slot => (slot && inside(slot) ? [slotText(slot.port, slot.probe)] : []));
      return `${map} ${key.toString(16)}: ${ports.sort()}`;
    }),
  );
  return (
    differ('events', expectedEvents, kernel.events()) ??
    differ(
      'shuns',
      shuns,
      [...remains.shuns].map(([key, text]) => `${key}: ${text}`),
    ) ??
    differ(
      'trackers',
      trackers,
      [...remains.trackers].map(([key, ports]) => `${key}: ${ports}`),
    )
  );
}

/** What is in `these` more often than in `those`. */
function without(these: readonly string[], those: readonly string[]): string[] {
  const left = [...those];
  return these.filter(entry => {
    const at = left.indexOf(entry);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

const TABLES = ['bans', 'rules', 'own', 'served', 'trackers', 'shuns', 'proven', 'flowsOut'] as const;
const MOST_TRIES = 400;

/** The same kind of difference with as few frames, entries and bytes as a bounded search finds, as text. */
export function report(contest: Contest, scenario: Scenario, frames: readonly Uint8Array[], found: Difference): string {
  let tries = 0;
  let small = { scenario, frames: frames.slice(0, found.at + 1), difference: found };
  const attempt = (next: { scenario: Scenario; frames: readonly Uint8Array[] }): boolean => {
    if (tries++ >= MOST_TRIES) return false;
    const difference = compare(contest, next.scenario, next.frames);
    if (difference?.what !== found.what) return false;
    small = { ...next, frames: next.frames.slice(0, difference.at + 1), difference };
    return true;
  };
  for (let size = small.frames.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at < small.frames.length; ) {
      const fewer = small.frames.filter((_, index) => index < at || index >= at + size);
      if (!attempt({ scenario: small.scenario, frames: fewer })) at += size;
    }
  }
  for (const table of TABLES) {
    for (let at = 0; at < small.scenario[table].length; ) {
      const fewer = { ...small.scenario, [table]: small.scenario[table].filter((_, index) => index !== at) };
      if (!attempt({ scenario: fewer, frames: small.frames })) at++;
    }
  }
  const { difference } = small;
  const lines = small.frames.map((frame, at) => `  ${at}: ${summarise(frame)}\n     ${toHex(frame)}`);
  return [
    `${difference.what} differ${difference.what === 'verdict' ? `s at frame ${difference.at}` : ''}`,
    `  oracle: ${difference.oracle}`,
    `  kernel: ${difference.kernel}`,
    `scenario: ${printed(small.scenario)}`,
    'frames:',
    ...lines,
  ].join('\n');
}
