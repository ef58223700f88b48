/** Wrong rules, one each, that the comparison must notice: a check that cannot fail shows nothing. */
import type { Flaw } from './compare.ts';
import { dissectL3 } from './dissect.ts';
import type { Judgement } from './oracle.ts';
import { TRAP_MARK } from './real-sockets.ts';
import type { Scenario, Settings } from './scenario.ts';

const set = (change: (settings: Settings) => Partial<Settings>): Flaw => ({
  scenario: (scenario: Scenario) => ({ ...scenario, settings: { ...scenario.settings, ...change(scenario.settings) } }),
});
const where = (is: (judgement: Judgement, frame: Uint8Array) => boolean, change: Partial<Judgement>): Flaw => ({
  judgement: (judgement, frame) => (is(judgement, frame) ? { ...judgement, ...change } : judgement),
});

export const FLAWS: Readonly<Record<string, Flaw>> = {
  'one port more until a scan': set(({ fastPorts }) => ({ fastPorts: fastPorts + 1 })),
  'one packet more until a flood': set(({ synPerSecond }) => ({ synPerSecond: synPerSecond + (synPerSecond > 0 ? 1 : 0) })),
  'a grace that never ends': set(() => ({ graceNs: 86_400_000_000_000n })),
  'the trap is a service': set(() => ({ trapPort: 0 })),
  'no look at watch': set(() => ({ hasWatch: false })),
  'a ban over ALLOW': where(({ verdict }) => verdict === 'pass-allowed', { verdict: 'drop-ban' }),
  'confined is banned': { scenario: scenario => ({ ...scenario, bans: scenario.bans.map(ban => ({ ...ban, confined: false })) }) },
  'dead traps': { scenario: scenario => ({ ...scenario, heartbeatNs: null }) },
  'a trap is known by its port, not by its mark': set(({ trapMark }) => ({ trapMark: trapMark === 0 ? 0 : TRAP_MARK })),
  'no traps over UDP': set(() => ({ trapUdpPort: 0 })),
  'no opening of a confined source is told': where(({ verdict, events }) => verdict === 'pass' && events.some(({ kind }) => kind === 'scan'), { events: [] }),
  'an expired rule falls back to a wider one': {
    scenario: scenario => ({ ...scenario, rules: scenario.rules.filter(({ expiresNs }) => expiresNs === null || expiresNs > 0n) }),
  },
  'four tags are too many': where((_, frame) => frame.length > 30 && dissectL3(frame).what !== 'not-ip' && frame[24] === 0x81, {
    verdict: 'pass-not-ip',
    dropped: false,
  }),
  'no scan is told': {
    judgement: judgement => ({ ...judgement, events: judgement.events.filter(({ kind }) => kind !== 'scan') }),
  },
  'a shun that never doubles': set(({ shunTtlNs }) => ({ shunTtlMaxNs: shunTtlNs })),
  'observe drops': where(({ bank, verdict }) => bank === 'would' && verdict.startsWith('drop-'), { dropped: true }),
};
