/** Beside a masquerading host with a container: its egress and its published ports are untouched, and traps answer all the same. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Namespace } from '#test/support/namespaces.ts';
import { CLIENTS, createLiveLab, HOST, HOST6, type LiveLab, SOON_MS } from './packet-path-lab.ts';

/** The server is the first, from which a socket of no address of its own answers. */
const [SERVER = '', VISITOR = '', CONFINED = ''] = CLIENTS;
const CONTAINER = '10.98.0.2';
/** On the host, for the container's 80 and 53; and what a server outside has. */
const [PUBLISHED, PUBLISHED_UDP, ABROAD] = [8_080, 8_053, 9_000] as const;
const RULES = `
table ip nat {
  chain pre { type nat hook prerouting priority dstnat;
    iifname "eth0" tcp dport ${PUBLISHED} dnat to ${CONTAINER}:80
    iifname "eth0" udp dport ${PUBLISHED_UDP} dnat to ${CONTAINER}:53
  }
  chain post { type nat hook postrouting priority srcnat;
    oifname "eth0" masquerade
  }
}
table ip6 nat {
  chain post { type nat hook postrouting priority srcnat;
    oifname "eth0" masquerade
  }
}
`;

/** Says who it is, over TCP and UDP. */
const speaker = (name: string, tcpPort: number, udpPort: number): string => `
  require('node:net').createServer(socket => socket.on('error', () => {}).end('${name}')).listen(${tcpPort}, () => {
    const datagrams = require('node:dgram').createSocket('udp4');
    datagrams.on('message', (said, peer) => datagrams.send('${name}', peer.port, peer.address));
    datagrams.bind(${udpPort}, () => console.log('ready'));
  });`;

let live: LiveLab;
let container: Namespace;
const children: ChildProcess[] = [];

async function speak(namespace: Namespace, script: string): Promise<void> {
  const child = namespace.start([process.execPath, '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  await once(child.stdout ?? process.stdin, 'data');
}

/** From inside the container: what a server outside answers over TCP and UDP. */
async function abroad(waitMs = 3_000): Promise<string> {
  const script = `
    const said = [];
    const done = what => { said.push(what); if (said.length === 2) { console.log(said.sort().join(', ')); process.exit(); } };
    setTimeout(() => { console.log(said.join(', ') || 'silence'); process.exit(); }, ${waitMs});
    require('node:net').connect(${ABROAD}, '${SERVER}').on('data', bytes => done('tcp ' + bytes)).on('error', error => done(error.code));
    const datagrams = require('node:dgram').createSocket('udp4');
    datagrams.on('message', bytes => done('udp ' + bytes));
    datagrams.send('who', ${ABROAD}, '${SERVER}');`;
  return (await container.run([process.execPath, '-e', script])).stdout.trim();
}

beforeAll(async () => {
  live = await createLiveLab({
    devices: ['eth0', 'bridge0'],
    prepare(lab, host) {
      container = lab.namespace('container');
      lab.link({ namespace: host, device: 'bridge0', addresses: ['10.98.0.1/24'] }, { namespace: container, device: 'eth0', addresses: [`${CONTAINER}/24`] });
      lab.ip(['route', 'add', 'default', 'via', '10.98.0.1'], container);
    },
  });
  await live.host.run(['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
  await live.host.run(['nft', '-f', '-'], { input: RULES });
  await speak(container, speaker('container', 80, 53));
  await speak(live.outside, speaker('abroad', ABROAD, ABROAD));
}, 30_000);
afterAll(async () => {
  for (const child of children) child.kill();
  await live?.close();
});
beforeEach(async () => {
  // What a launcher does: what is forwarded is served for good.
  await live.order({ do: 'configure', config: { fastPorts: 32, slowPorts: 32 } });
  await live.order({ do: 'forwarded', ports: { tcp: [PUBLISHED], udp: [PUBLISHED_UDP] } });
  await live.order({ do: 'trap', ports: { tcp: 'all', udp: 'all' } });
  await live.order({ do: 'ban', targets: [] });
  await live.order({ do: 'beat', agoMs: 0 });
  await live.order({ do: 'tell' });
});

const ask = (port: number, from = VISITOR, waitMs?: number) => live.client({ do: 'ask', from, to: HOST, port, text: 'who' }, waitMs);

test("the container's egress and its published ports work, though every closed port is a trap", async () => {
  for (let time = 0; time < 2; time++) {
    expect(await abroad()).toBe('tcp abroad, udp abroad');
    expect([await live.connect(VISITOR, HOST, PUBLISHED), await ask(PUBLISHED_UDP)]).toEqual(['container', 'container']);
  }
  const { trapped, counters } = await live.order({ do: 'tell' });
  expect([trapped, counters.steered, counters['steered-udp']]).toEqual([[], 0, 0]);
});

test('closed ports of the host are traps, over TCP and UDP, both families, whatever its NAT thinks of them', async () => {
  expect([await live.connect(VISITOR, HOST, 2_222), await live.connect('fd97::2', HOST6, 2_222)]).toEqual(['trap 2222', 'trap 2222']);
  for (const port of [161, 53, 161]) expect(await ask(port)).toBe(`trap ${port}`);
  expect(await live.client({ do: 'ask', from: 'fd97::2', to: HOST6, port: 161, text: 'who' })).toBe('trap 161');
});

test('the container finds the traps of its host', async () => {
  const script = `require('node:net').connect(2222, '${HOST}').on('data', bytes => { console.log(String(bytes)); process.exit(); });`;
  expect((await container.run([process.execPath, '-e', script])).stdout.trim()).toBe('trap 2222');
});

test('a confined source reaches traps, and no published port; the container does not reach it', async () => {
  await live.order({ do: 'ban', targets: [CONFINED, SERVER], confined: true });
  expect([await live.connect(CONFINED, HOST, 2_222), await ask(161, CONFINED)]).toEqual(['trap 2222', 'trap 161']);
  expect([await live.connect(CONFINED, HOST, PUBLISHED, SOON_MS), await ask(PUBLISHED_UDP, CONFINED, SOON_MS)]).toEqual(['silence', 'silence']);
  expect([await live.connect(VISITOR, HOST, PUBLISHED), await ask(PUBLISHED_UDP)]).toEqual(['container', 'container']);
  expect(await abroad(SOON_MS)).toBe('silence');
});
