/** What else a host may do while its closed ports are traps: start daemons on them, stand before containers, serve clients that come all day. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BanRow, EventRow, ExplainReport, StatusReport } from '#enforcer/control/operations.ts';
import { createEnforcerHost, type EnforcerHost, eventually } from '#test/support/enforcer.ts';
import { createLab, type Lab, type Namespace } from '#test/support/namespaces.ts';

const HOST = '10.79.0.1';
/** On the allow-list; what touches traps and must stay comes from it. */
const SCANNER = '10.79.0.99';
/** The server that the container asks is the first, from which a socket of no address of its own answers. */
const [SERVER, CLIENT, TOUCHES] = ['10.79.0.100', '10.79.0.101', '10.79.0.110'];
const CONTAINER = '10.98.0.2';
/** On the host, for the container's 80 and 53; and what the server outside has. */
const [PUBLISHED, PUBLISHED_UDP, LATE, ABROAD] = [8_080, 8_053, 8_099, 9_000] as const;
const RULES = `
table ip nat {
  chain pre { type nat hook prerouting priority dstnat;
    iifname "eth0" tcp dport ${PUBLISHED} dnat to ${CONTAINER}:80
    iifname "eth0" udp dport ${PUBLISHED_UDP} dnat to ${CONTAINER}:53
  }
  chain post { type nat hook postrouting priority srcnat; oifname "eth0" masquerade; }
}`;

/** Answers with its name, over TCP and UDP. */
const SPEAKER = `
import socket, sys, threading
name, tcp_port, udp_port = sys.argv[1].encode(), int(sys.argv[2]), int(sys.argv[3])
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(('0.0.0.0', udp_port))
tcp = socket.create_server(('0.0.0.0', tcp_port), backlog=64)
def datagrams():
    while True: udp.sendto(name, udp.recvfrom(100)[1])
threading.Thread(target=datagrams, daemon=True).start()
print('ready', flush=True)
while True:
    visitor, _ = tcp.accept(); visitor.sendall(name); visitor.close()`;

/** Asks HOST, TCP port and UDP port as often as it is told, from an address (and from source ports of its own, one after the other); prints what answered, each once. */
const ASKER = `
import socket, sys
address, to, tcp_port, udp_port, times, from_port = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:7])
said = set()
def heard(kind, how):
    try: said.add(f'{kind} {how().decode()}')
    except Exception as error: said.add(f'{kind} {type(error).__name__}')
def tcp(port):
    c = socket.create_connection((to, tcp_port), 0.7, (address, port)); c.settimeout(0.7); return c.recv(100)
def udp(port):
    c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); c.bind((address, port)); c.settimeout(0.7); c.sendto(b'who', (to, udp_port)); return c.recv(100)
for at in range(times):
    heard('tcp', lambda: tcp(from_port and from_port + at)); heard('udp', lambda: udp(from_port and from_port + at))
print(', '.join(sorted(said)))`;

let lab: Lab;
let host: Namespace;
let outside: Namespace;
let container: Namespace;
let enforcer: EnforcerHost;

beforeAll(async () => {
  lab = createLab();
  host = lab.namespace('host');
  outside = lab.namespace('outside');
  container = lab.namespace('container');
  lab.link(
    { namespace: host, device: 'eth0', addresses: [`${HOST}/24`] },
    { namespace: outside, device: 'eth0', addresses: [SERVER, CLIENT, TOUCHES, SCANNER].map(address => `${address}/24`) },
  );
  lab.link({ namespace: host, device: 'bridge0', addresses: ['10.98.0.1/24'] }, { namespace: container, device: 'eth0', addresses: [`${CONTAINER}/24`] });
  lab.ip(['route', 'add', 'default', 'via', '10.98.0.1'], container);
  await host.run(['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
  await host.run(['nft', '-f', '-'], { input: RULES });
  await Promise.all([speak(container, 'container', 80, 53), speak(outside, 'abroad', ABROAD, ABROAD)]);
  enforcer = createEnforcerHost(host, `interfaces: [eth0]\nallow: [${SCANNER}]\nlog: { level: warn }\ntraps: { ports: all }\n`);
  await enforcer.run().ready();
  await eventually('traps answer', async () => (await enforcer.json<StatusReport>(['status'])).traps.running);
});
afterAll(async () => {
  try {
    await enforcer.remove();
  } finally {
    lab.remove();
  }
});

async function speak(namespace: Namespace, ...args: readonly (string | number)[]): Promise<void> {
  const speaker = namespace.start(['python3', '-c', SPEAKER, ...args.map(String)], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(speaker.stdout ?? speaker, 'data');
}

async function asked(from: Namespace, address: string, to: string, ports: readonly [tcp: number, udp: number], times = 1, fromPort = 0): Promise<string> {
  return (await from.run(['python3', '-c', ASKER, address, to, ...[...ports, times, fromPort].map(String)])).stdout.trim();
}

const published = (address: string, times?: number): Promise<string> => asked(outside, address, HOST, [PUBLISHED, PUBLISHED_UDP], times);
const abroad = (times?: number, fromPort?: number): Promise<string> => asked(container, CONTAINER, SERVER, [ABROAD, ABROAD], times, fromPort);

async function steered(): Promise<readonly number[]> {
  const { packets } = await enforcer.json<StatusReport>(['status']);
  return [packets.steered ?? 0, packets['steered-udp'] ?? 0];
}

/** Neither banned nor confined, and of none of them there is a word anywhere: no row, no port in the kernel's memory, no shun. */
async function expectUnsighted(...addresses: readonly string[]): Promise<void> {
  for (const address of addresses) {
    const [bans, events, { verdict, kernel }] = await Promise.all([
      enforcer.json<BanRow[]>(['bans', 'list', '--target', address]),
      enforcer.json<EventRow[]>(['events', 'list', '--source', address]),
      enforcer.json<ExplainReport>(['explain', address]),
    ]);
    expect({ address, bans, events, verdict, kernel }).toMatchObject({ bans: [], events: [], verdict: 'free', kernel: { ports: [], shun: null } });
  }
}

test('what a container asks outside and what is published of it work as ever, and meet no trap', async () => {
  const before = await steered();
  expect(await abroad(20)).toBe('tcp abroad, udp abroad');
  expect(await published(CLIENT, 20)).toBe('tcp container, udp container');
  expect(await steered()).toEqual(before);
  await expectUnsighted(CLIENT, SERVER);
  // Another is published now; the last test asks it.
  await host.run([
    'nft',
    `add rule ip nat pre iifname "eth0" tcp dport ${LATE} dnat to ${CONTAINER}:80; add rule ip nat pre iifname "eth0" udp dport ${LATE} dnat to ${CONTAINER}:53`,
  ]);
});

test('a container may ask from whatever ports it likes: whom it asks is not taken for a scanner', async () => {
  const before = await steered();
  expect(await abroad(8, 20_000)).toBe('tcp abroad, udp abroad');
  expect(await steered()).toEqual(before);
  await expectUnsighted(SERVER);
});

test('who touches a trap of the host is cut off from the published ports, and nobody else is', async () => {
  const script = `import socket, time\nc = socket.create_connection(('${HOST}', 22), 2, ('${TOUCHES}', 0)); print(c.recv(4), flush=True); time.sleep(20)`;
  const talk = outside.start(['python3', '-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await eventually('it is confined', async () => (await enforcer.json<BanRow[]>(['bans', 'list', '--target', TOUCHES]))[0]?.confined === true);
  expect(await published(TOUCHES)).toBe('tcp TimeoutError, udp TimeoutError');
  expect(await published(CLIENT, 5)).toBe('tcp container, udp container');
  expect(await abroad(5)).toBe('tcp abroad, udp abroad');
  talk.kill('SIGKILL');
  await expectUnsighted(CLIENT, SERVER);
});

interface Daemon {
  readonly name: string;
  readonly port: number;
  /** What traps and the daemon are asked alike; the answer tells them apart. */
  readonly questions: readonly (readonly string[])[];
  readonly real: RegExp;
  /** What it is asked afterwards, where that is another question; the counters of steering tell that no trap answers. */
  readonly again?: readonly [question: readonly string[], answer: RegExp];
  /** The configuration it wants, and its command line given the file of it and a folder for what it writes. */
  readonly config: string;
  readonly command: (config: string, folder: string) => readonly string[];
}

const dig = (...more: readonly string[]): readonly string[] => ['dig', '+short', '+time=1', '+tries=1', ...more, `@${HOST}`, 'real.example'];

/** A client's question of 48 bytes (RFC 5905), and how much of an answer came within a second. */
const NTP_QUESTION = [
  'python3',
  '-c',
  `import socket\nc = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); c.settimeout(1); c.sendto(b'\\x23' + bytes(47), ('${HOST}', 123))\nprint(len(c.recv(512)), 'bytes')`,
] as const;

const DAEMONS: readonly Daemon[] = [
  {
    name: 'dnsmasq',
    port: 53,
    questions: [dig(), dig('+tcp')],
    real: /^10\.1\.2\.3$/m,
    config: 'no-resolv\nno-hosts\naddress=/real.example/10.1.2.3\n',
    command: config => ['dnsmasq', '-k', '-C', config, '--user=root', '--pid-file=', '--log-facility=-'],
  },
  {
    name: 'snmpd',
    port: 161,
    questions: [['snmpget', '-m', '', '-v2c', '-c', 'public', '-t', '1', '-r', '0', HOST, '1.3.6.1.2.1.1.4.0']],
    real: /the real one/,
    config: 'rocommunity public\nsysContact the real one\n',
    command: (config, folder) => ['env', 'MIBS=', `SNMP_PERSISTENT_DIR=${folder}`, 'snmpd', '-f', '-Lo', '-C', '-c', config, 'udp:161'],
  },
  {
    // No server above it, so it serves as an orphan, of a stratum that no trap has; and without the capability that sets this machine's clock.
    name: 'ntpd',
    port: 123,
    questions: [['ntpdig', '-t', '1', HOST]],
    real: / s11 no-leap/,
    again: [NTP_QUESTION, /^48 bytes/], // ntpdig is choosy: of a clock that nobody disciplines it soon takes no answer
    config: 'tos orphan 11 orphanwait 1\nrestrict default\n', // ntpsec limits by itself how often one may ask
    command: (config, folder) => [
      'setpriv',
      '--bounding-set',
      '-sys_time',
      '--inh-caps',
      '-sys_time',
      'ntpd',
      '-n',
      '-c',
      config,
      '-p',
      join(folder, 'ntpd.pid'),
    ],
  },
];

/** From here on, what binds to no address leaves from this one. */
const speakAs = (address: string): string =>
  lab.ip(['route', 'replace', '10.79.0.0/24', 'dev', 'eth0', 'proto', 'kernel', 'scope', 'link', 'src', address], outside);
const answer = async (question: readonly string[]): Promise<string> => (await outside.run(question, { mayFail: true })).stdout;

test('dnsmasq, snmpd and ntpd start at the first try on ports where a trap talks right then, and serve all who ask from then on', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'honeymesh-test-'));
  try {
    speakAs(SCANNER);
    const before = await steered();
    for (const { questions, real } of DAEMONS) for (const question of questions) expect(await answer(question)).not.toMatch(real);
    const [sessions = 0, datagrams = 0] = (await steered()).map((count, at) => count - (before[at] ?? 0));
    expect(sessions).toBeGreaterThanOrEqual(1);
    expect(datagrams).toBeGreaterThanOrEqual(DAEMONS.length);
    const open = outside.start(
      ['python3', '-c', `import socket, time\nc = socket.create_connection(('${HOST}', 53)); print('open', flush=True); time.sleep(20)`],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    await once(open.stdout ?? open, 'data');
    speakAs(CLIENT);
    await Promise.all(DAEMONS.map(daemon => serves(daemon, folder)));
    await expectUnsighted(CLIENT);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** Starts it once and asks when it listens: what answers is the daemon, though it may take its time (ntpd), and it is no trap. */
async function serves({ name, port, questions, real, again, config, command }: Daemon, folder: string): Promise<void> {
  const file = join(folder, `${name}.conf`);
  writeFileSync(file, config);
  const daemon = host.start(command(file, folder), { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [daemon.stdout, daemon.stderr]) stream?.on('data', chunk => (said += chunk));
  await eventually(`${name} listens`, async () => {
    if (daemon.exitCode !== null) throw new Error(`${name} ended with ${daemon.exitCode}:\n${said}`);
    return (await host.run(['ss', '-Hlun', `sport = :${port}`])).stdout.includes(`:${port}`);
  });
  const before = await steered();
  await eventually(`${name} serves`, async () => real.test(await answer(questions[0] ?? [])));
  // A datagram may be lost and a busy daemon may leave one out: who asks again is answered, and by nobody else.
  const [repeated, wanted] = again === undefined ? [questions, real] : [[again[0]], again[1]];
  for (const question of [...repeated, ...repeated]) await eventually(`${name} answers again`, async () => wanted.test(await answer(question)));
  expect(await steered()).toEqual(before);
  daemon.kill('SIGKILL');
}

test('a port that is published while the enforcer runs is known within ten seconds, and nobody who came before is barred', async () => {
  await eventually('it is known', async () => (await asked(outside, CLIENT, HOST, [LATE, LATE])) === 'tcp container, udp container');
  expect(await enforcer.json<BanRow[]>(['bans', 'list', '--target', CLIENT])).toEqual([]);
});
