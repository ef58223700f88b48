import type { Address, Prefix } from '@honeymesh/intel/address';
import type { Advice } from '@honeymesh/intel/advisories';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, unixMs } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import type { Shared } from '#enforcer/ledger/advice/share.ts';
import type { Decision } from '#enforcer/ledger/decisions.ts';
import { createMemberAlarm } from '#enforcer/pipeline/member-alarm.ts';
import { createMeshDesk } from '#enforcer/pipeline/mesh-desk.ts';
import { createMeshShares } from '#enforcer/pipeline/mesh-shares.ts';
import { adviceOf } from '#test/support/advice.ts';
import { meshPeer } from '#test/support/mesh-settings.ts';
import { createRig, touchOf } from '#test/support/pipeline.ts';

const SOURCE = '203.0.113.7' as Address;
const TARGET = '203.0.113.7/32' as Prefix;
const KEY = 'key 1';
const settle = (): Promise<void> => new Promise(setImmediate);

/** A host with a mesh that takes what it is told, as long as it is up, and says it under the next number. */
function sharing(store?: ReturnType<typeof createRig>['store']) {
  const decisions: (readonly Decision[])[] = [];
  const capacity = { ipv4: 4_000, ipv6: 100, ipv6Exact: 100, rules: 100 };
  const rig = createRig({ policy: { capacity }, onDecided: decided => decisions.push(decided) });
  if (store !== undefined) rig.store.events.push(...store.events);
  const told: Shared[] = [];
  const mesh = { up: true, seq: 0 };
  const start = () =>
    createMeshShares(
      { never: [] },
      {
        ...rig,
        share(shared) {
          if (!mesh.up) return Promise.resolve(false);
          told.push(...shared);
          const advice = shared.flatMap((one): Advice[] =>
            one.kind === 'advise'
              ? [{ target: one.target, tier: one.tier, reasons: one.reasons, ttlS: Math.ceil((one.expiresAt - rig.now()) / SECOND_MS) }]
              : [],
          );
          if (advice.length > 0) shares.sent({ epoch: 1, seq: ++mesh.seq, advice }, KEY);
          return Promise.resolve(true);
        },
      },
    );
  let shares = start();
  return {
    ...rig,
    told,
    mesh,
    /** What was decided since, as the pipeline hands it over. */
    async decide() {
      for (const decided of decisions.splice(0)) shares.decided(decided);
      await settle();
    },
    catchUp: (key = KEY) => shares.catchUp(key),
    async tick() {
      shares.tick();
      await settle();
    },
    /** The daemon ends and starts again: what is left is the log and the ledger. */
    restart() {
      decisions.length = 0;
      shares = start();
    },
    brief: () => told.splice(0).map(one => `${one.kind} ${one.target}`),
  };
}

describe('what this host tells its peers', () => {
  test('is its own ban at once, and an event of it', async () => {
    const host = sharing();
    host.pipeline.sight(touchOf(SOURCE, host.now()));
    await host.decide();
    expect(host.told).toEqual([{ kind: 'advise', target: TARGET, tier: 'E1', reasons: ['trap-touch'], expiresAt: host.now() + 4 * HOUR_MS }]);
    expect(host.store.events.at(-1)).toMatchObject({
      kind: 'advice-sent',
      source: SOURCE,
      target: TARGET,
      tier: 'E1',
      summary: `advised the mesh to ban ${TARGET} until 2026-11-24T16:00:00.000Z`,
      detail: { signer: KEY, epoch: 1, sequence: 1 },
    });
  });

  test('is taken back with a lift, and an event says so', async () => {
    const host = sharing();
    host.pipeline.sight(touchOf(SOURCE, host.now()));
    await host.decide();
    await host.orders.removeBan({ target: TARGET });
    await host.decide();
    expect(host.brief()).toEqual([`advise ${TARGET}`, `withdraw ${TARGET}`]);
    expect(host.store.events.at(-1)).toMatchObject({ kind: 'withdrawal', target: TARGET, detail: { own: true, asError: true } });
  });

  test('is not what others advised', async () => {
    const host = sharing();
    host.pipeline.hear([{ kind: 'advice', advice: adviceOf('a1', TARGET, host.now()) }]);
    await host.decide();
    await host.catchUp();
    expect(host.brief()).toEqual([]);
  });

  test('waits while the mesh is down, the last word on each target alone, and goes out when it is up', async () => {
    const host = sharing();
    host.mesh.up = false;
    host.pipeline.sight(touchOf(SOURCE, host.now()));
    host.pipeline.sight(touchOf('203.0.113.9', host.now()));
    await host.decide();
    await host.orders.removeBan({ target: TARGET });
    await host.decide();
    host.mesh.up = true;
    await host.catchUp();
    expect(host.brief().sort()).toEqual(['advise 203.0.113.9/32', `withdraw ${TARGET}`]);
  });
});

describe('after a start', () => {
  test('what was told is not told again', async () => {
    const host = sharing();
    host.pipeline.sight(touchOf(SOURCE, host.now()));
    await host.decide();
    host.pass(HOUR_MS);
    host.restart();
    await host.catchUp();
    expect(host.brief()).toEqual([`advise ${TARGET}`]);
  });

  test('what was not told is told: nobody was there, or under another key', async () => {
    const host = sharing();
    host.mesh.up = false;
    host.pipeline.sight(touchOf(SOURCE, host.now()));
    await host.decide();
    host.restart();
    host.mesh.up = true;
    await host.catchUp();
    expect(host.brief()).toEqual([`advise ${TARGET}`]);
    await host.catchUp();
    expect(host.brief()).toEqual([]);
    await host.catchUp('key 2');
    expect(host.brief()).toEqual([`advise ${TARGET}`]);
  });

  test('of thousands of bans the newest are told, and no more than leave room for news', async () => {
    const host = sharing();
    host.mesh.up = false;
    for (let at = 0; at < 2_000; at++) {
      host.pipeline.sight(touchOf(`198.18.${at >> 8}.${at & 255}`, host.now()));
      host.pass(1);
    }
    await host.decide();
    host.mesh.up = true;
    await host.catchUp();
    const told = host.brief();
    expect(told).toHaveLength(1_024);
    expect(told).toContain('advise 198.18.7.207/32');
    expect(told).not.toContain('advise 198.18.0.0/32');
    host.pipeline.sight(touchOf(SOURCE, host.now()));
    await host.decide();
    expect(host.brief()).toEqual([`advise ${TARGET}`]);
  });

  test('a lift that nobody heard of is told, as the error that it was', async () => {
    const host = sharing();
    host.pipeline.sight(touchOf(SOURCE, host.now()));
    await host.decide();
    host.mesh.up = false;
    await host.orders.removeBan({ target: TARGET });
    await host.decide();
    host.restart();
    host.mesh.up = true;
    await host.catchUp();
    expect(host.told).toEqual([expect.objectContaining({ kind: 'advise' }), { kind: 'withdraw', target: TARGET, asError: true }]);
    host.restart();
    await host.catchUp();
    expect(host.told).toHaveLength(2);
  });

  test('what is taken back before the member has heard again what it said is taken back once more', async () => {
    const host = sharing();
    for (const source of [SOURCE, '203.0.113.9']) host.pipeline.sight(touchOf(source, host.now()));
    await host.decide();
    host.restart();
    await host.catchUp();
    for (const target of [TARGET, '203.0.113.9/32']) await host.orders.removeBan({ target });
    await host.decide();
    host.pipeline.sight(touchOf('203.0.113.9', host.now()));
    await host.decide();
    host.brief();
    host.pass(59 * SECOND_MS);
    await host.tick();
    expect(host.brief()).toEqual([]);
    host.pass(SECOND_MS);
    await host.tick();
    expect(host.brief()).toEqual([`withdraw ${TARGET}`]); // the other one was banned anew
    host.pass(HOUR_MS);
    await host.tick();
    expect(host.brief()).toEqual([]);
  });

  test('a ban that was told for the whole day that advice lasts is not told for another', async () => {
    const host = sharing();
    for (const days of [0, 1, 2, 4, 8, 16]) {
      host.pass(days * DAY_MS);
      host.pipeline.tick();
      host.pipeline.sight(touchOf(SOURCE, host.now()));
    }
    await host.decide();
    host.brief();
    host.pass(25 * HOUR_MS);
    host.pipeline.tick();
    expect(host.ledger.banOn(TARGET, host.now())).not.toBeNull();
    host.restart();
    await host.catchUp();
    expect(host.brief()).toEqual([]);
  });
});

describe('what the mesh tells', () => {
  function desk() {
    const rig = createRig();
    const quiet: string[] = [];
    const silent = () => {};
    const log = { debug: (what: string) => quiet.push(what), info: silent, warn: silent, error: silent };
    return { ...rig, quiet, desk: createMeshDesk({ pipeline: rig.pipeline, log, now: rig.now }) };
  }

  test('ahead of time is refused, and handed in again when its time has come', () => {
    const host = desk();
    const advice = adviceOf('a1', TARGET, unixMs(host.now() + 2 * MINUTE_MS));
    host.desk.heard([{ kind: 'advice', advice }]);
    host.desk.tick();
    expect(host.ledger.banOn(TARGET, host.now())).toBeNull();
    host.pass(91 * SECOND_MS);
    host.desk.tick();
    expect(host.ledger.banOn(TARGET, host.now())).toMatchObject({ origins: ['peer'] });
    host.desk.tick();
    expect(host.store.events.map(event => event.kind)).toEqual(['advice-refused', 'advice-accepted', 'ban']);
  });

  test('of refusals at the door is one row in ten seconds, whatever comes', () => {
    const host = desk();
    for (let second = 0; second < 30; second++) {
      for (let at = 0; at < 100; at++) host.desk.refused({ kind: 'refused', counts: { 'bad-signature': 1, [`x${at}`]: 1 }, sample: '192.0.2.1:7946' });
      host.pass(SECOND_MS);
      host.desk.tick();
    }
    const rows = host.store.events.filter(event => event.kind === 'advice-refused');
    expect(rows).toHaveLength(4);
    expect(rows[1]).toMatchObject({
      origin: 'peer',
      summary: expect.stringMatching(/^refused at the door of the mesh: \d+ \((other|bad-signature) and \d+ more reasons\), last from 192\.0\.2\.1:7946$/),
    });
    expect(Object.keys((rows[1]?.detail?.counts ?? {}) as object).length).toBeLessThanOrEqual(32);
  });

  test('of members is a row each, but for what comes and goes; a storm of them is bounded', () => {
    const host = desk();
    const peer = (what: 'joined' | 'suspected', name: string) => ({ kind: 'peer', what, name, address: '192.0.2.1:7946', text: `${name} ${what}` }) as const;
    host.desk.peer(peer('joined', 'h2'));
    host.desk.peer(peer('suspected', 'h2'));
    expect(host.quiet).toEqual(['h2 suspected']);
    expect(host.store.events.map(({ kind, summary }) => [kind, summary])).toEqual([['peer', 'h2 joined']]);
    for (let at = 0; at < 1_000; at++) host.desk.peer(peer('joined', `h${at}`));
    expect(host.store.events).toHaveLength(256);
    host.pass(MINUTE_MS);
    host.desk.peer(peer('joined', 'h2'));
    expect(host.store.events.at(-1)?.summary).toBe('h2 joined (745 more changes among members were not told)');
  });
});

test('a member that touches a trap is banned by own evidence, and its operator told at once', async () => {
  const decided: Decision[] = [];
  const host = createRig({ onDecided: all => decided.push(...all) });
  const alarm = createMemberAlarm({ ...host, membersIn: target => (target === TARGET ? [meshPeer({ address: '203.0.113.7:7946' })] : []) });
  host.pipeline.hear([{ kind: 'advice', advice: adviceOf('a1', TARGET, host.now()) }]);
  alarm.decided(decided.splice(0));
  expect(host.degraded.current()).toEqual([]); // on the word of others it is not the host's own finding
  host.pipeline.sight(touchOf(SOURCE, host.now()));
  host.pipeline.sight(touchOf('203.0.113.8', host.now()));
  alarm.decided(decided.splice(0));
  expect(host.ledger.banOn(TARGET, host.now())).toMatchObject({ tier: 'E1' });
  expect(host.degraded.current()).toMatchObject([{ part: 'mesh', why: expect.stringContaining('the member h2 (lab) at 203.0.113.7:7946 attacks this host') }]);
  expect(host.store.events.filter(event => event.kind === 'peer')).toMatchObject([
    { source: SOURCE, target: TARGET, detail: { what: 'attacked', name: 'h2' } },
  ]);
  alarm.tick();
  expect(host.degraded.current()).toHaveLength(1);
  await host.orders.removeBan({ target: TARGET });
  alarm.tick();
  expect(host.degraded.current()).toEqual([]);
});
