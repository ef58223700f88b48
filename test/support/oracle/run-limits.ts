/** What is random or per CPU, so that no oracle can know it exactly: the flood guard, a full map of shuns, the events' budget. One line of JSON. */
import { syn } from '../frames/frames.ts';
import { setUpNamespace } from './in-namespace.ts';
import { createKernelSide, type KernelSide, SHUN_ROOM } from './kernel-side.ts';
import { emptyScenario, type Scenario, type Settings, usualSettings } from './scenario.ts';

export interface LimitOutcome {
  readonly verdicts: readonly string[];
  /** Events by kind. */
  readonly events: Readonly<Record<string, number>>;
  readonly counters: Readonly<Record<'shunFull' | 'eventsLimited' | 'newSources' | 'guarded', number>>;
}
export type LimitsOutcome = Readonly<Record<'guard' | 'fullShuns' | 'touchBudget' | 'scanBudget', LimitOutcome>>;

const OWN = '198.51.100.1';
const SWIFT_MS = 900;
const TRIES = 8;
const scenarioOf = (settings: Partial<Settings>, more: Partial<Scenario> = {}): Scenario => ({
  ...emptyScenario,
  own: [OWN],
  ...more,
  settings: { ...usualSettings, ...settings },
});
/** A SYN to a closed port from each of `count` sources. */
const sources = (count: number): Uint8Array[] => Array.from({ length: count }, (_, at) => syn(`10.1.${at >> 8}.${at & 255}`, OWN, 22));

function play(kernel: KernelSide, scenario: Scenario, frames: readonly Uint8Array[]): LimitOutcome {
  const counters = () => ({ shunFull: kernel.counter(0), eventsLimited: kernel.counter(1), newSources: kernel.counter(3), guarded: kernel.counter(4) });
  kernel.play(scenario);
  const before = counters();
  const verdicts = frames.map(frame => kernel.judge(frame, { verdict: 'drop-scan', bank: 'enforced', dropped: true }).verdict);
  const after = counters();
  const events: Record<string, number> = {};
  for (const event of kernel.events()) {
    const kind = event.split(' ')[0] ?? '';
    events[kind] = (events[kind] ?? 0) + 1;
  }
  const since = (name: keyof typeof before): number => Number(after[name] - before[name]);
  return {
    verdicts,
    events,
    counters: { shunFull: since('shunFull'), eventsLimited: since('eventsLimited'), newSources: since('newSources'), guarded: since('guarded') },
  };
}

/** Limits are by the second: all over again where the machine was too busy to play it within one. */
function playSwiftly(kernel: KernelSide, scenario: Scenario, frames: readonly Uint8Array[]): LimitOutcome {
  for (let tries = 1; ; tries++) {
    const started = performance.now();
    const outcome = play(kernel, scenario, frames);
    if (performance.now() - started < SWIFT_MS || tries === TRIES) return outcome;
  }
}

setUpNamespace();
const kernel = createKernelSide([]);
const known = { source: '10.9.9.9', watched: false, slots: [{ port: 80, probe: 'syn', atNs: -500_000_000n }] } as const;
const outcome: LimitsOutcome = {
  // The shuns' map is smaller than the number of sources that cross: thresholds of two, which only the known source reaches.
  guard: playSwiftly(kernel, scenarioOf({ newSourcesPerSecond: 100, fastPorts: 2 }, { trackers: [known] }), [...sources(4_000), syn(known.source, OWN, 22)]),
  fullShuns: playSwiftly(kernel, scenarioOf({ fastPorts: 1 }), sources(SHUN_ROOM + 88)),
  touchBudget: playSwiftly(kernel, scenarioOf({ eventsPerSecond: 40, fastPorts: 32 }), sources(500)),
  scanBudget: playSwiftly(kernel, scenarioOf({ eventsPerSecond: 40, fastPorts: 1 }), sources(500)),
};
kernel.close();
console.log(JSON.stringify(outcome));
