/** What captures are played under: scenarios made from who talks to whom in them. */
import ipaddr from 'ipaddr.js';
import { dissectL3, dissectL4 } from './dissect.ts';
import { emptyScenario, type Scenario, usualSettings } from './scenario.ts';

export interface CaptureScenario {
  readonly title: string;
  readonly scenario: Scenario;
}

const MOST_OWN = 1_000; // HM_OWN is 1,024
const SLOTS = 32;
const LONGEST = 200;

/** Every unicast destination is ours; then the same with the busiest source banned, allowed, and under thresholds of one. */
export function captureScenarios(frames: readonly Uint8Array[]): CaptureScenario[] {
  const sources = new Map<string, number>();
  const destinations = new Set<string>();
  for (const frame of frames) {
    const outcome = dissectL3(frame);
    if (outcome.what !== 'ip') continue;
    const from = text(outcome.l3.from);
    sources.set(from, (sources.get(from) ?? 0) + 1);
    if (destinations.size < MOST_OWN) destinations.add(text(outcome.l3.to));
  }
  const own = [...destinations].filter(address => !['multicast', 'broadcast'].includes(ipaddr.parse(address).range()));
  const [busiest] = [...sources].sort(([, one], [, other]) => other - one).map(([address]) => address);
  const base: Scenario = { ...emptyScenario, own };
  const touchy = { ...usualSettings, fastPorts: 1, synPerSecond: 5, udpPerSecond: 5, echoPerSecond: 5, openUdpPerSecond: 5 };
  const length = busiest?.includes(':') ? 128 : 32;
  return [
    { title: 'as is', scenario: base },
    { title: 'thresholds of one', scenario: { ...base, settings: touchy } },
    { title: 'lockdown', scenario: { ...base, settings: { ...usualSettings, mode: 'lockdown' } } },
    ...(busiest === undefined
      ? []
      : [
          { title: `${busiest} banned`, scenario: { ...base, bans: [{ target: busiest, expiresNs: null }] } },
          { title: `${busiest} allowed`, scenario: { ...base, rules: [{ prefix: `${busiest}/${length}`, action: 'allow' as const, expiresNs: null }] } },
        ]),
  ];
}

/** Pieces in which no source needs more slots than a tracker has: which of several equally old slots goes hangs on a tick of the clock. */
export function* sequencesOf(frames: readonly Uint8Array[]): Generator<Uint8Array[]> {
  let piece: Uint8Array[] = [];
  let ports = new Map<string, Set<string>>();
  for (const frame of frames) {
    const [source, port] = portOf(frame) ?? [];
    const seen = source === undefined ? undefined : (ports.get(source) ?? new Set<string>());
    if (source !== undefined && port !== undefined && seen !== undefined) ports.set(source, seen.add(port));
    if (piece.length >= LONGEST || (seen?.size ?? 0) > SLOTS) {
      yield piece;
      piece = [];
      ports = new Map(source !== undefined && port !== undefined ? [[source, new Set([port])]] : []);
    }
    piece.push(frame);
  }
  if (piece.length > 0) yield piece;
}

function portOf(frame: Uint8Array): readonly [source: string, port: string] | undefined {
  const outcome = dissectL3(frame);
  if (outcome.what !== 'ip' || outcome.l3.clipped) return undefined;
  const l4 = dissectL4(frame, outcome.l3);
  if (!('toPort' in l4)) return undefined;
  const source = outcome.l3.family === 4 ? outcome.l3.from : outcome.l3.from.slice(0, 16);
  return [source, `${l4.what === 'udp' ? 'udp' : 'tcp'} ${l4.toPort}`];
}

const text = (hex: string): string => ipaddr.fromByteArray([...Buffer.from(hex, 'hex')]).toString();
