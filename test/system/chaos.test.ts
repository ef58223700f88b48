/**
 * Chaos: the parts of an enforcer die at random moments while it is given orders, its traps are touched and the banned hammer at it without a pause. What was
 * acknowledged holds, no frame of a banned source comes through, the log stays whole. HONEYMESH_NIGHTLY=1 kills 100 times; HONEYMESH_SEED repeats a run.
 */
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { contains, type Prefix } from '@honeymesh/intel/address';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ControlClient, connectControl } from '#enforcer/control/client.ts';
import type { BanRow } from '#enforcer/control/operations.ts';
import { regularClient, trapVisitors } from '#test/support/chaos-clients.ts';
import { brokenPromises, createOrders, isHammered } from '#test/support/chaos-orders.ts';
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
  enforcer = createEnforcerHost(wire.host, `interfaces: [eth0]\ntraps: { ports: [${TRAP_PORT}] }\nlog: { level: error }\n`);
  running = enforcer.run();
  await running.ready();
});
afterEach(async () => {
  try {
    await enforcer.remove();
  } finally {
    wire.remove();
  }
});

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
      const listed = await control.listBans({});
      expect(
        brokenPromises(orders, listed, known, (wide, target) => contains(wide as Prefix, target as Prefix)),
        about,
      ).toEqual([]);
      expect(orders.strange, about).toEqual([]);
      await orders.settle(new Set(listed.map(({ target }) => target)));
      known = listed.filter(({ tier }) => tier === 'E1');
      await newEvents(control);
    });
    expect(await gaps(), about).toEqual({});
    if (victim === 'launcher' || moment === MOMENTS - 1) {
      const verified = await enforcer.honeymesh(['events', 'verify'], { mayFail: true });
      expect(verified.stdout + verified.stderr, about).toMatch(/^ok|intact|whole/im);
      expect(verified.code, about).toBe(0);
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
