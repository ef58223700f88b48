/**
 * An hour of everyday traffic in some seconds: not one sighting may come of it, though every closed port is a trap. To the filter that is harder than the
 * hour itself, since its windows run in real time: what an hour spreads out falls into one.
 */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createScene, HOST, HOST_MAC, OPEN_TCP, type Scene, source } from '#test/support/attackers.ts';
import { eventually } from '#test/support/enforcer.ts';
import type { Namespace } from '#test/support/namespaces.ts';
import { anHourOfNoise, noiseSources, probe } from '#test/support/traffic-noise.ts';

const FRAMES = fileURLToPath(new URL('../support/traffic-frames.py', import.meta.url));
const SERVICES = fileURLToPath(new URL('../support/traffic-services.ts', import.meta.url));
const TARGET = { mac: HOST_MAC, address: HOST, linkLocal: 'fe80::79:ff:fe00:1', broadcast: '10.79.255.255', served: OPEN_TCP[0], ephemeral: 42_000 };
const WEB_PORTS = [8001, 8002, 8003];
const RESOLVERS = [source(1), source(2), source(3)];
const MAIL_SERVERS = [source(11), source(12), source(13)];
const CLIENTS = Array.from({ length: 10 }, (_, at) => source(21 + at));

let scene: Scene;
let web: ReturnType<Namespace['start']>;

beforeAll(async () => {
  scene = await createScene({
    config: 'detect: { fast: { window: 1h } }\ntraps: { ports: all }\n',
    before: async ({ host }) => {
      web = await startWeb(host);
    },
  });
});
afterAll(() => scene?.remove());

async function startWeb(host: Namespace): Promise<ReturnType<Namespace['start']>> {
  const started = host.start([process.execPath, SERVICES, '::', WEB_PORTS.join(), ''], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(started.stdout ?? started, 'data');
  return started;
}

const python = (namespace: Namespace, script: string, ...args: string[]) => namespace.run(['python3', '-c', script, ...args]);
const send = (frames: readonly Uint8Array[], perSecond: number) =>
  scene.outside.run(['python3', FRAMES, 'eth0', String(perSecond)], { input: frames.map(frame => `${Buffer.from(frame).toString('hex')}\n`).join('') });

async function expectNoSighting(sources: readonly string[]): Promise<void> {
  await new Promise(resolve => setTimeout(resolve, 300)); // what can be spoofed is recorded a moment later
  const events = await scene.enforcer.json<{ kind: string; source: string; port: number; summary: string }[]>([
    'events',
    'list',
    '--kind',
    'touch,scan,flood,ban',
    '--limit',
    '1000',
  ]);
  expect(events.map(event => `${event.source}: ${event.summary}`)).toEqual([]);
  expect(await scene.bans()).toEqual([]);
  const { packets, degraded } = await scene.status();
  expect(Object.entries(packets).filter(([verdict, count]) => /^(would-)?drop-/.test(verdict) && count > 0)).toEqual([]);
  expect(degraded).toEqual([]);
  for (const address of sources) expect((await scene.explain(address)).kernel).toMatchObject({ ports: [], shun: null });
}

/** Answers each question up to 2.5 s late, and one in four twice; on 53 and 123. */
const RESOLVER = `
import random, select, socket, sys, time
random.seed(1)
ends = []
for address in sys.argv[1:]:
    for port in (53, 123):
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); end.bind((address, port)); ends.append(end)
print('listening', flush=True)
late = []
while True:
    for end in select.select(ends, [], [], 0.05)[0]:
        question, asker = end.recvfrom(512)
        for _ in range(2 if random.random() < 0.25 else 1): late.append((time.monotonic() + random.random() * 2.5, end, question, asker))
    now = time.monotonic()
    for answer in [one for one in late if one[0] <= now]: answer[1].sendto(answer[2], answer[3])
    late = [one for one in late if one[0] > now]
`;

/** Asks each server 40 times on each port; one socket for each question, half of them closed before any answer can come. */
const ASKER = `
import socket, sys, time
waiting = []
asked = heard = 0
for turn in range(40):
    for address in sys.argv[1:]:
        for port in (53, 123):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.sendto(b'question', (address, port)); asked += 1
            if turn % 2 == 0: s.close()
            else: waiting.append(s)
    time.sleep(0.05)
time.sleep(3)
for s in waiting:
    s.setblocking(False)
    try: s.recv(100); heard += 1
    except BlockingIOError: pass
print(asked, len(waiting), heard)
`;

test.concurrent('resolvers and time servers answer late, twice, and after the socket is gone', async () => {
  const resolver = scene.outside.start(['python3', '-c', RESOLVER, ...RESOLVERS], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(resolver.stdout ?? resolver, 'data');
  const [, waiting, heard] = (await python(scene.host, ASKER, ...RESOLVERS)).stdout.trim().split(' ').map(Number);
  expect(heard).toBe(waiting);
  expect((await scene.hostTap.packets()).some(packet => packet.way === 'out' && packet.aboutPort !== undefined)).toBe(true); // some found nobody
  await expectNoSighting(RESOLVERS);
});

test.concurrent('a mail server that the host talks to asks its ident port who that was', async () => {
  const server = `
import socket, sys
listeners = [socket.create_server((address, 25)) for address in sys.argv[2:]]
print('listening', flush=True)
refused = 0
for turn in range(3):
    for listener, address in zip(listeners, sys.argv[2:]):
        mail, _ = listener.accept()
        try: socket.create_connection((sys.argv[1], 113), 2, (address, 0))
        except ConnectionRefusedError: refused += 1
        mail.sendall(b'220 ready'); mail.close()
print(refused)`;
  const servers = scene.outside.start(['python3', '-u', '-c', server, HOST, ...MAIL_SERVERS], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  servers.stdout?.on('data', chunk => {
    said += chunk;
  });
  await eventually('mail servers listen', () => said.includes('listening'));
  const ended = once(servers, 'exit');
  await python(
    scene.host,
    'import socket, sys\nfor turn in range(3):\n  for a in sys.argv[1:]: socket.create_connection((a, 25), 5).recv(20)',
    ...MAIL_SERVERS,
  );
  await ended;
  expect(said.trim().split('\n').at(-1)).toBe('9'); // a RST at once each time: nobody waits for a time-out
  await expectNoSighting(MAIL_SERVERS);
});

test.concurrent('three web ports are restarted in the middle of their clients’ connections', async () => {
  const talk = `
import socket, sys, time
ends = [socket.create_connection((sys.argv[1], int(port)), 3, (sys.argv[2], 0)) for port in sys.argv[3:]]
print('open', flush=True)
for turn in range(100):
    for end in ends:
        try: end.sendall(b'more')
        except OSError: pass
    time.sleep(0.05)`;
  const talkers = CLIENTS.map(address =>
    scene.outside.start(['python3', '-c', talk, HOST, address, ...WEB_PORTS.map(String)], { stdio: ['ignore', 'pipe', 'inherit'] }),
  );
  await Promise.all(talkers.map(talker => once(talker.stdout ?? talker, 'data')));
  const visits = CLIENTS.map(address => scene.client(address, { port: WEB_PORTS, everyMs: 50, forMs: 5_000 }));
  await new Promise(resolve => setTimeout(resolve, 1_000));
  web.kill('SIGKILL');
  await new Promise(resolve => setTimeout(resolve, 1_500));
  web = await startWeb(scene.host);
  for (const { tried, served, why } of await Promise.all(visits)) {
    expect(served).toBeGreaterThan(0);
    expect(served).toBeLessThan(tried); // they did run into the gap
    expect(why.every(reason => /ECONNREFUSED|ECONNRESET/.test(reason))).toBe(true);
  }
  await expectNoSighting(CLIENTS);
});

test.concurrent('an hour of what a LAN says to every host, and of what old connections leave behind', async () => {
  const frames = anHourOfNoise(TARGET);
  expect(frames.length).toBeGreaterThan(30_000);
  const before = (await scene.status()).packets;
  await send(frames, 5_000);
  const after = (await scene.status()).packets;
  expect((after.pass ?? 0) - (before.pass ?? 0)).toBeGreaterThan(25_000);
  await expectNoSighting(noiseSources());
});

test('a host of that LAN which probes three ports is seen all the same', async () => {
  await send(
    [7001, 7002, 7003].map(port => probe(TARGET, port)),
    100,
  );
  expect(await scene.shunOf('10.79.3.1')).toMatchObject({ reasons: ['udp-scan'] });
});
