/**
 * Who sends in another's name. A real bystander lives behind the neighbour; decoys and spoofed sources name it, nonexistent hosts and random ones.
 * Whatever they send, it stays evidence that can be spoofed: nobody is banned, nothing is shared, and a known client keeps its service.
 */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createScene, HOST, type Scene, sentAndPassed, source } from '#test/support/attackers.ts';
import { eventually } from '#test/support/enforcer.ts';
import type { Namespace } from '#test/support/namespaces.ts';

/** All are the bystander's: from the visitors' it visits the host all the time, from the talker's it has one connection that stays open. */
const TALKER = '10.79.64.7';
const visitor = (number: number): string => `10.79.64.${100 + number}`;
const VISITORS = Array.from({ length: 6 }, (_, number) => visitor(number));
const VISITOR = visitor(0);
const PROVEN_MS = 3_000;

let scene: Scene;
let bystander: Namespace;
/** Owns the bystander's addresses too, as far as it knows: nmap sends from no address that is not its machine's. */
let spoofer: Namespace;

beforeAll(async () => {
  scene = await createScene({
    config: `traps: { ports: [22, 3306] }\ndetect: { proven: ${PROVEN_MS / 1_000}s }\n`,
    before: async ({ lab, outside }) => {
      bystander = lab.namespace('bystander');
      lab.link({ namespace: outside, device: 'inner', addresses: ['10.80.0.1/24'] }, { namespace: bystander, device: 'eth0', addresses: ['10.80.0.2/24'] });
      for (const address of [TALKER, ...VISITORS]) {
        lab.ip(['address', 'add', `${address}/32`, 'dev', 'lo'], bystander);
        lab.ip(['route', 'add', `${address}/32`, 'via', '10.80.0.2'], outside);
      }
      lab.ip(['route', 'add', 'default', 'via', '10.80.0.1'], bystander);
      spoofer = lab.namespace('spoofer');
      lab.link({ namespace: outside, device: 'spoofers', addresses: ['10.81.0.1/24'] }, { namespace: spoofer, device: 'eth0', addresses: ['10.81.0.2/24'] });
      lab.ip(['route', 'add', 'local', '10.79.64.0/24', 'dev', 'lo'], spoofer);
      lab.ip(['route', 'add', 'default', 'via', '10.81.0.1'], spoofer);
      await outside.run(['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv4.conf.eth0.proxy_arp=1']);
    },
  });
});
afterAll(() => scene?.remove());

/** One connection to a real service that says something whenever it is asked, and hears it again. */
async function openSession(address: string): Promise<(text: string) => Promise<string>> {
  const script = `
import socket, sys
s = socket.create_connection(('${HOST}', 5432), 3, ('${address}', 0))
s.recv(4)
print('open', flush=True)
for line in sys.stdin:
    s.sendall(line.strip().encode())
    print(s.recv(100).decode(), flush=True)`;
  const { stdin, stdout } = bystander.start(['python3', '-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  if (stdin === null || stdout === null) throw new Error('the session has no pipes');
  const lines = createInterface({ input: stdout });
  const next = async (): Promise<string> => String((await once(lines, 'line', { signal: AbortSignal.timeout(5_000) }))[0]);
  if ((await next()) !== 'open') throw new Error('no session');
  return text => {
    const answer = next();
    stdin.write(`${text}\n`);
    return answer;
  };
}

async function expectNothingHard(addresses: readonly string[]): Promise<void> {
  const bans = await scene.bans();
  expect(bans.filter(ban => ban.tier !== 'E0' || ban.origins.join() !== 'kernel')).toEqual([]);
  for (const address of addresses) expect(await scene.explain(address)).toMatchObject({ ban: null, sharable: { yes: false } });
  const events = await scene.enforcer.json<{ kind: string; tier: string | null }[]>(['events', 'list', '--limit', '1000']);
  expect(events.filter(event => event.kind === 'ban' || (event.tier !== null && event.tier !== 'E0'))).toEqual([]);
}

test.concurrent('nmap -D: decoys are shunned with the scanner at the most, and a bystander among them keeps session and service', async () => {
  const say = await openSession(TALKER);
  await new Promise(resolve => setTimeout(resolve, PROVEN_MS + 200)); // so its proof is over: only the open connection speaks for it
  const visits = scene.client(VISITOR, { from: bystander, everyMs: 50, forMs: 5_000 });
  await eventually('the visitor is known', async () => (await scene.explain(VISITOR)).kernel.provenAt !== null);

  const decoys = [VISITOR, TALKER, '10.79.64.200', source(2)];
  await scene.nmap(['-sS', '-p', '22,3306,7001-7010', '--max-retries', '1', '-D', `${decoys.join()},RND:5,ME`, '-e', 'eth0', '-S', source(1), HOST]);
  for (const address of [...decoys, source(1)]) expect(await scene.shunOf(address)).toMatchObject({ tier: 'E0', origins: ['kernel'], reasons: ['syn-scan'] });
  expect((await scene.explain(VISITOR)).verdict).toBe('policed');
  expect((await scene.explain(TALKER)).verdict).toBe('shunned');
  expect(await say('still there')).toBe('still there');
  const { tried, served, why } = await visits;
  expect({ served, why }).toEqual({ served: tried, why: [] });
  const toService = await sentAndPassed(scene, VISITOR, packet => packet.toPort === 80);
  expect(toService.passed).toHaveLength(toService.sent.length);
  await expectNothingHard([...decoys, source(1)]);
});

test.concurrent.each<[flags: string, client: string]>([
  ['-sS', visitor(1)],
  ['-sU', visitor(2)],
  ['-sA', visitor(3)],
  ['-sX', visitor(4)],
  ['-sS -f', visitor(5)],
])('nmap -S with %s in the name of a client: no ban, nothing to share, and the client is served', async (flags, client) => {
  const visits = scene.client(client, { from: bystander, everyMs: 50, forMs: 3_000 });
  await eventually('the client is known', async () => (await scene.explain(client)).kernel.provenAt !== null);
  await scene.nmap([...flags.split(' '), '-p', '22,3306,7001-7010', '--max-retries', '0', '-e', 'eth0', '-S', client, HOST], { from: spoofer });
  const { tried, served, why } = await visits;
  expect({ served, why }).toEqual({ served: tried, why: [] });
  const toService = await sentAndPassed(scene, client, packet => packet.toPort === 80);
  expect(toService.passed).toHaveLength(toService.sent.length);
  expect((await scene.shunOf(client)).tier).toBe('E0');
  await expectNothingHard([client]);
});
