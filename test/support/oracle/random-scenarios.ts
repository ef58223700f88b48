/** Scenarios in which every rule of the packet path has something to decide, with all times far from every edge. */
import type { Random } from './random.ts';
import { OWN4, OWN4_SECOND, OWN6, PEER, TRAP_MARK, TRAP_PORT } from './real-sockets.ts';
import type { Probe, Scenario, Settings, ShunKind, TrackerEntry } from './scenario.ts';

/** A sequence that took longer is played again: nothing here is nearer than this to an edge. */
export const LONGEST_SEQUENCE_NS = 400_000_000n;
/** The machine must be up for this long, or times before the start would lie before its boot. */
export const OLDEST_NS = 45_000_000_000n;

export const SOURCES4 = ['203.0.113.7', '203.0.113.8', '203.0.114.9', '198.51.100.77', '10.0.0.1', PEER] as const;
export const SOURCES6 = ['2001:db8:bad:1::7', '2001:db8:bad:1::8', '2001:db8:bad:2::1', 'fe80::9'] as const;
export const SOURCES = [...SOURCES4, ...SOURCES6] as const;
export const DESTINATIONS = [OWN4, OWN4, OWN4_SECOND, OWN6] as const;
/** At most 14 ports: 28 slots of a tracker and two of QUIET_PORTS, so that which slot is the oldest never hangs on a tick of the clock. */
export const PORTS = [22, 23, 53, 80, 113, 137, 443, 2222, 3306, 5000, 7000, 9999, 33_000, 61_000] as const;

const SECOND = 1_000_000_000n;
const ms = (value: number): bigint => BigInt(value) * 1_000_000n;
const LATER = 600n * SECOND;
const OVER = -10n * SECOND;
const PROBES: readonly Probe[] = ['syn', 'flag', 'malformed', 'udp'];

export function randomSettings(random: Random): Settings {
  const rate = (): number => random.pick([0, 1, 3, 8, 50, 1_000]);
  return {
    mode: random.pick(['enforce', 'enforce', 'enforce', 'lockdown', 'observe']),
    pausedUntilNs: random.chance(0.1) ? LATER : random.chance(0.3) ? OVER : null,
    fastPorts: random.pick([1, 2, 3, 3, 5, 8, 32]),
    fastWindowNs: random.pick([2n, 6n]) * SECOND,
    slowPorts: random.pick([2, 4, 6, 10, 25, 32]),
    slowWindowNs: random.pick([12n, 24n, 86_400n]) * SECOND,
    shunTtlNs: random.pick([60n, 300n]) * SECOND,
    shunTtlMaxNs: random.pick([300n, 600n]) * SECOND,
    provenTtlNs: random.pick([10n, 3_600n]) * SECOND,
    flowTtlNs: random.pick([10n, 120n]) * SECOND,
    graceNs: random.pick([0n, 10n, 86_400n]) * SECOND,
    synPerSecond: rate(),
    udpPerSecond: rate(),
    echoPerSecond: rate(),
    openUdpPerSecond: random.chance(0.5) ? 0 : rate(),
    newSourcesPerSecond: 1_000_000,
    eventsPerSecond: 1_000_000,
    trapPort: random.pick([0, TRAP_PORT, TRAP_PORT, 80]),
    trapUdpPort: random.pick([0, TRAP_PORT, TRAP_PORT, TRAP_PORT, 53]),
    trapMark: random.pick([TRAP_MARK, TRAP_MARK, TRAP_MARK, TRAP_MARK, 0, 7]),
    heartbeatTtlNs: 3n * SECOND,
    ephemeralLow: 32_768,
    ephemeralHigh: random.pick([60_999, 61_000, 65_535]),
    hasBan6x: random.chance(0.8),
    hasPrefix6: random.chance(0.8),
    hasWatch: random.chance(0.8),
    hasBanHint: random.chance(0.8),
  };
}

export function randomScenario(random: Random): Scenario {
  const everyPort = PORTS.flatMap(port => [{ transport: 'tcp', port } as const, { transport: 'udp', port } as const]);
  const expires = (): bigint | null => random.pick([null, LATER, OVER]);
  const share = random.pick([0, 0.1, 0.3]); // of the sources that a table knows
  const targets = [...SOURCES, '2001:db8:bad:1::/64', '2001:db8:bad:2::/64'];
  const rules = [
    ...['203.0.113.7/32', '203.0.113.0/28', '203.0.112.0/22', '203.0.0.0/16', '200.0.0.0/5', '0.0.0.0/0'],
    ...['2001:db8:bad:1::7/128', '2001:db8:bad:1::/64', '2001:db8:bad::/48', '2001:db8::/32', '::/0'],
  ];
  const chosenRules = random
    .some(rules, random.pick([0, 0, 0.1, 0.3]))
    .map(prefix => ({ prefix, action: random.pick(['allow', 'deny'] as const), expiresNs: expires() }));
  const kinds = (): readonly ShunKind[] => random.pick<readonly ShunKind[]>([['tcp'], ['udp'], ['echo'], ['tcp', 'udp', 'echo']]);
  return {
    settings: randomSettings(random),
    bans: random
      .some(targets, random.pick([0, 0.1, 0.3]))
      .map(target => ({ target, expiresNs: expires(), drops: random.pick([0n, 5n]), confined: random.chance(0.5) })),
    rules: chosenRules,
    ...(random.chance(0.1) ? { hints: random.some([0xcb00, 0x0a00, 0xc633], 0.5) } : {}),
    own: random.chance(0.05) ? [] : random.chance(0.8) ? [OWN4, OWN4_SECOND, OWN6] : [OWN4, OWN6],
    served: random
      .some(everyPort, random.pick([0, 0.1, 0.3]))
      .map(entry => ({ ...entry, atNs: random.pick(['always', ms(-300), ms(-3_000), ms(-30_000)] as const) })),
    trackers: [true, false].flatMap(watched => oneEach(random.some([...SOURCES], share)).map(source => randomTracker(random, source, watched))),
    shuns: oneEach(random.some([...SOURCES], share)).map(source => ({
      source,
      kinds: kinds(),
      expiresNs: random.pick([LATER, OVER]),
      repeats: random.below(4),
      reasons: random.some(['syn-scan', 'udp-scan', 'flood', 'malformed'] as const, 0.4),
    })),
    proven: oneEach(random.some([...SOURCES], share)).map(source => ({ source, atNs: random.pick([ms(-1_000), ms(-30_000)]) })),
    flowsOut: random.some([...SOURCES], 0.3).flatMap(remote => [
      { protocol: 'tcp' as const, remote, remotePort: 0, localPort: 0, atNs: random.pick([ms(-1_000), ms(-30_000)]) },
      { protocol: 'tcp' as const, remote, remotePort: 40_000, localPort: 9999, atNs: ms(-30_000) }, // forwarded
      { protocol: 'udp' as const, remote, remotePort: 53, localPort: random.pick(PORTS), atNs: random.pick([ms(-1_000), ms(-30_000)]) },
    ]),
    trapPorts: random.some(everyPort, random.pick([0.3, 0.7, 1])),
    heartbeatNs: random.pick([ms(-1_000), ms(-1_000), ms(-1_000), ms(-30_000), null]),
  };
}

/** Tables by source key hold a /64 once. */
function oneEach(sources: readonly string[]): string[] {
  const network = (source: string): string => (source.includes('.') ? source : source.split(':').slice(0, 4).join(':'));
  return sources.filter((source, at) => sources.findIndex(other => network(other) === network(source)) === at);
}

function randomTracker(random: Random, source: string, watched: boolean): TrackerEntry {
  const count = random.pick([0, 1, 2, 5, 31, 32]);
  // 0.5 to 1.2 s, 3 to 5 s, 8 to 11 s, 15 to 20 s, 30 to 40 s ago: between all windows of randomSettings. 20 ms apart in a tracker.
  const ages = Array.from({ length: count }, (_, at) => random.pick([500, 3_000, 8_000, 15_000, 30_000]) + at * 20);
  return {
    source,
    watched,
    slots: ages.map((age, at) => ({
      port: random.chance(0.1) && at < PORTS.length ? (PORTS[at] ?? 1) : 10_000 + at,
      probe: random.pick(PROBES),
      atNs: ms(-age),
    })),
    windows: Object.fromEntries(
      random
        .some(['syn', 'udp-closed', 'udp-open', 'echo'], 0.4)
        .map(name => [name, random.chance(0.5) ? { startNs: ms(-100), count: random.pick([1, 3, 8, 50]) } : { startNs: ms(-5_000), count: 5_000 }]),
    ),
  };
}
