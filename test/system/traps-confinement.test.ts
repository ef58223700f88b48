/** Who touches a trap is held to the traps and heard out: nothing of a real service meanwhile, on connections of before neither; then a full ban, whatever it does. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { BanRow, EventRow, ExplainReport, StatusReport } from '#enforcer/control/operations.ts';
import type { Finding } from '#enforcer/health/findings.ts';
import { childrenOf, createEnforcerHost, type EnforcerHost, eventually, type RunningEnforcer } from '#test/support/enforcer.ts';
import { createLab, type Lab, type Namespace } from '#test/support/namespaces.ts';

const HOST = '10.79.0.1';
const MONITOR = '10.79.0.99'; // allow-listed
const REAL = 8080;
/** SNMPv2c get of 1.3.6.1.2.1, community public; the answer is as long. */
const SNMP_GET = '302602010104067075626c6963a01902047a6b2f0a020100020100300b300906052b060102010500';

let lab: Lab;
let host: Namespace;
let outside: Namespace;
let enforcer: EnforcerHost | undefined;
let lastSource = 100;
/** A source that nobody has heard of yet. */
const stranger = (): string => `10.79.0.${lastSource++}`;

beforeAll(() => {
  lab = createLab();
  host = lab.namespace('host');
  outside = lab.namespace('outside');
  const sources = Array.from({ length: 40 }, (_, at) => `10.79.0.${100 + at}/24`);
  lab.link(
    { namespace: host, device: 'eth0', addresses: [`${HOST}/24`, 'fd79::1/64'] },
    { namespace: outside, device: 'eth0', addresses: ['10.79.0.2/24', `${MONITOR}/24`, ...sources, 'fd79::2/64'] },
  );
  // The real service: echoes over TCP and UDP, on both families.
  host.start([
    'python3',
    '-c',
    `
import socketserver
class Tcp(socketserver.BaseRequestHandler):
    def handle(self):
        while True:
            data = self.request.recv(100)
            if not data: return
            self.request.sendall(b'real ' + data)
class Udp(socketserver.BaseRequestHandler):
    def handle(self): self.request[1].sendto(b'real ' + self.request[0], self.client_address)
import threading, socket
class Server(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6; allow_reuse_address = True; daemon_threads = True
class UdpServer(socketserver.ThreadingUDPServer):
    address_family = socket.AF_INET6
threading.Thread(target=UdpServer(('::', ${REAL}), Udp).serve_forever, daemon=True).start()
Server(('::', ${REAL}), Tcp).serve_forever()`,
  ]);
});
afterEach(async () => {
  await enforcer?.remove();
  enforcer = undefined;
});
afterAll(() => lab.remove());

async function start(config: string): Promise<RunningEnforcer> {
  enforcer = createEnforcerHost(host, `interfaces: [eth0]\nallow: [${MONITOR}]\nlog: { level: warn }\n${config}`);
  const running = enforcer.run();
  await running.ready();
  await eventually('traps answer', async () => (await enforcer?.json<StatusReport>(['status']))?.traps.running === true);
  return running;
}

const ask = <T>(...args: readonly string[]): Promise<T> => (enforcer as EnforcerHost).json<T>(args);
const banOf = async (source: string): Promise<BanRow | undefined> => (await ask<BanRow[]>('bans', 'list')).find(row => row.target === `${source}/32`);
const isBanned = (source: string) => eventually(`${source} is banned in full`, async () => (await banOf(source))?.confined === false);

/** A Python script of one source next door; \`s(PORT)\` connects, \`say(socket, bytes)\` sends and gives what came within half a second. Prints come back as lines. */
async function act(source: string, script: string, to = HOST): Promise<readonly string[]> {
  const { stdout } = await outside.run([
    'python3',
    '-c',
    `
import socket, time
FAMILY = socket.AF_INET6 if ':' in '${to}' else socket.AF_INET
def s(port, patience=1.0):
    c = socket.socket(FAMILY); c.bind(('${source}', 0)); c.settimeout(patience); c.connect(('${to}', port)); return c
def hear(c, wait=0.5):
    c.settimeout(wait)
    try: return c.recv(300)
    except Exception as error: return type(error).__name__.encode()
def say(c, data, wait=0.5):
    c.sendall(data); return hear(c, wait)
def udp(port, data, wait=0.5):
    c = socket.socket(FAMILY, socket.SOCK_DGRAM); c.bind(('${source}', 0)); c.sendto(data, ('${to}', port)); return hear(c, wait)
def fails(what):
    try: what(); return 'reached'
    except Exception as error: return type(error).__name__
${script}`,
  ]);
  return stdout.trim().split('\n');
}

const pings = async (source: string): Promise<boolean> => (await outside.run(['ping', '-c1', '-W1', '-I', source, HOST], { mayFail: true })).code === 0;

describe('listen', () => {
  test('a source that touched a trap reaches traps, but not one byte of a real service, on an open connection neither; then it is banned in full', async () => {
    await start('traps: { ports: [22, 6379, "161/udp"], deadline: 6s }\n');
    const source = stranger();
    const said = act(
      source,
      `
before = s(${REAL}); print(say(before, b'one').decode())
trap = s(22); print(hear(trap).decode()[:8])
time.sleep(0.3)
print(say(before, b'two').decode())
print(fails(lambda: s(${REAL}, 0.5)))
print(udp(${REAL}, b'three').decode())
other = s(6379); print(say(other, b'PING\\r\\n').decode().strip())
time.sleep(1)
print('done')`,
    );
    await eventually('it is confined', async () => (await banOf(source))?.confined === true);
    expect(await banOf(source)).toMatchObject({ tier: 'E1', reasons: ['trap-touch'], origins: ['trap'], enforced: true, fullAt: expect.any(String) });
    const report = await ask<ExplainReport>('explain', source);
    expect(report).toMatchObject({ verdict: 'confined', sharable: { yes: false } });
    expect(await pings(source)).toBe(false);
    expect((await ask<StatusReport>('status')).traps).toMatchObject({ confined: 1, ports: [22, 6379], udpPorts: [161], choice: 'list', patience: 'listen' });
    expect(await said).toEqual(['real one', 'SSH-2.0-', 'TimeoutError', 'TimeoutError', 'TimeoutError', '+PONG', 'done']);
    await isBanned(source);
    expect(await act(source, `print(fails(lambda: s(22, 0.5)))`)).toEqual(['TimeoutError']);
    const status = await ask<StatusReport>('status');
    expect(status.traps.confined).toBe(0);
    expect(status.packets['drop-confined']).toBeGreaterThan(2);
    expect((await ask<ExplainReport>('explain', source)).steps.map(step => step.what)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^confined .* to the traps for up to 1m \(trap-touch, E1\)$/),
        expect.stringMatching(/^banned .*: (its session ended|hostile content)$/),
      ]),
    );
  });

  test('hostile content ends the patience at once: banned for it, the session cut off, and what was said is in the receipt', async () => {
    await start('traps: { ports: [6379] }\n');
    const source = stranger();
    const said = await act(
      source,
      `
c = s(6379); print(say(c, b'CONFIG SET dir /var/spool/cron/\\r\\n').decode()[:3])
c.sendall(b'CONFIG SET dbfilename root\\r\\n'); time.sleep(0.5)
print(fails(lambda: s(6379, 0.5)))`,
    );
    expect(said.at(-1)).toBe('TimeoutError');
    await isBanned(source);
    expect(await banOf(source)).toMatchObject({ tier: 'E2', reasons: expect.arrayContaining(['trap-touch']) });
    await eventually('its receipt is there', async () => (await ask<ExplainReport>('explain', source)).receipts.length > 0);
    const { receipts } = await ask<ExplainReport>('explain', source);
    expect(receipts[0]).toMatchObject({ port: 6379, trap: 'redis', end: 'banned' });
    expect(receipts[0]?.rules.length).toBeGreaterThan(0);
    expect(Buffer.from(receipts[0]?.head ?? '', 'base64').toString('latin1')).toContain('CONFIG SET dir /var/spool/cron/');
    const { stdout } = await (enforcer as EnforcerHost).honeymesh(['explain', source]);
    expect(stdout).toContain('What it said in the traps:');
    expect(stdout).toContain('CONFIG SET dir /var/spool/cron/');
  });

  test('the third port ends it too, and IPv6 sources are confined like others', async () => {
    await start('traps: { ports: [22, 23, 25, 6379] }\n');
    const source = stranger();
    // The third may come before the confinement does: then it is the packet that makes a scan, and its retransmission a second later is the touch.
    await act(source, 'cs = [s(port, 3) for port in (22, 23, 25)]; time.sleep(0.3)');
    await isBanned(source);
    expect((await ask<EventRow[]>('events', 'list', '--kind', 'ban')).map(row => row.summary)).toContainEqual(
      expect.stringMatching(/it had touched three traps$/),
    );
    const said = await act(
      'fd79::2',
      `
before = s(${REAL}); print(say(before, b'one').decode())
trap = s(6379); print(say(trap, b'PING\\r\\n').decode().strip()); time.sleep(0.3)
print(say(before, b'two').decode())`,
      'fd79::1',
    );
    expect(said).toEqual(['real one', '+PONG', 'TimeoutError']);
  });

  test('an allow-listed source is never confined, whatever it says, and a touch of nobody else disturbs it', async () => {
    await start('traps: { ports: [22, 23, 25, 6379] }\n');
    const said = await act(
      MONITOR,
      `
before = s(${REAL})
for port in (22, 23, 25): s(port)
c = s(6379); print(say(c, b'CONFIG SET dir /var/spool/cron/\\r\\n').decode().strip())
print(say(before, b'still').decode())`,
    );
    expect(said).toEqual(['+OK', 'real still']);
    expect(await ask<BanRow[]>('bans', 'list')).toEqual([]);
    const sessions = async () => (await ask<EventRow[]>('events', 'list', '--source', MONITOR)).filter(row => row.origin === 'trap');
    await eventually('its sessions are rows', async () => (await sessions()).length >= 4, 15_000);
    const rows = await sessions();
    expect(rows.map(row => row.port).sort((one, other) => (one ?? 0) - (other ?? 0))).toEqual([22, 23, 25, 6379]);
    expect(rows.find(row => row.port === 6379)).toMatchObject({ tier: 'E2', detail: { trap: 'redis' } });
  });

  test('a trap process that dies leaves no source confined for good: its time is up all the same', async () => {
    const running = await start('traps: { ports: [22], session: 4s }\n');
    const source = stranger();
    const talk = act(source, 'c = s(22); hear(c); time.sleep(2)');
    await eventually('it is confined', async () => (await banOf(source))?.confined === true);
    for (const pid of trapsOf(running)) process.kill(pid, 'SIGKILL');
    await talk;
    await isBanned(source);
    expect((await ask<StatusReport>('status')).traps.restarts).toBe(1);
    expect((await ask<EventRow[]>('events', 'list', '--kind', 'ban')).map(row => row.summary)).toContainEqual(expect.stringMatching(/its time was up$/));
  });
});

test('a trap process that stands still holds up no ban, is said, ended, counted and started again', async () => {
  const running = await start('traps: { ports: [22], session: 4s }\n');
  const [source, other] = [stranger(), stranger()];
  const talk = act(source, 'c = s(22); hear(c); time.sleep(1)');
  await eventually('it is confined', async () => (await banOf(source))?.confined === true);
  for (const pid of trapsOf(running)) process.kill(pid, 'SIGSTOP');
  const startedMs = performance.now();
  expect(await ask<BanRow>('bans', 'add', other)).toMatchObject({ enforced: true });
  expect(performance.now() - startedMs).toBeLessThan(3_000);
  expect(await pings(other)).toBe(false);
  await Promise.all([talk, isBanned(source)]);
  const traps = async () => (await ask<StatusReport>('status')).traps;
  await eventually('it runs again', async () => (await traps()).restarts === 1 && (await traps()).running, 20_000);
  const said = (await ask<EventRow[]>('events', 'list', '--kind', 'degraded')).map(row => row.summary);
  expect(said).toEqual(
    expect.arrayContaining([expect.stringMatching(/^traps is degraded: the trap process said nothing/), expect.stringMatching(/^traps has recovered/)]),
  );
  await eventually('it answers again', async () => (await act(MONITOR, 'print(fails(lambda: hear(s(22))))'))[0] === 'reached');
});

test('instant: the first touch is the ban', async () => {
  await start('traps: { ports: [22], patience: instant }\n');
  const source = stranger();
  await act(source, 'c = s(22); time.sleep(0.3)');
  expect(await banOf(source)).toMatchObject({ confined: false, fullAt: null, enforced: true });
  expect(await act(source, `print(fails(lambda: s(${REAL}, 0.5)))`)).toEqual(['TimeoutError']);
});

test('study: it is heard again and again, and banned after as many sessions as it is granted', async () => {
  await start('traps: { ports: [6379], patience: study, study: { time: 10m, sessions: 4 } }\n');
  const source = stranger();
  const said = await act(
    source,
    `
for _ in range(4):
    c = s(6379); print(say(c, b'CONFIG SET dir /var/spool/cron/\\r\\n').decode().strip()); c.close(); time.sleep(0.2)
print(fails(lambda: s(6379, 0.5)))`,
  );
  expect(said).toEqual(['+OK', '+OK', '+OK', '+OK', 'TimeoutError']);
  expect(await banOf(source)).toMatchObject({ tier: 'E2', confined: false });
});

test('typical: the ports are this host’s own choice, the same after a restart, and each of them answers', async () => {
  let running = await start('traps: { ports: typical }\n');
  const { ports, udpPorts, choice } = (await ask<StatusReport>('status')).traps;
  expect([choice, ports.length >= 8, ports.includes(22 as never), udpPorts.length >= 2]).toEqual(['typical', true, true, true]);
  const said = await act(MONITOR, `for port in ${JSON.stringify(ports)}: print(fails(lambda: s(port)))`);
  expect(said).toEqual((ports as readonly number[]).map(() => 'reached'));
  await (enforcer as EnforcerHost).honeymesh(['stop']);
  await running.ended;
  running = (enforcer as EnforcerHost).run();
  await running.ready();
  expect((await ask<StatusReport>('status')).traps).toMatchObject({ ports, udpPorts });
});

test('a host firewall before the traps is named by doctor, and the line that it gives admits traps and nothing else', async () => {
  await host.run([
    'nft',
    `add table inet fw; add chain inet fw input { type filter hook input priority 0; policy drop; }; add rule inet fw input ct state established,related accept; add rule inet fw input tcp dport ${REAL} accept; add rule inet fw input iifname lo accept; add rule inet fw input meta l4proto ipv6-icmp accept`,
  ]);
  try {
    await start('traps: { ports: [6379, "161/udp"] }\n');
    const trapped = `c = s(6379, 0.7); print(say(c, b'PING\\r\\n').decode().strip())`;
    expect(await act(MONITOR, `print(fails(lambda: s(6379, 0.7)))`)).toEqual(['TimeoutError']);
    const found = await obstacles();
    expect(found).toMatchObject([{ ok: false, why: expect.stringContaining('chain inet fw input') }]);
    const line = /nft (insert rule .*)$/.exec(found[0]?.fix ?? '')?.[1] ?? '';
    await host.run(['nft', line]);
    expect(await act(MONITOR, trapped)).toEqual(['+PONG']);
    expect(await act(MONITOR, `print(len(udp(161, bytes.fromhex('${SNMP_GET}'), 1.0)))`)).toEqual([String(SNMP_GET.length / 2)]);
    expect(await act(MONITOR, `print(fails(lambda: s(9999, 0.5)))`)).toEqual(['TimeoutError']);
    expect(await obstacles()).toEqual([]);
  } finally {
    await host.run(['nft', 'delete table inet fw']);
  }
});

async function obstacles(): Promise<readonly Finding[]> {
  const { stdout } = await (enforcer as EnforcerHost).honeymesh(['doctor', '-o', 'json'], { mayFail: true });
  return (JSON.parse(stdout) as Finding[]).filter(({ what }) => what === 'host firewall');
}

function trapsOf(running: RunningEnforcer): readonly number[] {
  return childrenOf(running.daemonPid() ?? 0);
}
