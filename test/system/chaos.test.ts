/**
 * Chaos: the parts of an enforcer die at random moments while it is given orders, its traps are touched and the banned hammer at it without a pause. What was
 * acknowledged holds, no frame of a banned source comes through, the log stays whole. HONEYMESH_NIGHTLY=1 kills 100 times; HONEYMESH_SEED repeats a run.
 */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ControlClient, connectControl } from '#enforcer/control/client.ts';
import type { BanRow } from '#enforcer/control/operations.ts';
import type { Finding } from '#enforcer/health/findings.ts';
import { regularClient, trapVisitors } from '#test/support/chaos-clients.ts';
import { brokenPromises, createOrders, isHammered, targetsOf } from '#test/support/chaos-orders.ts';
import { createWire, TRAP_PORT, WITNESS, type Wire } from '#test/support/chaos-wire.ts';
import { childrenOf, createEnforcerHost, type EnforcerHost, eventually, type RunningEnforcer } from '#test/support/enforcer.ts';
import { createRandom } from '#test/support/oracle/random.ts';

const MOMENTS = process.env.HONEYMESH_NIGHTLY === '1' ? 100 : 12;
const VICTIMS = ['launcher', 'daemon', 'trap'] as const;
const REGULAR = '10.90.0.5';
/** Banned from the start: an address, a prefix, an IPv6 address and a /64; and who hammers in their names. */
const BANNED = ['10.91.255.66/32', '10.91.254.0/24', 'fd91:ff::66/128', 'fd92:ff:0:1::/64', 'fd91:fe::/48'];
const HAMMERING = ['10.91.255.66', '10.91.254.7', 'fd91:ff::66', 'fd92:ff:0:1::7', 'fd91:fe:0:9::1'];

let wire: Wire;
let enforcer: EnforcerHost;
let running: RunningEnforcer;

beforeEach(async () => {
  wire = await createWire();
});
afterEach(async () => {
  try {
    await enforcer.remove();
  } finally {
    wire.remove();
  }
});

async function begin(more = ''): Promise<void> {
  enforcer = createEnforcerHost(wire.host, `interfaces: [eth0]\ntraps: { ports: [${TRAP_PORT}] }\nlog: { level: error }\n${more}`);
  running = enforcer.run();
  await running.ready();
}

async function asked<T>(question: (control: ControlClient) => Promise<T>): Promise<T> {
  const control = await connectControl(enforcer.paths.socket);
  try {
    return await question(control);
  } finally {
    control.close();
  }
}

/** Waits for a daemon that answers and is not `former`. */
async function answers(former?: number): Promise<void> {
  await eventually(
    'a daemon answers',
    async () => {
      const pid = running.daemonPid();
      return pid !== undefined && pid !== former && (await asked(control => control.status()).catch(() => null)) !== null;
    },
    20_000,
  );
}

async function banAndHammer(): Promise<void> {
  for (const target of BANNED) await asked(control => control.addBan({ target }));
  await wire.hammer.add(...HAMMERING);
}

/** Frames of banned sources that came through, by source. Fails where the witness was not heard: then nobody could have been. */
async function gaps(): Promise<Readonly<Record<string, number>>> {
  const heard = await wire.ear.heard();
  expect(heard.get(WITNESS)?.frames ?? 0).toBeGreaterThan(50);
  return Object.fromEntries([...heard].filter(([source]) => isHammered(source)).map(([source, { frames }]) => [source, frames]));
}

test(`kill -9 at ${MOMENTS} random moments: nothing acknowledged is lost, no packet of a banned source gets in, the log stays whole`, async () => {
  await begin();
  const seed = Number(process.env.HONEYMESH_SEED ?? randomInt(2 ** 31));
  const random = createRandom(seed);
  await banAndHammer();
  const orders = createOrders(enforcer.paths.socket, wire.hammer, random);
  const regular = regularClient(wire.outside, REGULAR, 100);
  const touching = trapVisitors(
    wire.outside,
    Array.from({ length: 4_000 }, (_, at) => `10.90.${16 + (at % 16)}.${1 + Math.floor(at / 16)}`),
    TRAP_PORT,
  );
  let known: readonly BanRow[] = [];
  let lastId = 0;

  const start = async (): Promise<void> => {
    running = enforcer.run();
    // A start is a random moment too.
    for (let again = 0; again < 2 && random.chance(0.35); again++) {
      await sleep(random.below(1_200));
      running.child.kill('SIGKILL');
      await running.ended;
      running = enforcer.run();
    }
    await running.ready();
  };
  const kill = async (victim: (typeof VICTIMS)[number]): Promise<void> => {
    const daemon = running.daemonPid() ?? 0;
    const trap = childrenOf(daemon)[0] ?? 0;
    if (victim === 'launcher') {
      running.child.kill('SIGKILL');
      await running.ended;
      await start();
    } else process.kill(victim === 'daemon' ? daemon : trap, 'SIGKILL');
    await answers(victim === 'daemon' ? daemon : undefined);
    await eventually('the traps run', () => childrenOf(running.daemonPid() ?? 0).some(pid => pid !== trap), 20_000);
  };
  /** Ids since the last check, without a gap. */
  const newEvents = async (control: ControlClient): Promise<number> => {
    for (;;) {
      const events = await control.listEvents({ afterId: lastId, ascending: true, limit: 10_000 });
      expect(events.map(({ id }) => id)).toEqual(events.map((_, at) => lastId + 1 + at));
      lastId += events.length;
      if (events.length === 0) return lastId;
    }
  };

  for (let moment = 0; moment < MOMENTS; moment++) {
    const victim = VICTIMS[moment % VICTIMS.length] as (typeof VICTIMS)[number];
    const about = `moment ${moment + 1} (${victim}), HONEYMESH_SEED=${seed}`;
    await sleep(random.between(20, 500));
    await kill(victim);
    await orders.pause();
    await asked(async control => {
      const listed = { bans: await control.listBans({}), allowed: await control.listAllowed() };
      expect(brokenPromises(orders, listed, known), about).toEqual([]);
      expect(orders.strange, about).toEqual([]);
      await orders.settle(targetsOf(listed));
      known = listed.bans.filter(({ tier }) => tier === 'E1');
      await newEvents(control);
    });
    expect(await gaps(), about).toEqual({});
    if (victim === 'launcher' || moment === MOMENTS - 1) {
      const verified = await enforcer.honeymesh(['events', 'verify'], { mayFail: true });
      expect(verified.code, `${about}: ${verified.stdout}${verified.stderr}`).toBe(0);
    }
    orders.resume();
  }
  await orders.stop();
  await touching.stop();
  const visits = await regular.stop();
  expect(visits.filter(ms => ms === null)).toEqual([]);
  expect(orders.answered).toBeGreaterThan(20 * MOMENTS);
  expect(known.length).toBeGreaterThan(0);
  if (process.env.HONEYMESH_FIGURES === '1')
    console.log({
      seed,
      moments: MOMENTS,
      orders: orders.answered,
      hammered: await wire.hammer.sent(),
      events: lastId,
      known: known.length,
      visits: visits.length,
    });
});

test.each(['native', 'generic'])(
  'stopped, upgraded, started under fire, %s XDP: the program is swapped in place, and no packet of a banned source gets in',
  async mode => {
    await begin(`xdp: { mode: ${mode} }\n`);
    await banAndHammer();
    const programs = new Set<string>();
    const program = (): string => /prog\/xdp id (\d+)/.exec(wire.lab.ip(['link', 'show', 'eth0'], wire.host))?.[1] ?? 'none';
    for (const end of ['stop', 'SIGTERM', 'stop'] as const) {
      programs.add(program());
      if (end === 'stop') await enforcer.honeymesh(['stop']);
      else running.child.kill(end);
      await running.ended;
      running = enforcer.run();
      await running.ready();
    }
    programs.add(program());
    expect(programs.size).toBe(4);
    expect(programs).not.toContain('none');
    expect(await gaps()).toEqual({});
    const listed = await asked(control => control.listBans({}));
    expect(listed.filter(({ enforced }) => enforced).map(({ target }) => target)).toEqual(expect.arrayContaining(BANNED));
  },
);

test('a log that is damaged between two runs costs no ban: the kernel holds them, the new log takes them over, and status says what happened', async () => {
  await begin();
  await banAndHammer();
  running.child.kill('SIGTERM');
  await running.ended;
  const log = join(enforcer.paths.state, 'events.db');
  const bytes = readFileSync(log);
  writeFileSync(log, bytes.fill(0xa5, 1024, bytes.length - 512));
  running = enforcer.run();
  await running.ready();
  const { degraded, store } = await asked(control => control.status());
  expect(store.ok).toBe(false);
  expect(degraded).toEqual([expect.objectContaining({ part: 'store', why: expect.stringMatching(/damaged.*set aside/) })]);
  const listed = await asked(control => control.listBans({}));
  expect(listed.filter(({ enforced }) => enforced).map(({ target }) => target)).toEqual(expect.arrayContaining(BANNED));
  expect(await gaps()).toEqual({});
  // What it took over is on disk again: it outlives even the kernel's maps.
  await enforcer.honeymesh(['unload']);
  await running.ended;
  running = enforcer.run();
  await running.ready();
  expect((await asked(control => control.listBans({}))).map(({ target }) => target)).toEqual(expect.arrayContaining(BANNED));
});

test('a full disk holds back neither bans nor their end, is said, and what happened meanwhile is in the log as soon as there is room', async () => {
  await begin();
  running.child.kill('SIGTERM');
  await running.ended;
  const filler = join(enforcer.paths.state, 'filler');
  await wire.host.run(['mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', enforcer.paths.state]);
  try {
    running = enforcer.run();
    await running.ready();
    await banAndHammer();
    fill(filler);
    const attackers = Array.from({ length: 40 }, (_, at) => `10.90.${20 + at}.1`);
    const touching = trapVisitors(wire.outside, attackers, TRAP_PORT, 20);
    await eventually('all attackers are banned', async () => {
      const listed = await asked(control => control.listBans({ tier: 'E1' }));
      return attackers.every(source => listed.some(({ target, enforced }) => enforced && target === `${source}/32`));
    });
    await touching.stop();
    await eventually('status says so', async () =>
      (await asked(control => control.status())).degraded.some(({ part, why }) => part === 'store' && /full|no space/i.test(why)),
    );
    // An order is carried out, and nobody is told that it would outlive a power cut.
    await expect(asked(control => control.addBan({ target: '10.92.250.1' }))).rejects.toMatchObject({ code: 'HM_STORE_READ_ONLY' });
    expect((await asked(control => control.listBans({ target: '10.92.250.1' })))[0]).toMatchObject({ enforced: true });
    await expect(asked(control => control.removeBan({ target: BANNED[0] ?? '' }))).rejects.toMatchObject({ code: 'HM_STORE_READ_ONLY' });
    await wire.hammer.remove(HAMMERING[0] ?? '');
    // A crash while nothing can be written: the kernel remembers.
    const daemon = running.daemonPid() ?? 0;
    process.kill(daemon, 'SIGKILL');
    await answers(daemon);
    expect((await asked(control => control.listBans({ target: '10.92.250.1' })))[0]).toMatchObject({ enforced: true });

    rmSync(filler);
    await eventually('it has recovered', async () => (await asked(control => control.status())).degraded.every(({ part }) => part !== 'store'), 30_000);
    expect((await enforcer.honeymesh(['events', 'verify'])).code).toBe(0);
    expect(Object.keys(await gaps()).filter(source => source !== HAMMERING[0])).toEqual([]);
    expect((await asked(control => control.listBans({ tier: 'E1' }))).length).toBeGreaterThanOrEqual(attackers.length);
    running.child.kill('SIGTERM');
    await running.ended;
  } finally {
    if (running.child.exitCode === null && running.child.signalCode === null) {
      running.child.kill('SIGKILL');
      await running.ended;
    }
    await wire.host.run(['umount', '--lazy', enforcer.paths.state]);
  }
});

test('while another process takes IPv4 packets of its own, traps are closed ports, bans hold, and doctor says why', async () => {
  await begin();
  await banAndHammer();
  const take = `import socket\ns = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(0x0800))\nprint('open', flush=True)\nwhile True: s.recv(2000)`;
  const taker = wire.host.start(['python3', '-c', take], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(taker.stdout ?? taker, 'data');
  const doctor = async (): Promise<readonly string[]> => (await doctorFindings()).filter(({ ok }) => ok === false).map(({ what }) => what);
  const turnedAway = trapVisitors(wire.outside, ['10.90.0.66'], TRAP_PORT, 10);
  expect(await doctor()).toContain('packet sockets');
  const times = await turnedAway.stop();
  expect(times.length).toBeGreaterThan(0);
  expect(times.filter(ms => ms !== null)).toEqual([]);
  expect(await asked(control => control.listBans({ tier: 'E1' }))).toEqual([]);
  taker.kill('SIGKILL');
  await once(taker, 'exit');
  expect(await doctor()).not.toContain('packet sockets');
  const visitors = trapVisitors(wire.outside, ['10.90.0.66'], TRAP_PORT, 10);
  await eventually('the trap is one again', async () => (await asked(control => control.listBans({ tier: 'E1' }))).length > 0);
  await visitors.stop();
  expect(await gaps()).toEqual({});
});

const doctorFindings = async (): Promise<readonly Finding[]> =>
  JSON.parse((await enforcer.honeymesh(['doctor', '-o', 'json'], { mayFail: true })).stdout) as readonly Finding[];

/** Until not a byte more fits. */
function fill(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (const block = Buffer.alloc(4_096); ; ) writeSync(file, block);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(file);
  }
}
