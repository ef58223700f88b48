/** ns a packet in BPF_PROG_TEST_RUN, as the kernel itself takes the time: a batch of one frame, or of one frame with its source turned. */
import { testRun } from '#enforcer/kernel/native.ts';
import { type Contestant, inTurn, type Measured } from '#test/bench/support/rounds.ts';
import { segment, syn, toShortest } from '#test/support/frames/frames.ts';
import { type ConfinedFrames, confineSomebody } from './confined.ts';
import { bannedSource, CLOSED_PORT, cleanSource, type Filter, type Filters, OWN, SENDER, SERVED_PORT, SOURCES } from './filters.ts';

const PACKETS = 500_000;
const DROP = 1;
const PASS = 2;

const FRAMES = {
  banned: { frame: toShortest(syn(bannedSource(1), OWN, CLOSED_PORT)), action: DROP },
  data: { frame: toShortest(segment(cleanSource(1), OWN, SERVED_PORT, 'A')), action: PASS },
  syn: { frame: toShortest(syn(cleanSource(1), OWN, CLOSED_PORT)), action: PASS },
} as const;

type Kind = keyof typeof FRAMES;
type Sources = 'turn' | 'one';

export type TestRunName = `${string}/${Kind}/${Sources}` | 'ours/new/turn' | `ours/confined/${Exclude<keyof ConfinedFrames, 'close'>}`;

export type TestRunFigures = Readonly<Partial<Record<string, Measured>>>;

export async function measureTestRuns(filters: Filters, rounds: number): Promise<TestRunFigures> {
  const named: readonly (readonly [string, Filter | null])[] = [
    ['floor', filters.floor],
    ['ours', filters.ours],
    ['ipOnly', filters.ipOnly],
    ['allFeatures', filters.allFeatures],
  ];
  const contestants = named.flatMap(([name, filter]): Contestant[] => {
    if (filter === null) return [];
    return (Object.keys(FRAMES) as Kind[]).flatMap(kind =>
      (['turn', 'one'] as const).map(sources => ({ name: `${name}/${kind}/${sources}`, measure: () => run(filters, filter, kind, sources, name === 'floor') })),
    );
  });
  const confined = await confineSomebody(filters, SENDER);
  const ofConfined = ([name, action]: readonly [Exclude<keyof ConfinedFrames, 'close'>, number]): Contestant => ({
    name: `ours/confined/${name}`,
    measure: () => repeated(filters.ours.programFd, confined[name], action, name),
  });
  const alone = [['trapData', PASS] as const, ['serviceData', DROP] as const, ['trapSyn', PASS] as const].map(ofConfined);
  const figures = await inTurn([...contestants, { name: 'ours/new/turn', measure: () => firstSyns(filters) }, ...alone], { rounds });
  confined.close();
  return figures;
}

function run(filters: Filters, filter: Filter, kind: Kind, sources: Sources, isFloor: boolean): number {
  const { frame, action } = FRAMES[kind];
  return repeated(sources === 'turn' ? filters.inTurn(filter) : filter.programFd, frame, isFloor ? DROP : action, kind);
}

function repeated(programFd: number, frame: Uint8Array, action: number, what: string): number {
  const ran = patiently(() => testRun(programFd, frame, { repeat: PACKETS }));
  // The last packet's verdict speaks for all: no source differs from the others. check() looks at the counters as well.
  if (ran.retval !== action) throw new Error(`a ${what} packet came to ${ran.retval}`);
  return ran.durationNs;
}

/** SYNs of 10,000 sources that the tracker does not know yet: an entry is made for each, and up to the event budget a report. */
function firstSyns(filters: Filters): number {
  const trackers = filters.tester.map('trackers');
  const keys = [...trackers.entries()].map(([key]) => Uint8Array.from(key));
  trackers.removeMany(Uint8Array.from(keys.flatMap(key => [...key])));
  const programFd = filters.inTurn(filters.ours);
  return patiently(() => testRun(programFd, FRAMES.syn.frame, { repeat: SOURCES })).durationNs;
}

/** A signal ends a test run early, with EINTR: that is no measurement, so take it again. */
export function patiently<T>(measure: () => T): T {
  for (let tries = 1; ; tries++) {
    try {
      return measure();
    } catch (error) {
      if (tries === 50 || !(error instanceof Error && error.message.includes('EINTR'))) throw error;
    }
  }
}

/** Throws where a verdict crept in that none of these packets should have met: then the figures are of something else. */
export function checkCounters({ tester }: Filters): void {
  const { enforced, counters } = tester.stats();
  const strange = Object.entries(enforced).filter(
    ([verdict, { packets }]) => packets > 0 && !['pass', 'drop-ban', 'drop-confined', 'pass-not-ip'].includes(verdict),
  );
  if (strange.length > 0 || counters.guarded > 0) throw new Error(`packets met other verdicts than those that are measured: ${JSON.stringify(strange)}`);
}
