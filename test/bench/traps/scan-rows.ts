/** The rows of `scan`: one scan of each host, which tells as much as five. */
import { type BenchRow, compared, figure, withoutPeer } from '../support/rows.ts';
import { isAbsent, type PartDeps } from './contender.ts';
import { startOpenCanary, TCP_SERVICES, UDP_SERVICES } from './opencanary.ts';
import { startOurs } from './ours.ts';
import { type Intended, OPENCANARY_TCP, OPENCANARY_UDP, type Scan, scan, TCP_DECOYS, UDP_DECOYS } from './scan.ts';

const CONFIG = 'interfaces: [eth0]\nmode: observe\ntraps: { ports: all }\nlog: { level: warn }\n';
const GOALS = { tcp: 20, udp: 4, seconds: 60, systems: 1 } as const;

export async function scanRows({ openCanary }: PartDeps): Promise<readonly BenchRow[]> {
  const ours = await startOurs({ config: CONFIG });
  let found: Scan;
  try {
    found = await scan(ours.clients, TCP_DECOYS, UDP_DECOYS);
  } finally {
    await ours.remove();
  }
  const peer = isAbsent(openCanary) ? null : await peerScan(openCanary);
  const size = (intended: Intended): number => Object.keys(intended).length;
  const rows = [
    { what: `nmap -sV: named as intended, of ${size(TCP_DECOYS)} TCP decoys`, unit: 'decoys', goal: { atLeast: GOALS.tcp }, of: (one: Scan) => one.tcp },
    { what: `nmap -sV: named as intended, of ${size(UDP_DECOYS)} UDP decoys`, unit: 'decoys', goal: { atLeast: GOALS.udp }, of: (one: Scan) => one.udp },
    { what: 'nmap -sV: time', unit: 's', goal: { below: GOALS.seconds }, of: (one: Scan) => one.seconds },
    { what: 'nmap -sV: operating systems on one host', unit: 'systems', goal: { atMost: GOALS.systems }, of: (one: Scan) => one.systems.length },
  ] as const;
  const missed = `not named: ${found.missed.join(', ') || 'none'}; systems: ${found.systems.join(', ') || 'none'}`;
  return rows.flatMap(({ what, unit, goal, of }) => [
    figure({ what, unit, ours: of(found), goal, note: missed }),
    isAbsent(openCanary) || peer === null
      ? withoutPeer({ what, unit, ours: of(found), peerName: openCanary.name, why: isAbsent(openCanary) ? openCanary.why : 'was not scanned' })
      : compared({ what, unit, ours: of(found), peer: of(peer), peerName: openCanary.name, note: PEER_NOTE(peer) }),
  ]);
}

async function peerScan(installed: Parameters<typeof startOpenCanary>[0]): Promise<Scan> {
  const peer = await startOpenCanary(installed, [...Object.keys(TCP_SERVICES), ...Object.keys(UDP_SERVICES)]);
  try {
    return await scan(peer.clients, OPENCANARY_TCP, OPENCANARY_UDP);
  } finally {
    await peer.remove();
  }
}

const PEER_NOTE = (peer: Scan): string =>
  `OpenCanary has ${Object.keys(OPENCANARY_TCP).length} TCP services and ${Object.keys(OPENCANARY_UDP).length} over UDP; not named: ${peer.missed.join(', ')}; systems: ${peer.systems.join(', ')}`;
