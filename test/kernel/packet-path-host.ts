/**
 * The host of packet-path-live.test.ts, inside its network namespace: the programs attached by hand, a real service, a trap that says which port it
 * was reached on. Takes commands as lines of JSON and answers each with one line.
 */

import { createSocket } from 'node:dgram';
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { createInterface } from 'node:readline';
import type { Address } from '@honeymesh/intel/address';
import { addressBytes } from '@honeymesh/intel/address';
import { stampConfig, writeConfig } from '#enforcer/kernel/codecs.ts';
import { sourceOfKey } from '#enforcer/kernel/keys.ts';
import { LAYOUTS } from '#enforcer/kernel/layouts.ts';
import { indexKey, kernelMap, word } from '#enforcer/kernel/maps.ts';
import { addon, mustBe, mustHave, XDP_FLAGS } from '#enforcer/kernel/native.ts';
import type { KernelConfig } from '#enforcer/kernel/port.ts';
import { VERDICTS } from '#enforcer/kernel/verdicts.ts';
import { PARTS } from '#enforcer/launch/parts.ts';

export type HostCommand =
  | { readonly do: 'configure'; readonly config: Partial<KernelConfig> }
  | { readonly do: 'ban'; readonly address: string | null }
  | { readonly do: 'beat'; readonly agoMs: number }
  | { readonly do: 'send'; readonly to: string; readonly port: number; readonly fromPort: number }
  | { readonly do: 'serve'; readonly port: number | null }
  | { readonly do: 'tell' };

export interface HostState {
  readonly proven: readonly string[];
  /** `udp 10.0.0.2 from 4000 to 53` */
  readonly flows: readonly string[];
  readonly shuns: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
  readonly steered: number;
  /** Datagrams that arrived at the host's socket. */
  readonly received: number;
}

const TRAP_PORT = 7_000;
const TRAP_MARK = 0x68_6d;
const TRAP_UDP_PORT = 7_001;
const TRAPPED = [23, 2_323, 31_337, 65_000];
const SERVED = 80;
const STEERED_ROW = VERDICTS.length * 3 + 5;

const [device = '', cgroup = '', ...own] = process.argv.slice(2);
const native = addon();
const loaded = native.load(PARTS.program, [], [], 0);
if ('errno' in loaded) throw new Error(loaded.log);
const program = (name: string): number => loaded.programs.find(candidate => candidate.name === name)?.fd ?? -1;
const maps = Object.fromEntries(Object.entries(loaded.maps).map(([name, fd]) => [name, kernelMap(name, fd)]));
const map = (name: string) => maps[name] ?? fail(`no map ${name}`);
const fail = (why: string): never => {
  throw new Error(why);
};

let config: KernelConfig = {
  mode: 'enforce',
  fastPorts: 3,
  fastWindowMs: 60_000,
  slowPorts: 25,
  slowWindowMs: 86_400_000,
  shunMs: 60_000,
  longestShunMs: 600_000,
  provenMs: 3_600_000,
  flowMs: 120_000,
  graceMs: 0,
  heartbeatMs: 3_000,
  synPerSecond: 200,
  udpPerSecond: 1_000,
  echoPerSecond: 100,
  openUdpPerSecond: 0,
  newSourcesPerSecond: 10_000,
  eventsPerSecond: 1_000,
  egressDrop: true,
  trapPort: TRAP_PORT,
  trapMark: TRAP_MARK,
  trapUdpPort: TRAP_UDP_PORT,
  ephemeralPorts: [32_768, 60_999],
};

function configure(): void {
  const entry = new Uint8Array(LAYOUTS.hm_config.size);
  writeConfig(entry, config);
  stampConfig(entry, mustHave<bigint>(native.netnsCookie() as bigint, 'HM_MAP', 'cookie'));
  map('config').put(indexKey(0), entry);
}

const beat = (agoMs: number): number => map('heartbeat').put(indexKey(0), word(process.hrtime.bigint() - BigInt(agoMs) * 1_000_000n));

async function openTrap(ipv6: boolean): Promise<void> {
  const { fd } = mustHave(native.trapListener(ipv6, TRAP_PORT, TRAP_MARK, 64) as { fd: number } | number, 'HM_MAP', 'the trap');
  const server = net.createServer(socket => {
    socket.on('error', () => {});
    socket.end(`trap ${socket.localPort}`);
  });
  await new Promise<void>(resolve => server.listen({ fd }, resolve));
  mustBe(native.putSocket(map('trap_listener').fd, ipv6 ? 1 : 0, fd), 'HM_MAP', 'trap_listener');
}

async function openService(port: number): Promise<net.Server> {
  const server = net.createServer(socket => {
    socket.on('error', () => {});
    socket.end('real');
  });
  await new Promise<void>(resolve => server.listen({ port, host: '::' }, resolve));
  return server;
}

function attach(): void {
  mkdirSync(cgroup, { recursive: true });
  writeFileSync(`${cgroup}/cgroup.procs`, String(process.pid));
  mustBe(native.linkSockOps(program('hm_sockops'), openSync(cgroup, 'r')), 'HM_MAP', 'sock_ops');
  const line = readFileSync('/proc/net/dev', 'latin1');
  if (!line.includes(`${device}:`)) fail(`no ${device} here`);
  const ifindex = mustBe(native.interfaceIndex(device), 'HM_MAP', device);
  mustBe(native.linkXdp(program('hm_xdp'), ifindex, XDP_FLAGS.generic), 'HM_MAP', 'XDP');
  mustBe(native.makeClsact(ifindex), 'HM_MAP', 'clsact');
  mustBe(native.attachTc(ifindex, false, program('hm_steer'), 1, 1), 'HM_MAP', 'tc ingress');
  mustBe(native.attachTc(ifindex, true, program('hm_egress'), 1, 1), 'HM_MAP', 'tc egress');
}

let received = 0;
const datagrams = createSocket({ type: 'udp4', reuseAddr: true });
datagrams.on('message', () => received++);

function tell(): HostState {
  const ip = (bytes: Uint8Array): string => [...bytes.slice(12, 16)].join('.');
  const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset);
  const sum = (row: number): number => {
    const words = new BigUint64Array(map('stats').get(indexKey(row))?.slice().buffer ?? new ArrayBuffer(0));
    return words.reduce((total, value, at) => (at % 2 === 0 ? total + Number(value) : total), 0);
  };
  return {
    proven: [...map('proven').entries()].map(([key]) => sourceOfKey(key)),
    flows: [...map('flows_out').entries()].map(
      ([key]) => `${key[20] === 17 ? 'udp' : 'tcp'} ${ip(key)} from ${view(key).getUint16(18, true)} to ${view(key).getUint16(16, true)}`,
    ),
    shuns: [...map('shuns').entries()].map(([key]) => sourceOfKey(key)),
    counts: Object.fromEntries(['enforced ', 'would '].flatMap((bank, at) => VERDICTS.map((name, row) => [bank + name, sum(at * VERDICTS.length + row)]))),
    steered: sum(STEERED_ROW),
    received,
  };
}

let extra: net.Server | undefined;

async function obey(command: HostCommand): Promise<HostState | null> {
  switch (command.do) {
    case 'configure':
      config = { ...config, ...command.config };
      configure();
      return null;
    case 'ban':
      for (const [key] of [...map('ban4').entries()]) map('ban4').remove(key.slice());
      if (command.address !== null) map('ban4').put(addressBytes(command.address as Address).slice(12), new Uint8Array(24));
      return null;
    case 'beat':
      beat(command.agoMs);
      return null;
    case 'send':
      if (datagrams.listenerCount('listening') === 0) {
        await new Promise<void>(resolve => {
          datagrams.once('listening', resolve);
          datagrams.on('listening', () => {});
          datagrams.bind(command.fromPort);
        });
      }
      await new Promise(resolve => datagrams.send('hello', command.port, command.to, resolve));
      return null;
    case 'serve':
      await new Promise<void>(resolve => (extra === undefined ? resolve() : extra.close(() => resolve())));
      extra = command.port === null ? undefined : await openService(command.port);
      return null;
    case 'tell':
      return tell();
  }
}

configure();
for (const address of own) map('own').put(addressBytes(address as Address), Uint8Array.of(1));
for (const port of TRAPPED) {
  const index = indexKey(port >> 6);
  const bits = new DataView((map('trap_ports').get(index) ?? new Uint8Array(8)).slice().buffer).getBigUint64(0, true);
  map('trap_ports').put(index, word(bits | (1n << BigInt(port & 63))));
}
beat(0);
attach(); // first: a socket belongs to the cgroup in which it was made
await openTrap(false);
await openTrap(true);
await openService(SERVED);
console.log(JSON.stringify('ready'));
for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(await obey(JSON.parse(line) as HostCommand)));
process.exit(0);
