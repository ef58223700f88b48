/** Section 12 of docs/packet-path.md on real sockets of the loopback: whose they are says their mark. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { addon, mustHave } from '#enforcer/kernel/native.ts';
import { build } from '#enforcer/launch/setup/build.mjs';
import {
  arp,
  datagram,
  EXTENSION,
  ethernet,
  everyTruncation,
  extension,
  fragmentHeader,
  icmp,
  ipv4,
  ipv4Fragments,
  ipv6,
  ping,
  segment,
  syn,
  tcp,
  udp,
} from '#test/support/frames/frames.ts';
import { createKernelSide, type KernelSide } from '#test/support/oracle/kernel-side.ts';
import { emptyScenario, type Scenario, type Settings, usualSettings } from '#test/support/oracle/scenario.ts';

const HOST = '127.0.0.1';
const SOURCE = '127.0.0.66';
const HOST6 = '::1';
const MARK = 0x484d;
const SECOND = 1_000_000_000n;
/** Ports on which nobody listens in earnest: traps, and one that is none. */
const [A, B, C, D, NO_TRAP] = [11, 13, 17, 19, 20] as const;
const UDP_TRAP = fileURLToPath(new URL('../support/kernel-udp-trap.py', import.meta.url));

let kernel: KernelSide;
let udpTrap: ChildProcess;
/** Of the traps' listeners, the traps' UDP socket, a real service. */
let trapPort: number;
let udpTrapPort: number;
let servedPort: number;
const servers: net.Server[] = [];
const sockets: net.Socket[] = [];

async function listen(options: net.ListenOptions): Promise<net.Server> {
  const server = net.createServer({ allowHalfOpen: true }, socket => void sockets.push(socket.on('error', () => {})));
  server.listen(options);
  await once(server, 'listening');
  servers.push(server);
  return server;
}

/** The client's end and the port that it has. */
async function connect(port: number, from = SOURCE, to = HOST): Promise<{ client: net.Socket; fromPort: number; server: net.Socket }> {
  const before = sockets.length;
  const client = net.connect({ host: to, port, localAddress: from }).on('error', () => {});
  sockets.push(client);
  await once(client, 'connect');
  while (sockets.length < before + 2) await new Promise(resolve => setTimeout(resolve, 1));
  return { client, fromPort: client.localPort ?? 0, server: sockets.at(-1) as net.Socket };
}

beforeAll(async () => {
  build();
  kernel = createKernelSide([]);
  const made = mustHave<{ fd: number; port: number }>(addon().trapListener(false, 0, MARK, 8), 'HM_MAP', 'the listener');
  trapPort = made.port;
  await listen({ fd: made.fd } as net.ListenOptions);
  await listen({ fd: mustHave<{ fd: number; port: number }>(addon().trapListener(true, trapPort, MARK, 8), 'HM_MAP', 'the listener').fd } as net.ListenOptions);
  servedPort = ((await listen({ port: 0, host: '::' })).address() as net.AddressInfo).port;
  udpTrap = spawn('python3', [UDP_TRAP, '0', String(MARK)], { stdio: ['pipe', 'pipe', 'inherit'] });
  udpTrapPort = Number(await once(udpTrap.stdout ?? process.stdin, 'data'));
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});
afterAll(() => {
  for (const server of servers) server.close();
  udpTrap?.kill();
  kernel?.close();
});

const confined = { expiresNs: null, confined: true } as const;
const scenarioOf = (parts: Partial<Omit<Scenario, 'settings'>> = {}, settings: Partial<Settings> = {}): Scenario => ({
  ...emptyScenario,
  own: [HOST, HOST6],
  bans: [
    { target: SOURCE, ...confined },
    { target: '::/64', ...confined },
  ],
  trapPorts: [A, B, C, D, servedPort].flatMap(port => [
    { transport: 'tcp', port },
    { transport: 'udp', port },
  ]),
  heartbeatNs: -SECOND / 2n,
  ...parts,
  settings: { ...usualSettings, trapPort, trapUdpPort: udpTrapPort, trapMark: MARK, ...settings },
});
interface Played {
  readonly verdicts: readonly string[];
  readonly banks: readonly string[];
  readonly dropped: readonly boolean[];
  readonly events: readonly string[];
}
function play(scenario: Scenario, frames: readonly Uint8Array[]): Played {
  kernel.play(scenario);
  const seen = frames.map(frame => kernel.judge(frame, { verdict: 'drop-confined', bank: 'enforced', dropped: true }));
  const events = kernel.events();
  return { verdicts: seen.map(({ verdict }) => verdict), banks: seen.map(({ bank }) => bank), dropped: seen.map(({ dropped }) => dropped), events };
}
const verdictsOf = (frames: readonly Uint8Array[], scenario: Scenario = scenarioOf()): readonly string[] => play(scenario, frames).verdicts;
const all = (count: number, verdict: string): string[] => Array.from({ length: count }, () => verdict);
const kindsOf = (events: readonly string[]): string[] => events.map(event => event.split(' ')[0] ?? '');

describe('TCP', () => {
  test('a connection of a trap goes on, whatever belongs to it: data, FIN, RST, a SYN to where it lives', async () => {
    const { fromPort } = await connect(trapPort);
    const frames = ['A', 'PA', 'FA', 'R', 'RA', 'S', 'SA'].map(flags => segment(SOURCE, HOST, trapPort, flags, fromPort));
    const { verdicts, events } = play(scenarioOf(), frames);
    expect(verdicts).toEqual(all(7, 'pass'));
    expect(events).toEqual([]); // the SYN is of a connection that is there: no probe
    const anomalies = ['', 'F', 'FPU', 'SF', 'SR'].map(flags => segment(SOURCE, HOST, trapPort, flags, fromPort));
    expect(verdictsOf(anomalies)).toEqual(all(5, 'drop-confined'));
  });

  test('a connection of a real service that was open before is cut: data, FIN and RST', async () => {
    const { fromPort } = await connect(servedPort);
    const frames = ['A', 'PA', 'FA', 'R', 'RA', 'S', 'SA'].map(flags => segment(SOURCE, HOST, servedPort, flags, fromPort));
    expect(verdictsOf(frames)).toEqual(all(7, 'drop-confined'));
    expect(verdictsOf([segment('127.0.0.67', HOST, servedPort, 'PA', fromPort)])).toEqual(['pass']);
  });

  test('so it is over IPv6, where the /64 is confined, or the one address', async () => {
    const [trap, real] = [await connect(trapPort, HOST6, HOST6), await connect(servedPort, HOST6, HOST6)];
    const frames = [
      segment(HOST6, HOST6, trapPort, 'PA', trap.fromPort),
      segment(HOST6, HOST6, servedPort, 'PA', real.fromPort),
      syn(HOST6, HOST6, A),
      syn(HOST6, HOST6, servedPort),
    ];
    const expected = ['pass', 'drop-confined', 'pass', 'drop-confined'];
    expect(verdictsOf(frames)).toEqual(expected);
    expect(verdictsOf(frames, scenarioOf({ bans: [{ target: HOST6, ...confined }] }))).toEqual(expected);
  });

  test('a SYN opens a trap that is closed, and nothing else: no service, no port in grace, no port that is no trap', () => {
    const served = [{ transport: 'tcp', port: B, atNs: -SECOND }] as const;
    const frames = [A, servedPort, B, NO_TRAP].map(port => syn(SOURCE, HOST, port));
    expect(verdictsOf(frames, scenarioOf({ served }))).toEqual(['pass', 'drop-confined', 'drop-confined', 'drop-confined']);
  });

  test('port 0 is no trap, whatever the map says', () => {
    const trapPorts = [
      { transport: 'tcp', port: 0 },
      { transport: 'udp', port: 0 },
    ] as const;
    expect(verdictsOf([syn(SOURCE, HOST, 0), datagram(SOURCE, HOST, 0)], scenarioOf({ trapPorts }))).toEqual(all(2, 'drop-confined'));
  });

  test("a SYN to the traps' own port reaches them, as a probe", () => {
    const { verdicts, events } = play(scenarioOf(), [syn(SOURCE, HOST, trapPort)]);
    expect([verdicts, kindsOf(events)]).toEqual([['pass'], ['touch']]);
  });

  test('what belongs to no connection is dropped: strays, RST, SYN-ACK, anomalies, an ACK without a cookie', () => {
    const frames = ['A', 'PA', 'FA', 'R', 'SA', '', 'F', 'FPU', 'SF', 'SR'].map(flags => segment(SOURCE, HOST, A, flags));
    const { verdicts, events } = play(scenarioOf(), frames);
    expect(verdicts).toEqual(all(frames.length, 'drop-confined'));
    expect(kindsOf(events)).toEqual(['ban-hit']);
  });

  test('TIME-WAIT bears no mark: what comes to it is dropped, and a SYN does not open a trap over it', async () => {
    const brief = await listen({
      fd: mustHave<{ fd: number; port: number }>(addon().trapListener(false, 0, MARK, 8), 'HM_MAP', 'the listener').fd,
    } as net.ListenOptions);
    const { port } = brief.address() as net.AddressInfo;
    const { client, server, fromPort } = await connect(port);
    brief.close();
    const ended = [once(client, 'end'), once(server, 'end')];
    client.resume();
    server.resume();
    server.end(); // first: it keeps the TIME-WAIT
    await ended[0];
    client.end();
    await ended[1];
    await new Promise(resolve => setTimeout(resolve, 20));
    const trapPorts = [{ transport: 'tcp', port }] as const;
    expect(
      verdictsOf(
        ['S', 'A', 'FA'].map(flags => segment(SOURCE, HOST, port, flags, fromPort)),
        scenarioOf({ trapPorts }),
      ),
    ).toEqual(all(3, 'drop-confined'));
    expect(verdictsOf([syn(SOURCE, HOST, port, fromPort ^ 1)], scenarioOf({ trapPorts }))).toEqual(['pass']);
  });

  test('a handshake that is not over yet belongs to the listener that it came to', async () => {
    // With TCP_DEFER_ACCEPT the kernel keeps to a request until there is data, though the client is connected.
    const script = `
import socket, sys
kept = []
for mark in (${MARK}, 0):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, 36, mark)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
    listener.bind(("${HOST}", 0))
    listener.listen()
    kept.append(listener)
print(" ".join(str(listener.getsockname()[1]) for listener in kept), flush=True)
sys.stdin.read()`;
    const listeners = spawn('python3', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    const ports = String(await once(listeners.stdout, 'data'))
      .trim()
      .split(' ')
      .map(Number);
    const frames: Uint8Array[] = [];
    for (const port of ports) {
      const client = net.connect({ host: HOST, port, localAddress: SOURCE });
      sockets.push(client);
      await once(client, 'connect');
      frames.push(segment(SOURCE, HOST, port, 'A', client.localPort));
    }
    const verdicts = verdictsOf(frames);
    listeners.kill();
    expect(verdicts).toEqual(['pass', 'drop-confined']);
  });

  test('an outgoing connection of ours to the source is cut too', async () => {
    const abroad = await listen({ port: 0, host: SOURCE });
    const { port } = abroad.address() as net.AddressInfo;
    const { fromPort } = await connect(port, HOST, SOURCE);
    expect(verdictsOf([segment(SOURCE, HOST, fromPort, 'PA', port), segment(SOURCE, HOST, fromPort, 'R', port)])).toEqual(all(2, 'drop-confined'));
  });
});

describe('UDP and the rest', () => {
  test('a datagram reaches a trap, and neither a service nor a port that is no trap, DHCP or an answer to a flow of ours', () => {
    const flowsOut = [{ protocol: 'udp', remote: SOURCE, remotePort: 53, localPort: C, atNs: -SECOND }] as const;
    const served = [{ transport: 'udp', port: B, atNs: 'always' }] as const;
    const trapPorts = [A, B, C, 68].map(port => ({ transport: 'udp', port }) as const);
    const frames = [
      datagram(SOURCE, HOST, A),
      datagram(SOURCE, HOST, B),
      datagram(SOURCE, HOST, NO_TRAP),
      datagram(SOURCE, HOST, C, 53),
      datagram(SOURCE, HOST, 68, 67),
    ];
    const { verdicts, events } = play(scenarioOf({ flowsOut, served, trapPorts }), frames);
    expect(verdicts).toEqual(['pass', ...all(4, 'drop-confined')]);
    expect(kindsOf(events).sort()).toEqual(['ban-hit', 'touch']);
  });

  test("a datagram to the traps' own UDP port reaches them", () => {
    expect(verdictsOf([datagram(SOURCE, HOST, udpTrapPort), datagram(HOST6, HOST6, udpTrapPort)])).toEqual(all(2, 'pass'));
  });

  test("for everybody else the traps' UDP socket is no service: its port counts as closed", () => {
    const { verdicts, events } = play(scenarioOf({ bans: [] }), [datagram(SOURCE, HOST, udpTrapPort)]);
    expect([verdicts, kindsOf(events)]).toEqual([['pass'], ['touch']]);
  });

  test('neighbour discovery and ARP pass, to whatever address; other ICMP, echo too, does not', () => {
    const body = new Uint8Array(24);
    const six = { from: '::5', to: 'ff02::1:ff00:1' };
    const passing = [
      ethernet(ipv6(six, icmp(135, body))),
      ethernet(ipv6({ ...six, to: HOST6 }, icmp(136, body))),
      ethernet(ipv6({ ...six, extensions: [extension(EXTENSION.hopByHop)] }, icmp(135, body))),
    ];
    expect(verdictsOf(passing)).toEqual(all(3, 'pass'));
    expect(verdictsOf([ethernet(arp(SOURCE, HOST))])).toEqual(['pass-not-ip']);
    const others = [
      ...[133, 134, 137, 1, 3].map(type => ethernet(ipv6(six, icmp(type, body)))),
      ethernet(ipv6({ ...six, extensions: [fragmentHeader({ offset: 0, more: true })] }, icmp(135, body))),
      ethernet(ipv4({ from: SOURCE, to: HOST }, icmp(135, body))),
      ethernet(ipv4({ from: SOURCE, to: HOST }, icmp(3, body))),
      ping(SOURCE, HOST),
      ping('::5', HOST6),
    ];
    expect(verdictsOf(others)).toEqual(all(others.length, 'drop-confined'));
  });

  test('no fragment passes, the first neither, nor what is cut short; an atomic fragment is whole', async () => {
    const { fromPort } = await connect(trapPort);
    const big = tcp({ from: fromPort, to: trapPort, flags: 'PA', payload: new Uint8Array(2_000) });
    const six = { from: '::5', to: HOST6 };
    const cutShort = everyTruncation(segment(SOURCE, HOST, trapPort, 'A', fromPort), 34);
    const frames = [
      ...ipv4Fragments({ from: SOURCE, to: HOST }, big, 1_480).map(packet => ethernet(packet)),
      ...ipv4Fragments({ from: SOURCE, to: HOST }, udp({ to: A, payload: new Uint8Array(2_000) }), 1_480).map(packet => ethernet(packet)),
      ethernet(ipv6({ ...six, extensions: [fragmentHeader({ offset: 0, more: true })] }, tcp({ to: A }))),
      ethernet(ipv6({ ...six, extensions: [fragmentHeader({ offset: 8, more: false })] }, tcp({ to: A }))),
      ...cutShort,
    ];
    expect(verdictsOf(frames)).toEqual(all(frames.length, 'drop-confined'));
    expect(verdictsOf([ethernet(ipv6({ ...six, extensions: [fragmentHeader({ offset: 0, more: false })] }, tcp({ to: A })))])).toEqual(['pass']);
  });

  test('what is not for this host is dropped: forwarded, broadcast, multicast', () => {
    const frames = ['192.0.2.9', '255.255.255.255', '224.0.0.1'].flatMap(to => [syn(SOURCE, to, A), datagram(SOURCE, to, A)]);
    expect(verdictsOf(frames)).toEqual(all(frames.length, 'drop-confined'));
  });
});

describe('what follows', () => {
  test('with dead traps, or without their mark, a confined source is dropped like a banned one', async () => {
    const { fromPort } = await connect(trapPort);
    const frames = [segment(SOURCE, HOST, trapPort, 'PA', fromPort), syn(SOURCE, HOST, A), datagram(SOURCE, HOST, A)];
    expect(verdictsOf(frames)).toEqual(all(3, 'pass'));
    expect(verdictsOf(frames, scenarioOf({ heartbeatNs: -10n * SECOND }))).toEqual(all(3, 'drop-confined'));
    expect(verdictsOf(frames, scenarioOf({ heartbeatNs: null }))).toEqual(all(3, 'drop-confined'));
    expect(verdictsOf(frames, scenarioOf({}, { trapMark: 0 }))).toEqual(all(3, 'drop-confined'));
    expect(verdictsOf(frames, scenarioOf({}, { trapPort: 0, trapUdpPort: 0 }))).toEqual(['pass', 'drop-confined', 'drop-confined']);
  });

  test('an ALLOW rule wins, a confined ban ends, and a full one is a ban', () => {
    const frames = [syn(SOURCE, HOST, servedPort), syn(SOURCE, HOST, A)];
    const allow = [{ prefix: `${SOURCE}/32`, action: 'allow', expiresNs: null }] as const;
    expect(verdictsOf(frames, scenarioOf({ rules: allow }))).toEqual(all(2, 'pass-allowed'));
    expect(verdictsOf(frames, scenarioOf({ bans: [{ target: SOURCE, expiresNs: -2n * SECOND, confined: true }] }))).toEqual(all(2, 'pass'));
    expect(verdictsOf(frames, scenarioOf({ bans: [{ target: SOURCE, expiresNs: null }] }))).toEqual(all(2, 'drop-ban'));
  });

  test('a scan of traps is counted, told and shunned as ever, but goes on', () => {
    const frames = [A, B, C, D].flatMap(port => [syn(SOURCE, HOST, port), datagram(SOURCE, HOST, port)]);
    const { verdicts, events } = play(scenarioOf(), frames);
    expect(verdicts).toEqual(all(8, 'pass'));
    expect(kindsOf(events)).toEqual([...all(3, 'touch'), 'scan', 'touch', 'scan', ...all(4, 'touch')]);
    expect(events.filter(event => event.startsWith('scan'))).toEqual([
      expect.stringMatching(/syn-scan.*shun 60000 ms, pass/),
      expect.stringMatching(/udp-scan.*, pass/),
    ]);
    expect([...kernel.remains().shuns.keys()]).toHaveLength(1);
    const shuns = [{ source: SOURCE, kinds: ['tcp', 'udp'], expiresNs: 60n * SECOND, repeats: 0 }] as const;
    expect(verdictsOf(frames, scenarioOf({ shuns }, { mode: 'lockdown' }))).toEqual(all(8, 'pass'));
  });

  test('openings above the rate are dropped as the flood that they are, told once, and pass again when it is over', () => {
    const frames = Array.from({ length: 30 }, () => syn(SOURCE, HOST, A));
    const { verdicts, events } = play(scenarioOf({}, { synPerSecond: 20 }), frames);
    expect(verdicts).toEqual([...all(20, 'pass'), ...all(10, 'drop-flood')]);
    expect(kindsOf(events)).toEqual(['touch', 'flood']);
    expect([...kernel.remains().shuns.values()]).toEqual([expect.stringContaining('x0')]); // and is not prolonged by each packet
    const datagrams = Array.from({ length: 30 }, () => datagram(SOURCE, HOST, A));
    expect(verdictsOf(datagrams, scenarioOf({ proven: [{ source: SOURCE, atNs: -SECOND }] }, { udpPerSecond: 20 }))).toEqual([
      ...all(20, 'pass'),
      ...all(10, 'drop-policed'),
    ]);
  });

  test('observe and pause let everything pass and count it apart', () => {
    const frames = [syn(SOURCE, HOST, servedPort), syn(SOURCE, HOST, A)];
    for (const [settings, bank] of [
      [{ mode: 'observe' }, 'would'],
      [{ pausedUntilNs: 60n * SECOND }, 'paused'],
    ] as const) {
      const { verdicts, banks, dropped } = play(scenarioOf({}, settings), frames);
      expect([verdicts, banks, dropped]).toEqual([
        ['drop-confined', 'pass'],
        [bank, bank],
        [false, false],
      ]);
    }
  });

  test('the first drop of a confined ban is told, the drops are counted', () => {
    const { events } = play(
      scenarioOf(),
      Array.from({ length: 3 }, () => ping(SOURCE, HOST)),
    );
    expect(events).toEqual([expect.stringMatching(/^ban-hit .*drop-confined$/)]);
    expect(kernel.drops('ban4')).toEqual([3n]);
  });
});
