/**
 * Packets that really go through a veth pair into another network namespace: live frames of BPF_PROG_TEST_RUN (the sender), whose cost the kernel takes
 * with that of all that the receiver does, as both run on one core.
 */
import { spawnSync } from 'node:child_process';
import { addon, TEST_LIVE_FRAMES, testRun } from '#enforcer/kernel/native.ts';
import { type Contestant, inTurn, type Measured } from '#test/bench/support/rounds.ts';
import { macToBytes, syn, toShortest } from '#test/support/frames/frames.ts';
import { bannedSource, CLOSED_PORT, type Filter, type Filters, OWN, SOURCES } from './filters.ts';
import { patiently } from './test-runs.ts';

const PACKETS = 1_000_000;
const BATCH = 64; // of frames, as a driver's NAPI poll has
const DEVICE = 'eth0';
const COMMAND_MS = 20_000;
/** Fewer arrived: a queue ran over, and the time is not that of so many packets. */
const SHARE_TO_ARRIVE = 0.999;

export type LiveFigures = Readonly<Partial<Record<string, Measured>>>;

export interface Receiver {
  /** Path of its network namespace. */
  readonly path: string;
  readonly hasNft: boolean;
  /** What skb paths need: see `takeSkbs`. */
  readonly hasEthtool: boolean;
}

/** Runs in the sender's namespace. Figures are ns a packet, sender and receiver together. */
export async function measureLive(filters: Filters, receiver: Receiver, rounds: number): Promise<LiveFigures> {
  const inside = (command: readonly string[], input = ''): string => {
    const ran = spawnSync('nsenter', [`--net=${receiver.path}`, '--', ...command], { encoding: 'utf8', input, timeout: COMMAND_MS });
    if (ran.status !== 0) throw new Error(`${command.join(' ')}: ${ran.error?.message ?? ran.stderr}`);
    return ran.stdout;
  };
  const ifindex = addon().interfaceIndex(DEVICE);
  const frame = toShortest(syn(bannedSource(1), OWN, CLOSED_PORT));
  frame.set(macToBytes(macOf(inside(['ip', '-o', 'link', 'show', 'dev', DEVICE]))));
  const received = (): number => {
    const [link] = JSON.parse(inside(['ip', '-s', '-j', 'link', 'show', 'dev', DEVICE])) as [{ stats64: { rx: { packets: number } } }];
    return link.stats64.rx.packets;
  };

  /** IPv4 packets that the receiver's stack saw: none of those that XDP drops. */
  const reachedIp = (): number => {
    const [names = [], values = []] = inside(['cat', '/proc/net/snmp'])
      .split('\n')
      .filter(line => line.startsWith('Ip: '))
      .map(line => line.split(' '));
    return Number(values[names.indexOf('InReceives')]);
  };

  const send = (): number => {
    const before = received();
    // The end of the process that counted interrupts the first try after a batch or two: hence no counting inside.
    const run = () => testRun(filters.senderFd, frame, { repeat: PACKETS, flags: TEST_LIVE_FRAMES, ingressIfindex: ifindex, batchSize: BATCH });
    const { durationNs } = patiently(run);
    const arrived = received() - before;
    if (arrived < PACKETS * SHARE_TO_ARRIVE) throw new Error(`only ${arrived} of ${PACKETS} packets arrived`);
    return durationNs;
  };

  const xdp = (name: string, filter: Filter | null, mode: 'xdpdrv' | 'xdpgeneric'): Contestant[] => {
    if (filter === null) return [];
    const pin = filters.pinned(filter);
    const measure = (): number => {
      inside(['ip', 'link', 'set', 'dev', DEVICE, mode, 'pinned', pin]);
      try {
        const before = reachedIp();
        const ns = send();
        const passed = reachedIp() - before;
        if (passed !== 0) throw new Error(`${passed} packets came past ${name} (${mode})`);
        return ns;
      } finally {
        inside(['ip', 'link', 'set', 'dev', DEVICE, mode, 'off']);
      }
    };
    return [{ name: `${mode === 'xdpdrv' ? 'native' : 'generic'}/${name}`, measure }];
  };

  const table = nftTable();
  const nft = (): number => {
    inside(['nft', '-f', '-'], table);
    try {
      const ns = send();
      const passed = /counter packets (\d+)/.exec(inside(['nft', 'list', 'chain', 'ip', 'bench', 'before']))?.[1];
      if (passed !== '0') throw new Error(`${passed} packets came past nft's set`);
      return ns;
    } finally {
      inside(['nft', 'delete', 'table', 'ip', 'bench']);
    }
  };

  const modes = receiver.hasEthtool ? (['xdpdrv', 'xdpgeneric'] as const) : (['xdpdrv'] as const);
  if (receiver.hasEthtool) takeSkbs(inside);
  return inTurn(
    [
      ...modes.flatMap(mode => [...xdp('floor', filters.floor, mode), ...xdp('ours', filters.ours, mode), ...xdp('ipOnly', filters.ipOnly, mode)]),
      ...(receiver.hasNft && receiver.hasEthtool ? [{ name: 'nft', measure: nft }] : []),
    ],
    { rounds },
  );
}

/** Without native XDP a veth takes live frames only while its NAPI runs, which GRO switches on; what arrives is made an skb there. */
function takeSkbs(inside: (command: readonly string[]) => string): void {
  inside(['ethtool', '-K', DEVICE, 'gro', 'on']);
}

/** Of the ways to write it, the one that took nft the least time here: the size given, no timeouts. The counter stays at 0 where all is dropped. */
function nftTable(): string {
  const elements = Array.from({ length: SOURCES }, (_, at) => bannedSource(at)).join(', ');
  return `table ip bench {
  set banned {
    type ipv4_addr
    size 16384
    elements = { ${elements} }
  }
  chain before {
    type filter hook prerouting priority raw; policy accept;
    ip saddr @banned drop
    counter
  }
}
`;
}

function macOf(shown: string): string {
  const mac = /link\/ether ([0-9a-f:]{17})/.exec(shown)?.[1];
  if (mac === undefined) throw new Error(`no address in ${shown}`);
  return mac;
}
