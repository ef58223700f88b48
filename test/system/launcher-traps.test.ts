/** The traps behind the kernel's steering, seen from a host next door: what a scanner meets there, and what a real service must never notice. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { childrenOf, createEnforcerHost, type EnforcerHost, eventually, type RunningEnforcer } from '#test/support/enforcer.ts';
import { createLab, type Lab, type Namespace } from '#test/support/namespaces.ts';

const HOST = '10.78.0.1';
/** MariaDB or MySQL 8, as this host's persona has it. */
const MYSQL = /(mysql_native|caching_sha2)_password/;
let lab: Lab;
let host: Namespace;
let outside: Namespace;
let enforcer: EnforcerHost;
let running: RunningEnforcer;

beforeAll(async () => {
  lab = createLab();
  host = lab.namespace('host');
  outside = lab.namespace('outside');
  const sources = Array.from({ length: 20 }, (_, at) => `10.78.0.${100 + at}/24`);
  lab.link(
    { namespace: host, device: 'eth0', addresses: [`${HOST}/24`, 'fd78::1/64'] },
    { namespace: outside, device: 'eth0', addresses: ['10.78.0.2/24', ...sources, 'fd78::2/64'] },
  );
  await host.run([
    'nft',
    'add table ip nat; add chain ip nat pre { type nat hook prerouting priority -100; }; add rule ip nat pre tcp dport 8080-8083 dnat to 10.78.9.9:80',
  ]);
  enforcer = createEnforcerHost(
    host,
    'interfaces: [eth0]\nallow: [10.78.0.119]\nservices: { ports: [9000], grace: 0s }\ntraps: { ports: [22, 3306, 8080, 8081, 8082, 8083, 9000] }\nlog: { level: warn }\n',
  );
  running = enforcer.run();
  await running.ready();
  await eventually('traps answer', async () => (await talk('10.78.0.119', 22)).includes('SSH-2.0-'));
});
afterAll(async () => {
  try {
    await enforcer.remove();
  } finally {
    lab.remove();
  }
});

/** Connects from a source and returns what came, or how it failed. */
async function talk(source: string, port: number, { send = '', wait = 0.4, patience = 2, reads = 1, to = HOST } = {}): Promise<string> {
  const script = `
import socket, time
try:
    s = socket.create_connection(('${to}', ${port}), ${patience}, ('${source}', 0))
    s.settimeout(${wait})
    s.sendall(${JSON.stringify(send)}.encode())
    for _ in range(${reads - 1}): s.recv(200)
    print(s.recv(200))
except Exception as error:
    print(type(error).__name__)`;
  return (await outside.run(['python3', '-c', script], { mayFail: true })).stdout.trim();
}

const reaches = async (source: string): Promise<boolean> => (await outside.run(['ping', '-c1', '-W1', '-I', source, HOST], { mayFail: true })).code === 0;
const isBanned = (source: string) => eventually(`${source} is banned`, async () => !(await reaches(source)));
const trapPid = (): number => childrenOf(running.daemonPid() ?? 0)[0] ?? 0;

/** A real service on a port of the host; `reuse`: with SO_REUSEADDR. Resolves once it listens, rejects where it cannot bind. */
async function serve(port: number, { reuse = true } = {}): Promise<ChildProcess> {
  const script = `
import socket
l = socket.socket()
${reuse ? 'l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)' : ''}
l.bind(('0.0.0.0', ${port})); l.listen(16)
print('listening', flush=True)
while True:
    c, _ = l.accept(); c.sendall(b'real'); c.close()`;
  const service = host.start(['python3', '-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const said = await Promise.race([once(service.stdout ?? service, 'data').then(String), once(service, 'exit').then(() => 'ended')]);
  if (!said.includes('listening')) throw new Error(`the service on ${port} ${said}`);
  return service;
}

test('a scanner that resets right after the handshake, as nmap -sT does, is banned with proof', async () => {
  const source = '10.78.0.100';
  await outside.run(['nmap', '-n', '-Pn', '-sT', '-p', '3306', '--max-retries', '0', HOST], { mayFail: true });
  const script = `
import socket, struct
s = socket.socket(); s.bind(('${source}', 0))
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
s.connect(('${HOST}', 3306)); s.close()`;
  await outside.run(['python3', '-c', script]);
  await isBanned(source);
  const [ban] = (await enforcer.json<{ target: string; tier: string; reasons: string[]; origins: string[] }[]>(['bans', 'list'])).filter(
    one => one.target === `${source}/32`,
  );
  expect(ban).toMatchObject({ tier: 'E1', origins: ['trap'] });
  expect(ban?.reasons).toContain('trap-touch');
});

test('IPv6 is trapped on the same port', async () => {
  const answer = await talk('fd78::2', 22, { to: 'fd78::1' });
  expect(answer).toMatch(/SSH-2\.0-/);
  await eventually('it is banned', async () => (await enforcer.json<{ target: string }[]>(['bans', 'list'])).some(ban => ban.target.startsWith('fd78::')));
});

test('what a source says in a trap is in the log', async () => {
  await talk('10.78.0.119', 9000, { send: 'GET / HTTP/1.0\\r\\n\\r\\n', wait: 0.2 });
  await talk('10.78.0.119', 22, { send: 'root\\n', wait: 0.2 });
  await eventually('the log tells', async () => {
    const events = await enforcer.json<{ kind: string; source: string; port: number; summary: string }[]>(['events', 'list']);
    return events.some(event => event.kind === 'payload' && event.source === '10.78.0.119' && event.port === 22 && event.summary.includes('root'));
  });
});

test('an allow-listed source meets the trap and is not banned', async () => {
  expect(await talk('10.78.0.119', 3306)).toMatch(MYSQL);
  expect(await reaches('10.78.0.119')).toBe(true);
});

test('ports that a firewall rule forwards, or that the configuration names, are neither traps nor closed: no client of theirs is a scanner', async () => {
  const source = '10.78.0.110';
  for (const port of [8080, 8081, 8082, 8083, 9000]) expect(await talk(source, port, { patience: 0.3 })).not.toContain("b'");
  expect(await reaches(source)).toBe(true);
  const events = await enforcer.json<{ source: string }[]>(['events', 'list', '--limit', '1000']);
  expect(events.filter(event => event.source === source)).toEqual([]);
  // The same number of ports that nobody serves is a scan.
  for (const port of [7001, 7002, 7003]) await talk('10.78.0.112', port, { patience: 0.3 });
  await eventually('it is in the log', async () =>
    (await enforcer.json<{ source: string; kind: string }[]>(['events', 'list'])).some(event => event.source === '10.78.0.112' && event.kind === 'scan'),
  );
});

test('a real service that starts on a trap port gets its clients from the first one on, and can bind though a trap session is open', async () => {
  const open = outside.start(['python3', '-c', `import socket, time\ns = socket.create_connection(('${HOST}', 3306), 2, ('10.78.0.119', 0))\ntime.sleep(10)`]);
  await eventually('a trap session is open', async () => (await enforcer.json<{ traps: { sessions: number } }>(['status'])).traps.sessions > 0);
  const service = await serve(3306);
  try {
    for (let times = 0; times < 5; times++) expect(await talk('10.78.0.111', 3306)).toBe("b'real'");
    expect(await reaches('10.78.0.111')).toBe(true);
  } finally {
    service.kill('SIGKILL');
    open.kill('SIGKILL');
  }
  await eventually('the trap answers again', async () => MYSQL.test(await talk('10.78.0.119', 3306)));
});

test('a service that binds without SO_REUSEADDR can do so once no session is open: traps leave no TIME-WAIT', async () => {
  // The client stays: it is the trap's end that closes, and whose TIME-WAIT would stay.
  expect(await talk('10.78.0.119', 22, { reads: 2, wait: 8 })).toBe('ConnectionResetError');
  await eventually('no session is open', async () => (await enforcer.json<{ traps: { sessions: number } }>(['status'])).traps.sessions === 0);
  expect((await host.run(['ss', '-tanH', 'sport = :22'])).stdout).toBe('');
  (await serve(22, { reuse: false })).kill('SIGKILL');
});

test('a stalled trap process is a closed port, not a hang; going on it is a trap again', async () => {
  const pid = trapPid();
  process.kill(pid, 'SIGSTOP');
  try {
    await eventually('the port is closed', async () => (await talk('10.78.0.119', 22)) === 'ConnectionRefusedError', 15_000);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await eventually('the trap answers again', async () => (await talk('10.78.0.119', 22)).includes('SSH-2.0-'), 15_000);
});

test('a trap process that dies is started again, with its listeners; enforcement does not notice', async () => {
  const pid = trapPid();
  process.kill(pid, 'SIGKILL');
  expect(await reaches('10.78.0.100')).toBe(false);
  await eventually('another one runs', () => trapPid() !== 0 && trapPid() !== pid);
  await eventually('the trap answers again', async () => (await talk('10.78.0.119', 22)).includes('SSH-2.0-'));
});
