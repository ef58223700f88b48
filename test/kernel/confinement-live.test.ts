/** Confinement on a wire, with the kernel's own TCP at both ends: a confined source reaches traps, and not one byte of a real service. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { CLIENTS, createLiveLab, HOST, HOST6, type LiveLab, SOON_MS } from './packet-path-lab.ts';

const [CONFINED = '', FRIEND = '', SCANNER = ''] = CLIENTS;
const CONFINED6 = 'fd98::2';
const NEIGHBOUR6 = 'fd98::3';
const [TRAP, OTHER_TRAP, UDP_TRAP, SERVED, CLOSED] = [31_337, 2_323, 161, 80, 4_444] as const;
const TRAPS_OWN = 7_000;

let live: LiveLab;
beforeAll(async () => {
  live = await createLiveLab();
}, 30_000);
afterAll(() => live?.close());
beforeEach(async () => {
  await live.order({ do: 'configure', config: { mode: 'enforce', fastPorts: 32, slowPorts: 32, trapMark: 0x484d } });
  await live.order({ do: 'beat', agoMs: 0 });
  await live.order({ do: 'allow', target: null });
  await live.order({ do: 'ban', targets: [] });
  await live.order({ do: 'tell' });
});

const confine = (...targets: readonly string[]) => live.order({ do: 'ban', targets, confined: true });
const open = (id: string, port: number, from = CONFINED, to = HOST) => live.client({ do: 'open', id, from, to, port });
const say = (id: string, text: string, waitMs?: number) => live.client({ do: 'say', id, text }, waitMs);
const ask = (port: number, { text = 'who', from = CONFINED, to = HOST } = {}, waitMs?: number) => live.client({ do: 'ask', from, to, port, text }, waitMs);
/** What is waited for in vain. */
const inVain = {
  connect: (port: number, from = CONFINED, to = HOST) => live.connect(from, to, port, SOON_MS),
  say: (id: string, text: string) => say(id, text, SOON_MS),
  ask: (port: number, text = 'who') => ask(port, { text }, SOON_MS),
};

test('an open connection of a service is cut in both directions, one of a trap goes on', async () => {
  expect(await open('trap', TRAP)).toBe('trap 31337');
  expect(await open('real', SERVED)).toBe('real');
  expect([await say('trap', 'one'), await say('real', 'one')]).toEqual(['one', 'one']);
  await live.order({ do: 'tell' });
  await confine(CONFINED);
  expect([await say('trap', 'two'), await inVain.say('real', 'two')]).toEqual(['two', 'silence']);
  await live.order({ do: 'shout' });
  expect(await live.client({ do: 'hear', id: 'real' }, SOON_MS)).toBe('silence');
  expect(await say('trap', 'three')).toBe('three');
  const { heard, counts } = await live.order({ do: 'tell' });
  expect(heard).toEqual([]);
  expect(counts['enforced drop-confined']).toBeGreaterThan(0);
  expect(counts['enforced drop-egress']).toBeGreaterThan(0);
});

test('RST and FIN of a trap connection arrive, those of a service do not', async () => {
  await open('trap', TRAP);
  await open('real', SERVED);
  const before = (await live.order({ do: 'tell' })).open;
  await confine(CONFINED);
  await live.client({ do: 'reset', id: 'trap' });
  await live.client({ do: 'reset', id: 'real' });
  const { open: after } = await live.order({ do: 'tell' });
  expect([before.traps - after.traps, before.services - after.services]).toEqual([1, 0]);
});

test('new connections reach traps and nothing else, over IPv4', async () => {
  await confine(CONFINED);
  expect(await live.connect(CONFINED, HOST, TRAP)).toBe('trap 31337');
  expect(await live.connect(CONFINED, HOST, OTHER_TRAP)).toBe('trap 2323');
  expect(await live.connect(CONFINED, HOST, TRAPS_OWN)).toBe('trap 7000');
  expect(await inVain.connect(SERVED)).toBe('silence');
  expect(await inVain.connect(CLOSED)).toBe('silence'); // and no RST, which would say that nobody listens
  expect(await live.connect(FRIEND, HOST, SERVED)).toBe('real');
});

test('so it is over IPv6, by /64 and by address, with neighbour discovery going on', async () => {
  for (const target of ['fd98::/64', CONFINED6]) {
    await confine(target);
    live.lab.ip(['neighbour', 'flush', 'all'], live.host);
    live.lab.ip(['neighbour', 'flush', 'all'], live.outside);
    expect(await live.connect(CONFINED6, HOST6, TRAP)).toBe('trap 31337');
    expect(await inVain.connect(SERVED, CONFINED6, HOST6)).toBe('silence');
    if (target.endsWith('/64')) expect(await inVain.connect(SERVED, NEIGHBOUR6, HOST6)).toBe('silence');
    else expect(await live.connect(NEIGHBOUR6, HOST6, SERVED)).toBe('real');
  }
});

test('a service starts on a port where a trap connection is open: it is not reached, the trap connection goes on', async () => {
  await confine(CONFINED);
  expect(await open('trap', OTHER_TRAP)).toBe('trap 2323');
  await live.order({ do: 'serve', port: OTHER_TRAP });
  expect([await inVain.connect(OTHER_TRAP), await say('trap', 'still there')]).toEqual(['silence', 'still there']);
  expect(await live.connect(FRIEND, HOST, OTHER_TRAP)).toBe('real');
  await live.order({ do: 'serve', port: null });
  expect(await live.connect(CONFINED, HOST, OTHER_TRAP)).toBe('trap 2323');
});

test('datagrams reach a trap and its answer comes back; services and closed ports are silent', async () => {
  await confine(CONFINED, CONFINED6);
  await live.order({ do: 'tell' });
  expect(await ask(UDP_TRAP)).toBe('trap 161');
  expect(await ask(UDP_TRAP, { from: CONFINED6, to: HOST6 })).toBe('trap 161');
  expect(await inVain.ask(SERVED)).toBe('silence'); // no such service over UDP: what matters is that it is no ICMP
  expect(await inVain.ask(CLOSED)).toBe('silence');
  await live.order({ do: 'serve', port: 5_555 });
  expect([await inVain.ask(5_555), await ask(5_555, { from: FRIEND })]).toEqual(['silence', 'real']);
  await live.order({ do: 'serve', port: null });
  const { heard, trapped } = await live.order({ do: 'tell' });
  expect([heard, trapped]).toEqual([['who'], ['who 161', 'who 161']]);
});

test('a ping is not answered, and what comes in pieces does not arrive', async () => {
  await confine(CONFINED, CONFINED6);
  expect([await live.pings(CONFINED, HOST), await live.pings(CONFINED6, HOST6), await live.pings(FRIEND, HOST)]).toEqual([0, 0, 2]);
  expect(await inVain.ask(UDP_TRAP, 'x'.repeat(3_000))).toBe('silence');
  expect((await live.order({ do: 'tell' })).trapped).toEqual([]);
});

test('with SYN cookies the last ACK of a handshake finds the trap', async () => {
  await live.host.run(['sysctl', '-qw', 'net.ipv4.tcp_syncookies=2']);
  try {
    await confine(CONFINED, CONFINED6);
    expect(await live.connect(CONFINED, HOST, OTHER_TRAP)).toBe('trap 2323');
    expect(await live.connect(CONFINED6, HOST6, OTHER_TRAP)).toBe('trap 2323');
  } finally {
    await live.host.run(['sysctl', '-qw', 'net.ipv4.tcp_syncookies=1']);
  }
});

test('when the traps are dead a confined source is banned, and reaches them again when they live', async () => {
  await confine(CONFINED);
  await open('trap', TRAP);
  await live.order({ do: 'beat', agoMs: 10_000 });
  expect([await inVain.say('trap', 'one'), await inVain.connect(OTHER_TRAP), await inVain.ask(UDP_TRAP)]).toEqual(['silence', 'silence', 'silence']);
  await live.order({ do: 'beat', agoMs: 0 });
  expect(await live.connect(CONFINED, HOST, OTHER_TRAP)).toBe('trap 2323');
});

test('a full ban ends the trap connection too', async () => {
  await confine(CONFINED);
  await open('trap', TRAP);
  await live.order({ do: 'ban', targets: [CONFINED] });
  expect(await inVain.say('trap', 'one')).toBe('silence');
});

test('in lockdown a confined source still finds traps, in observe everything', async () => {
  await confine(SCANNER);
  await live.order({ do: 'configure', config: { mode: 'lockdown' } });
  expect([await live.connect(SCANNER, HOST, TRAP), await inVain.connect(SERVED, SCANNER)]).toEqual(['trap 31337', 'silence']);
  await live.order({ do: 'configure', config: { mode: 'observe' } });
  expect(await live.connect(SCANNER, HOST, SERVED)).toBe('real');
  const { counts } = await live.order({ do: 'tell' });
  expect(counts['would drop-confined']).toBeGreaterThan(0);
});

test('an allowed source is never confined', async () => {
  await confine(CONFINED);
  await live.order({ do: 'allow', target: CONFINED });
  expect([await live.connect(CONFINED, HOST, SERVED), await live.connect(CONFINED, HOST, TRAP)]).toEqual(['real', 'trap 31337']);
});

test('a confined scanner is shunned as ever and reaches the next trap all the same', async () => {
  await live.order({ do: 'configure', config: { fastPorts: 2 } });
  await confine(SCANNER);
  for (const port of [TRAP, OTHER_TRAP, 23, 65_000]) expect(await live.connect(SCANNER, HOST, port)).toBe(`trap ${port}`);
  expect((await live.order({ do: 'tell' })).shuns).toContain(`${SCANNER}/32`);
});
