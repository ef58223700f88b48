import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { parseConfig } from '#enforcer/config/load.ts';
import { parseInstance, pathsOf } from '#enforcer/config/paths.ts';
import { kernelConfigOf, ledgerPolicyOf, trapLimitsOf } from '#enforcer/config/policies.ts';
import { configSchema } from '#enforcer/config/schema.ts';
import { configOf, defaultConfig, fileOf } from '#enforcer/config/units.ts';

const port = fc.integer({ min: 1, max: 65_535 });
const files = fc.record(
  {
    interfaces: fc.array(fc.constantFrom('eth0', 'wg0', 'br-0.7'), { minLength: 1, maxLength: 4 }),
    mode: fc.constantFrom('observe', 'enforce', 'lockdown'),
    allow: fc.array(fc.constantFrom('198.51.100.0/24', '2001:db8::/32', '203.0.113.7'), { maxLength: 4 }),
    services: fc.record(
      {
        ports: fc.array(
          fc.oneof(
            port,
            port.map(one => `${one}/udp`),
            fc.constant('8000-8010'),
            fc.constant('1-20/udp'),
          ),
          { maxLength: 20 },
        ),
      },
      { requiredKeys: [] },
    ),
    traps: fc.record(
      {
        ports: fc.oneof(
          fc.constantFrom('typical', 'all', 'off', false),
          fc.array(fc.oneof(port, fc.constantFrom('161/udp', '8000-8010', '60-70/udp', '22/tcp')), { maxLength: 20 }),
        ),
        patience: fc.constantFrom('instant', 'listen', 'study'),
        deadline: fc.constantFrom('100ms', '3s', '1m'),
        session: fc.constantFrom('60s', '1h', '1m30s'),
        sessions: fc.integer({ min: 64, max: 65_536 }),
        sessionsPerSource: fc.integer({ min: 1, max: 64 }),
        study: fc.record({ time: fc.constantFrom('1s', '10m', '24h'), sessions: fc.integer({ min: 1, max: 10_000 }) }, { requiredKeys: [] }),
      },
      { requiredKeys: [] },
    ),
    egress: fc.constantFrom('drop', 'off', false),
    detect: fc.record({ fast: fc.record({ ports: fc.integer({ min: 1, max: 32 }), window: fc.constantFrom('1s', '90s', '1500ms', '1h') }) }),
    bans: fc.record({ touch: fc.constantFrom('1h30m', '36h', '1d', '2d', '1s'), aggregate: fc.integer({ min: 0, max: 256 }) }),
  },
  { requiredKeys: [] },
);

describe('what config show prints', () => {
  test.prop([files])('gives the same configuration when it is read again', file => {
    const config = configOf(configSchema.parse(file));
    expect(configOf(configSchema.parse(fileOf(config)))).toEqual(config);
    expect(parseConfig(JSON.stringify(fileOf(config)), 'c').config).toEqual(config);
  });
});

test('the kernel gets every threshold in milliseconds and per second', () => {
  expect(kernelConfigOf(defaultConfig, { trapPort: 4711, trapMark: 7, trapUdpPort: 4712, ephemeralPorts: [32_768, 60_999] })).toEqual({
    mode: 'enforce',
    fastPorts: 3,
    fastWindowMs: 60_000,
    slowPorts: 25,
    slowWindowMs: 86_400_000,
    shunMs: 60_000,
    longestShunMs: 600_000,
    provenMs: 3_600_000,
    flowMs: 120_000,
    graceMs: 86_400_000,
    heartbeatMs: 3_000,
    synPerSecond: 200,
    udpPerSecond: 1_000,
    echoPerSecond: 100,
    openUdpPerSecond: 0,
    newSourcesPerSecond: 10_000,
    eventsPerSecond: 2_000,
    egressDrop: true,
    trapPort: 4711,
    trapMark: 7,
    trapUdpPort: 4712,
    ephemeralPorts: [32_768, 60_999],
  });
});

test('the ledger plans with the room that the kernel says it has', () => {
  const room = { ipv4: 1, ipv6: 2, ipv6Exact: 3, rules: 4 };
  expect(ledgerPolicyOf(defaultConfig, room).capacity).toEqual(room);
  expect(ledgerPolicyOf(defaultConfig)).toMatchObject({
    touchMs: 14_400_000,
    contentMs: 86_400_000,
    reservedShare: 0.2,
    watermark: 0.8,
    capacity: { ipv4: 65_536 },
  });
});

describe('patience', () => {
  const withTraps = (traps: object) => configOf(configSchema.parse({ traps: { session: '90s', study: { time: '5m' }, ...traps } }));

  test.each([
    ['instant', 0],
    ['listen', 90_000],
    ['study', 300_000],
  ] as const)('%s lets the ledger confine a source for %d ms', (patience, longestMs) => {
    expect(ledgerPolicyOf(withTraps({ patience })).patience).toEqual({ kind: patience, longestMs });
  });

  test("the traps get the limits that are the operator's to choose", () => {
    expect(trapLimitsOf(withTraps({ deadline: '2s', sessions: 100, sessionsPerSource: 8 }))).toEqual({
      sessions: 100,
      sessionsPerSource: 8,
      deadlineMs: 2_250, // and a little for who counts from later
      sessionMs: 90_000,
    });
  });
});

test('an instance keeps its paths apart, and its name cannot leave them', () => {
  expect(pathsOf('second')).toEqual({
    state: '/var/lib/honeymesh/second',
    run: '/run/honeymesh/second',
    pins: '/sys/fs/bpf/honeymesh/second',
    socket: '/run/honeymesh/second/control.sock',
  });
  for (const name of ['', '..', 'a/b', 'A', 'a b', 'a'.repeat(33), 'a\n']) expect(parseInstance(name).ok, name).toBe(false);
  for (const name of ['main', 'a', 'net-7', 'a'.repeat(32)]) expect(parseInstance(name).ok, name).toBe(true);
});
