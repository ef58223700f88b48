/** Datagrams to closed ports of a whole enforcer, from a host next door: who answers, from where, how much, and what the log says of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEnforcerHost, type EnforcerHost, eventually } from '#test/support/enforcer.ts';
import { createLab, type Lab, type Namespace } from '#test/support/namespaces.ts';

const HOST = '10.79.0.1';
const HOST6 = 'fd79::1';
const FRIEND = '10.79.0.119'; // on the allow-list: heard, never barred
const FRIEND6 = 'fd79::119';

interface Row {
  readonly kind: string;
  readonly source: string;
  readonly port: number | null;
  readonly protocol: string | null;
  readonly tier: string;
}

let lab: Lab;
beforeAll(() => {
  lab = createLab();
});
afterAll(() => lab.remove());

function pair(label: string): { readonly host: Namespace; readonly outside: Namespace } {
  const host = lab.namespace(`${label}h`);
  const outside = lab.namespace(`${label}o`);
  lab.link(
    { namespace: host, device: 'eth0', addresses: [`${HOST}/24`, `${HOST6}/64`] },
    { namespace: outside, device: 'eth0', addresses: [`${FRIEND}/24`, `${FRIEND6}/64`] },
  );
  return { host, outside };
}

/** Sends one datagram and says what came back within its patience: from which port, how many bytes. */
async function ask(outside: Namespace, from: string, to: string, port: number, hex: string, { fromPort = 0, patience = 1 } = {}): Promise<string> {
  const script = `
import socket
s = socket.socket(socket.${to.includes(':') ? 'AF_INET6' : 'AF_INET'}, socket.SOCK_DGRAM)
s.bind(('${from}', ${fromPort})); s.settimeout(${patience})
s.sendto(bytes.fromhex('${hex}'), ('${to}', ${port}))
try:
    got, place = s.recvfrom(65535)
    print(place[0], place[1], len(got))
except Exception as error:
    print(type(error).__name__)`;
  return (await outside.run(['python3', '-c', script])).stdout.trim();
}

const NTP = `1b${'00'.repeat(47)}`;
const SNMP = '302902010004067075626c6963a01c02044c33a756020100020100300e300c06082b060102010101000500';
const SIP = Buffer.from(
  'OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/UDP nm;branch=foo\r\nFrom: <sip:nm@nm>;tag=root\r\nTo: <sip:nm2@nm2>\r\nCall-ID: 50000\r\nCSeq: 42 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\nContact: <sip:nm@nm>\r\nAccept: application/sdp\r\n\r\n',
).toString('hex');

describe('an enforcer with every port a trap', () => {
  let host: Namespace;
  let outside: Namespace;
  let enforcer: EnforcerHost;
  beforeAll(async () => {
    ({ host, outside } = pair('all'));
    enforcer = createEnforcerHost(host, `interfaces: [eth0]\nallow: [${FRIEND}, ${FRIEND6}]\ntraps: { ports: all }\nlog: { level: warn }\n`);
    await enforcer.run().ready();
    await eventually('datagrams are answered', async () => (await ask(outside, FRIEND, HOST, 123, NTP, { patience: 0.3 })) === `${HOST} 123 48`);
    await sleep(1_100); // what that cost of the source's rate is there again
  });
  afterAll(() => enforcer?.remove());

  const rows = () => enforcer.json<Row[]>(['events', 'list', '--limit', '1000']);

  test('answers from the port that was asked, over IPv4 and IPv6, with no more bytes than it got', async () => {
    expect(await ask(outside, FRIEND, HOST, 123, NTP)).toBe(`${HOST} 123 48`);
    expect(await ask(outside, FRIEND6, HOST6, 123, NTP)).toBe(`${HOST6} 123 48`);
    for (const [port, question] of [
      [161, SNMP],
      [5060, SIP],
    ] as const) {
      const [, from, length = ''] = (await ask(outside, FRIEND, HOST, port, question)).split(' ');
      // A shorter question than the true answer gets none.
      if (from !== undefined) expect([Number(from), Number(length) <= question.length / 2]).toEqual([port, true]);
    }
  });

  test('one port of a source that asks many gets each answer from where it was asked', async () => {
    const script = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('${FRIEND}', 45000)); s.settimeout(1)
sip, ntp = bytes.fromhex('${SIP}'), bytes.fromhex('${NTP}')
for port, what in ((123, ntp), (5060, sip), (123, ntp)): s.sendto(what, ('${HOST}', port))
print(sorted(s.recvfrom(65535)[1][1] for _ in range(3)))`;
    await sleep(1_100);
    expect((await outside.run(['python3', '-c', script])).stdout.trim()).toBe('[123, 123, 5060]');
  });

  test('is in the log as what it is: a word of nobody who is proven', async () => {
    await eventually('the log tells of it', async () => (await rows()).some(({ source, port }) => source === FRIEND && port === 5060));
    const told = (await rows()).filter(({ protocol }) => protocol !== null && ['ntp', 'sip', 'udp'].includes(protocol));
    expect(new Set(told.map(({ tier }) => tier))).toEqual(new Set(['E0']));
    expect((await enforcer.json<unknown[]>(['bans', 'list'])).length).toBe(0);
  });

  test('nmap names its UDP services', async () => {
    await sleep(1_100);
    const scanned = await outside.run(['nmap', '-n', '-Pn', '-sU', '-sV', '-p', '53,123', HOST]);
    const named = [...scanned.stdout.matchAll(/^(\d+)\/udp\s+open\s+(\S+)/gm)].map(([, port, name]) => `${port} ${name}`);
    expect(named, scanned.stdout).toEqual(['53 domain', '123 ntp']);
  });

  test('a flood of datagrams from sources without end stops neither the TCP traps nor the loop', async () => {
    const flood = outside.start([
      'python3',
      '-c',
      `
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('${FRIEND}', 0))
end = time.time() + 4
while time.time() < end:
    for port in range(20000, 20500): s.sendto(b'flood flood flood', ('${HOST}', port))
    time.sleep(0.002)`,
    ]);
    try {
      await sleep(1_000);
      const startedMs = performance.now();
      const greeted = await outside.run([
        'python3',
        '-c',
        `
import socket
s = socket.create_connection(('${HOST}', 21), 2, ('${FRIEND}', 0)); s.settimeout(2); print(s.recv(100))`,
      ]);
      expect(greeted.stdout).toContain('220');
      expect(performance.now() - startedMs).toBeLessThan(2_500);
    } finally {
      flood.kill('SIGKILL');
    }
  });
});

test('where no UDP socket can be opened, that is said, and the TCP traps work', async () => {
  const { host, outside } = pair('few');
  // Two ports to choose from, and both are taken for UDP.
  await host.run(['sysctl', '-qw', 'net.ipv4.ip_local_port_range=50000 50001']);
  const taken = host.start(
    [
      'python3',
      '-c',
      "import socket,time\nfor port in (50000, 50001):\n    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', port)); globals()[f's{port}'] = s\nprint('taken', flush=True); time.sleep(60)",
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await new Promise(resolve => taken.stdout?.once('data', resolve));
  const enforcer = createEnforcerHost(host, `interfaces: [eth0]\nallow: [${FRIEND}]\ntraps: { ports: [21, "123/udp"] }\nlog: { level: warn }\n`);
  try {
    const running = enforcer.run();
    await running.ready();
    expect(running.output()).toMatch(/degraded: no UDP socket can be opened for the traps.*UDP ports are no traps; "ss -lnu"/);
    const { degraded } = await enforcer.json<{ degraded: { part: string; why: string }[] }>(['status']);
    expect(degraded).toContainEqual(expect.objectContaining({ part: 'traps', why: expect.stringContaining('UDP') }));
    const greet = ['python3', '-c', `import socket\ns = socket.create_connection(('${HOST}', 21), 2, ('${FRIEND}', 0)); s.settimeout(2); print(s.recv(100))`];
    await eventually('FTP greets', async () => (await outside.run(greet, { mayFail: true })).stdout.includes('220'));
    expect(await ask(outside, FRIEND, HOST, 123, NTP)).toBe('TimeoutError');
  } finally {
    taken.kill('SIGKILL');
    await enforcer.remove();
  }
});
