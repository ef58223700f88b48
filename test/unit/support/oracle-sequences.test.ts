/** Section 9 of docs/packet-path.md: what several packets of a source add up to. */
import { expect, test } from 'vitest';
import { datagram, ping, segment, syn } from '#test/support/frames/frames.ts';
import { createOracle } from '#test/support/oracle/oracle.ts';
import { emptyScenario, type Scenario, type Settings, usualSettings } from '#test/support/oracle/scenario.ts';

const START = 1_000_000_000_000_000n;
const SECOND = 1_000_000_000n;
const MINUTE = 60n * SECOND;
const BAD = '203.0.113.7';
const OWN = '198.51.100.1';
const probe = (port: number, fromPort?: number) => syn(BAD, OWN, port, fromPort);

/** Verdict and events (kind, port, fast, slow, reasons, shun in seconds) of each frame. */
function play(frames: readonly (readonly [Uint8Array, bigint])[], settings: Partial<Settings> = {}, scenario: Partial<Scenario> = {}) {
  const oracle = createOracle({ ...emptyScenario, own: [OWN], ...scenario, settings: { ...usualSettings, ...settings } }, START);
  return frames.map(([frame, atNs]) => {
    const { verdict, events } = oracle.judge(frame, START + atNs);
    return [verdict, ...events.map(told => `${told.kind} ${told.port} ${told.fastPorts}/${told.slowPorts} ${[...told.reasons].sort()} ${told.shunMs / 1000}`)];
  });
}

test('the third closed port is a scan, and what follows is shunned', () => {
  expect(play([probe(1), probe(2), probe(3), probe(4)].map(frame => [frame, 0n]))).toEqual([
    ['pass', 'touch 1 1/1  0'],
    ['pass', 'touch 2 2/2  0'],
    ['drop-scan', 'touch 3 3/3  0', 'scan 3 3/3 syn-scan 60'],
    ['drop-shun'],
  ]);
});

test('a retransmitted SYN is not a second port', () => {
  expect(play([probe(1), probe(1), probe(2), probe(2, 9)].map(frame => [frame, 0n])).map(told => told[0])).toEqual(['pass', 'pass', 'pass', 'pass']);
});

test('a port of exactly the window age is outside, one a nanosecond younger inside', () => {
  expect(
    play([
      [probe(1), 0n],
      [probe(2), 0n],
      [probe(3), MINUTE],
    ]).at(-1),
  ).toEqual(['pass', 'touch 3 1/3  0', 'suspect 3 1/3  0']);
  expect(
    play([
      [probe(1), 0n],
      [probe(2), 0n],
      [probe(3), MINUTE - 1n],
    ]).at(-1)?.[0],
  ).toBe('drop-scan');
});

test('a retransmission keeps its port young', () => {
  const seen = play([
    [probe(1), 0n],
    [probe(2), 0n],
    [probe(1), 40n * SECOND],
    [probe(2), 40n * SECOND],
    [probe(3), 80n * SECOND],
  ]);
  expect(seen.at(-1)?.[0]).toBe('drop-scan');
});

test('the slow window sees what the fast one forgets, and says so', () => {
  const slow = Array.from({ length: 4 }, (_, at) => [probe(at + 1), BigInt(at) * 5n * MINUTE] as const);
  expect(play(slow, { slowPorts: 4 }).at(-1)).toEqual(['drop-scan', 'touch 4 1/4  0', 'scan 4 1/4 slow-scan,syn-scan 60']);
});

test('reasons are the kinds in the fast window only', () => {
  const seen = play([
    [segment(BAD, OWN, 1, 'F'), 0n],
    [datagram(BAD, OWN, 1), 2n * MINUTE],
    [segment(BAD, OWN, 2, 'A'), 2n * MINUTE],
    [probe(3), 2n * MINUTE],
  ]);
  expect(seen.at(-1)).toEqual(['drop-scan', 'touch 3 3/4  0', 'scan 3 3/4 flag-scan,syn-scan,udp-scan 60']);
});

test('TCP and UDP have spaces of their own but share the slots', () => {
  expect(
    play([
      [probe(53), 0n],
      [datagram(BAD, OWN, 53), 0n],
      [segment(BAD, OWN, 53, 'F'), 0n],
      [probe(54), 0n],
    ]).map(told => told[0]),
  ).toEqual(['pass', 'pass', 'drop-anomaly', 'drop-scan']);
});

test('a scan by TCP shuns no UDP until UDP crosses; each is told as new', () => {
  const seen = play([
    [probe(1), 0n],
    [probe(2), 0n],
    [probe(3), 0n],
    [datagram(BAD, OWN, 9), 0n],
    [datagram(BAD, OWN, 10), 0n],
  ]);
  expect(seen.slice(3)).toEqual([['drop-scan', 'touch 9 4/4  0', 'scan 9 4/4 syn-scan,udp-scan 120'], ['drop-shun']]);
});

test('a flag scan goes on counting while shunned; its shun is no longer new and doubles to the limit', () => {
  const flags = Array.from({ length: 9 }, (_, at) => [segment(BAD, OWN, at + 1, 'F'), 0n] as const);
  const oracle = createOracle({ ...emptyScenario, own: [OWN] }, START);
  const told = flags.map(([frame]) => oracle.judge(frame, START));
  expect(told.flatMap(({ events }) => events.filter(({ kind }) => kind === 'scan')).length).toBe(1);
  expect(told.at(-1)?.verdict).toBe('drop-scan');
  expect([...oracle.model.shuns.values()].map(({ expiresNs, repeats }) => [expiresNs - START, repeats])).toEqual([[600n * SECOND, 6]]);
});

test('a shun that ran out but was not swept doubles the next, without its kinds', () => {
  const shuns = [{ source: BAD, kinds: ['udp', 'tcp'] as const, expiresNs: -SECOND, repeats: 1 }];
  const seen = play(
    [
      [probe(1), 0n],
      [datagram(BAD, OWN, 2), 0n],
    ],
    { fastPorts: 1 },
    { shuns },
  );
  expect(seen).toEqual([
    ['drop-scan', 'touch 1 1/1  0', 'scan 1 1/1 syn-scan 240'],
    ['drop-scan', 'touch 2 2/2  0', 'scan 2 2/2 syn-scan,udp-scan 480'],
  ]);
});

test('the thirty-third port takes the oldest slot, an expired slot goes first', () => {
  const slots = Array.from({ length: 32 }, (_, at) => ({ port: at + 1, probe: 'syn', atNs: -BigInt(at === 7 ? 90_000 : 1_000 + at) * SECOND }) as const);
  const oracle = createOracle(
    { ...emptyScenario, own: [OWN], settings: { ...usualSettings, slowPorts: 40 }, trackers: [{ source: BAD, watched: false, slots }] },
    START,
  );
  oracle.judge(probe(100), START);
  oracle.judge(probe(101), START);
  const ports = [...oracle.model.trackers.values()][0]?.slots.map(slot => slot?.port);
  expect([ports?.[7], ports?.[31], ports?.[0]]).toEqual([100, 101, 1]);
});

test('what exceeds a rate is a flood of its first packet above it', () => {
  const pings = Array.from({ length: 4 }, () => [ping(BAD, OWN), 0n] as const);
  expect(play(pings, { echoPerSecond: 2 })).toEqual([['pass'], ['pass'], ['drop-flood', 'flood 0 0/0 flood 60'], ['drop-shun']]);
  expect(
    play(
      [
        [ping(BAD, OWN), 0n],
        [ping(BAD, OWN), 0n],
        [ping(BAD, OWN), SECOND],
      ],
      { echoPerSecond: 2 },
    ).at(-1),
  ).toEqual(['pass']);
});

test('a watched source is counted where it is watched, and only where config says so', () => {
  const slots = [1, 2].map(port => ({ port, probe: 'syn', atNs: -SECOND }) as const);
  const trackers = [{ source: BAD, watched: true, slots }];
  expect(play([[probe(3), 0n]], {}, { trackers })[0]?.[0]).toBe('drop-scan');
  expect(play([[probe(3), 0n]], { hasWatch: false }, { trackers })[0]?.[0]).toBe('pass');
});

test('an IPv6 /64 is one source', () => {
  const scenario = { own: ['2001:db8::1'] };
  const frames = ['1', '2', '3'].map((host, at) => [syn(`2001:db8:bad:1::${host}`, '2001:db8::1', at + 1), 0n] as const);
  expect(play(frames, {}, scenario).map(told => told[0])).toEqual(['pass', 'pass', 'drop-scan']);
});
