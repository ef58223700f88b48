/**
 * The host of the live tests, inside its network namespace: the programs attached by hand, real services, traps that say which port they were reached
 * on. Takes commands as lines of JSON and answers each with one line.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket, type Socket as Datagrams } from 'node:dgram';
import { mkdirSync, openSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Address } from '@honeymesh/intel/address';
import { addressBytes, hostPrefix, type Prefix } from '@honeymesh/intel/address';
import { unixMs } from '@honeymesh/intel/time';
import { stampConfig } from '#enforcer/kernel/codecs.ts';
import { createKernelOnMaps, type KernelMaps } from '#enforcer/kernel/kernel-on-maps.ts';
import { sourceOfKey } from '#enforcer/kernel/keys.ts';
import { LAYOUTS } from '#enforcer/kernel/layouts.ts';
import { indexKey, kernelMap, word } from '#enforcer/kernel/maps.ts';
import { addon, mustBe, mustHave, XDP_FLAGS } from '#enforcer/kernel/native.ts';
import type { KernelConfig, ServedPorts, TrapPorts } from '#enforcer/kernel/port.ts';
import { udpPeerKey, udpPortValue } from '#enforcer/kernel/udp-replies.ts';
import { COUNTERS, VERDICTS } from '#enforcer/kernel/verdicts.ts';
import { PARTS } from '#enforcer/launch/parts.ts';
import { TEST_CONFIG } from '#test/support/kernel-config.ts';

export type HostCommand =
  | { readonly do: 'configure'; readonly config: Partial<KernelConfig> }
  | { readonly do: 'trap'; readonly ports: TrapPorts }
  /** Ports that are served for good. */
  | { readonly do: 'forwarded'; readonly ports: ServedPorts }
  /** The only bans from now on. */
  | { readonly do: 'ban'; readonly targets: readonly string[]; readonly confined?: boolean }
  | { readonly do: 'allow'; readonly target: string | null }
  | { readonly do: 'beat'; readonly agoMs: number }
  | { readonly do: 'send'; readonly to: string; readonly port: number; readonly fromPort: number }
  /** A real service of both families, TCP and UDP; null: none but the one that is always there. */
  | { readonly do: 'serve'; readonly port: number | null }
  /** The real services say something on every connection that they have. */
  | { readonly do: 'shout' }
  /** Whether the traps say in udp_replies where an answer is to come from. */
  | { readonly do: 'note-replies'; readonly on: boolean }
  | { readonly do: 'tell' };

export interface HostState {
  readonly proven: readonly string[];
  /** `udp 10.0.0.2 from 4000 to 53` */
  readonly flows: readonly string[];
  readonly shuns: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
  readonly counters: Readonly<Record<string, number>>;
  /** Datagrams that arrived at the host's socket. */
  readonly received: number;
  /** What was said to real services, and to traps over UDP with the port that was asked. */
  readonly heard: readonly string[];
  readonly trapped: readonly string[];
  /** Open connections. */
  readonly open: { readonly services: number; readonly traps: number };
}

const TRAPPED = [23, 2_323, 31_337, 65_000];
const UDP_TRAPPED = [53, 137, 161, 40_404];
const SERVED = 80;
const COUNTERS_AT = VERDICTS.length * 3;
const UDP_TRAP = fileURLToPath(new URL('../support/kernel-udp-trap.py', import.meta.url));

/** Devices by commas. */
const [devices = '', cgroup = '', ...own] = process.argv.slice(2);
const native = addon();
const loaded = native.load(PARTS.program, [], [], 0);
if ('errno' in loaded) throw new Error(loaded.log);
const program = (name: string): number => loaded.programs.find(candidate => candidate.name === name)?.fd ?? -1;
const maps = Object.fromEntries(Object.entries(loaded.maps).map(([name, fd]) => [name, kernelMap(name, fd)]));
const map = (name: string) => maps[name] ?? fail(`no map ${name}`);
const fail = (why: string): never => {
  throw new Error(why);
};

const { trapPort: TRAP_PORT, trapMark: TRAP_MARK, trapUdpPort: TRAP_UDP_PORT } = TEST_CONFIG;
let config: KernelConfig = { ...TEST_CONFIG, graceMs: 0 };

const beat = (agoMs: number): number => map('heartbeat').put(indexKey(0), word(process.hrtime.bigint() - BigInt(agoMs) * 1_000_000n));

const heard: string[] = [];
const trapped: string[] = [];
const connections = { services: new Set<net.Socket>(), traps: new Set<net.Socket>() };

/** Greets, and says everything back. */
const talk = (kind: 'services' | 'traps', greeting: (socket: net.Socket) => string) =>
  net.createServer(socket => {
    connections[kind].add(socket);
    socket.on('error', () => {});
    socket.on('close', () => connections[kind].delete(socket));
    socket.on('data', said => {
      if (kind === 'services') heard.push(said.toString('latin1'));
      socket.write(said);
    });
    socket.write(greeting(socket));
  });

async function openTrap(ipv6: boolean): Promise<void> {
  const { fd } = mustHave(native.trapListener(ipv6, TRAP_PORT, TRAP_MARK, 64) as { fd: number } | number, 'HM_MAP', 'the trap');
  const server = talk('traps', socket => `trap ${socket.localPort}`);
  await new Promise<void>(resolve => server.listen({ fd }, resolve));
  mustBe(native.putSocket(map('trap_listener').fd, ipv6 ? 1 : 0, fd), 'HM_MAP', 'trap_listener');
}

let noteReplies = true;

async function openUdpTrap(): Promise<ChildProcess> {
  const child = spawn('python3', [UDP_TRAP, String(TRAP_UDP_PORT), String(TRAP_MARK)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  void (async () => {
    for await (const line of { [Symbol.asyncIterator]: () => lines }) {
      const { from, fromPort, port, said } = JSON.parse(line) as { from: Address; fromPort: number; port: number; said: string };
      trapped.push(`${said} ${port}`);
      if (noteReplies) mustBe(map('udp_replies').put(udpPeerKey(from, fromPort), udpPortValue(port)), 'HM_MAP', 'udp_replies');
      child.stdin.write('answer\n');
    }
  })();
  return child;
}

interface Service {
  close(): Promise<void>;
}

async function openService(port: number): Promise<Service> {
  const server = talk('services', () => 'real');
  await new Promise<void>(resolve => server.listen({ port, host: '::' }, resolve));
  const datagrams: Datagrams = createSocket('udp6');
  datagrams.on('message', (said, { port: toPort, address }) => {
    heard.push(said.toString('latin1'));
    datagrams.send('real', toPort, address);
  });
  await new Promise<void>(resolve => datagrams.bind(port, '::', resolve));
  return {
    async close() {
      for (const socket of connections.services) if (socket.localPort === port) socket.resetAndDestroy();
      await Promise.all([new Promise(resolve => server.close(resolve)), new Promise<void>(resolve => datagrams.close(resolve))]);
    },
  };
}

function attach(): void {
  mkdirSync(cgroup, { recursive: true });
  writeFileSync(`${cgroup}/cgroup.procs`, String(process.pid));
  mustBe(native.linkSockOps(program('hm_sockops'), openSync(cgroup, 'r')), 'HM_MAP', 'sock_ops');
  for (const device of devices.split(',')) {
    const ifindex = mustBe(native.interfaceIndex(device), 'HM_MAP', device);
    mustBe(native.linkXdp(program('hm_xdp'), ifindex, XDP_FLAGS.generic), 'HM_MAP', 'XDP');
    mustBe(native.makeClsact(ifindex), 'HM_MAP', 'clsact');
    mustBe(native.attachTc(ifindex, false, program('hm_steer'), 1, 1), 'HM_MAP', 'tc ingress');
    mustBe(native.attachTc(ifindex, true, program('hm_egress'), 1, 1), 'HM_MAP', 'tc egress');
  }
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
    counters: Object.fromEntries(COUNTERS.map((name, at) => [name, sum(COUNTERS_AT + at)])),
    received,
    heard: heard.splice(0),
    trapped: trapped.splice(0),
    open: { services: connections.services.size, traps: connections.traps.size },
  };
}

let extra: Service | undefined;
const kernel = createKernelOnMaps(maps as KernelMaps, { now: () => unixMs(Date.now()) });

const targetOf = (text: string): Prefix => (text.includes('/') ? (text as Prefix) : hostPrefix(text as Address));

async function obey(command: HostCommand): Promise<HostState | null> {
  switch (command.do) {
    case 'configure':
      config = { ...config, ...command.config };
      kernel.setConfig(config);
      return null;
    case 'trap':
      kernel.setTrapPorts(command.ports);
      return null;
    case 'forwarded':
      kernel.setServedPorts(command.ports, { tcp: [], udp: [] });
      return null;
    case 'ban':
      kernel.removeBans(kernel.listBans().map(({ target }) => target));
      for (const { enforced } of kernel.putBans(
        command.targets.map(target => ({ target: targetOf(target), tier: 'E1', reasons: [], expiresAt: null, confined: command.confined === true })),
      ))
        if (!enforced) fail('a ban was not taken');
      return null;
    case 'allow':
      kernel.setRules(command.target === null ? [] : [{ target: targetOf(command.target), action: 'allow', tier: 'operator', reasons: [], expiresAt: null }]);
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
      await extra?.close();
      extra = command.port === null ? undefined : await openService(command.port);
      return null;
    case 'shout':
      for (const socket of connections.services) socket.write('hear this');
      return null;
    case 'note-replies':
      noteReplies = command.on;
      return null;
    case 'tell':
      return tell();
  }
}

const entry = new Uint8Array(LAYOUTS.hm_config.size);
stampConfig(entry, mustHave<bigint>(native.netnsCookie() as bigint, 'HM_MAP', 'cookie'));
map('config').put(indexKey(0), entry);
kernel.setConfig(config);
for (const address of own) map('own').put(addressBytes(address as Address), Uint8Array.of(1));
kernel.setTrapPorts({ tcp: TRAPPED, udp: UDP_TRAPPED });
beat(0);
attach(); // first: a socket belongs to the cgroup in which it was made
await openTrap(false);
await openTrap(true);
const udpTrap = await openUdpTrap();
await openService(SERVED);
console.log(JSON.stringify('ready'));
for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(await obey(JSON.parse(line) as HostCommand)));
udpTrap.kill();
process.exit(0);
