import type { Address, Prefix } from '@honeymesh/intel/address';
import { HOUR_MS, MINUTE_MS } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import { type Shared, sharedBy } from '#enforcer/ledger/advice/share.ts';
import type { LedgerInput } from '#enforcer/ledger/decisions.ts';
import { explain } from '#enforcer/pipeline/explain.ts';
import { adviceOf, withdrawalOf } from '#test/support/advice.ts';
import { createRig, touchOf } from '#test/support/pipeline.ts';

const SOURCE = '203.0.113.7' as Address;
const TARGET = '203.0.113.7/32' as Prefix;
const PRIVATE = '10.0.0.0/8' as Prefix;

const asInput = (advice: ReturnType<typeof adviceOf>): LedgerInput => ({ kind: 'advice', advice });

describe('what others advise', () => {
  test('is dropped in the kernel, told in the log and shown with who said it', async () => {
    const rig = createRig();
    rig.pipeline.hear([asInput(adviceOf('a1', TARGET, rig.now()))]);
    expect(rig.banList.rows()).toMatchObject([
      {
        target: TARGET,
        origins: ['peer'],
        enforced: true,
        provisional: true,
        expiresAt: '2026-11-24T12:10:00.000Z',
        advisers: [{ signer: 'a1', site: 'a', path: 'mesh', at: '2026-11-24T12:00:00.000Z' }],
      },
    ]);
    rig.pass(MINUTE_MS);
    rig.pipeline.hear([asInput(adviceOf('b1', TARGET, rig.now(), { path: 'hub' }))]);
    await rig.pipeline.settled();
    expect(rig.enforced).toEqual([TARGET, TARGET]);
    expect(rig.store.events.map(({ kind, origin, source, summary }) => [kind, origin, source, summary])).toEqual([
      ['advice-accepted', 'peer', SOURCE, `a1 (a) by mesh advises to ban ${TARGET}: for some minutes, until others say so too`],
      ['ban', 'peer', SOURCE, `banned ${TARGET} for 10m (trap-touch, E1), provisionally, as advised by a`],
      ['advice-accepted', 'hub', SOURCE, `b1 (b) by the hub advises to ban ${TARGET}: enough others say so`],
      ['ban', 'hub', SOURCE, `strengthened the ban of ${TARGET} for 3h59m (trap-touch, E1), as advised by a, b`],
    ]);
    const { ledger, kernel, store, banList, now } = rig;
    const report = await explain(SOURCE, { ledger, kernel, store, banList, enforcing: () => true, firstDropOf: () => null, neverShared: [], now });
    expect(report.because).toBe(`${TARGET} is banned: trap-touch (E1), as advised by a, b`);
    expect(report.sharable).toEqual({ yes: false, why: 'others advised it: this host saw nothing of it itself' });
  });

  test('leaves the kernel when it is taken back, and the log tells of it', async () => {
    const rig = createRig();
    const said = adviceOf('a1', TARGET, rig.now());
    rig.pipeline.hear([asInput(said), { kind: 'withdrawal', withdrawal: withdrawalOf(said, rig.now(), { asError: true }) }]);
    await rig.pipeline.settled();
    expect(rig.kernel.listBans()).toEqual([]);
    expect(rig.store.events.slice(2).map(({ kind, origin, summary }) => [kind, origin, summary])).toEqual([
      ['withdrawal', 'peer', `a1 (a) by mesh took back its advice on ${TARGET} as an error`],
      ['lift', null, `lifted the ban of ${TARGET}: what others advised does not hold any more`],
    ]);
  });

  test('is told when it is refused, with the reason, and in mode observe what it would have done', async () => {
    const rig = createRig({ policy: { mode: 'observe' } });
    rig.pipeline.hear([asInput(adviceOf('a1', '127.0.0.1/32', rig.now())), asInput(adviceOf('a1', TARGET, rig.now()))]);
    await rig.pipeline.settled();
    expect(rig.store.events).toMatchObject([
      {
        kind: 'advice-refused',
        summary: 'a1 (a) by mesh advises to ban 127.0.0.1/32: refused, it touches 127.0.0.0/8, loopback (RFC 1122)',
        detail: { refused: 'special' },
      },
      { kind: 'advice-accepted', wouldBan: true, detail: { effect: 'provisional', signer: 'a1', site: 'a', path: 'mesh' } },
    ]);
  });

  test('holds on when the own ban of its target ends', async () => {
    const rig = createRig();
    rig.pipeline.sight(touchOf(SOURCE, rig.now()));
    for (const signer of ['a1', 'b1']) rig.pipeline.hear([asInput(adviceOf(signer, TARGET, rig.now(), { expiresAt: (rig.now() + 6 * HOUR_MS) as never }))]);
    rig.pass(4 * HOUR_MS);
    rig.pipeline.tick();
    expect(rig.kernel.listBans()).toMatchObject([{ target: TARGET, expiresAt: rig.now() + 2 * HOUR_MS }]);
  });
});

describe('what others are told', () => {
  function sharing(never: readonly Prefix[] = [PRIVATE]) {
    const told: Shared[] = [];
    const rig = createRig({
      policy: { patience: { kind: 'listen', longestMs: MINUTE_MS }, aggregateAt: 3 },
      onDecided: decisions => told.push(...decisions.flatMap(decision => sharedBy(decision, never) ?? [])),
    });
    return { rig, told };
  }

  test('is an own ban once it is full, and nothing but its target, reasons, tier and end', () => {
    const { rig, told } = sharing();
    rig.pipeline.sight(touchOf(SOURCE, rig.now()));
    expect(told).toEqual([]);
    rig.pipeline.complete([{ source: SOURCE, why: 'session-end' }]);
    expect(told).toEqual([{ kind: 'advise', target: TARGET, tier: 'E1', reasons: ['trap-touch'], expiresAt: rig.now() + 4 * HOUR_MS }]);
  });

  test('is no order, no advice of others, nothing that can be spoofed and nothing of share.never', async () => {
    const { rig, told } = sharing();
    await rig.orders.addBan({ target: '203.0.113.8' });
    for (const signer of ['a1', 'b1']) rig.pipeline.hear([asInput(adviceOf(signer, '203.0.113.9/32', rig.now()))]);
    rig.pipeline.sight({ ...touchOf('203.0.113.10', rig.now()), tier: 'E0' });
    rig.pipeline.sight(touchOf('10.1.2.3', rig.now()));
    rig.pipeline.complete([{ source: '10.1.2.3' as Address, why: 'ports' }]);
    expect(told).toEqual([]);
  });

  test('is that the operator lifted it, as an error, or allowed it', async () => {
    const { rig, told } = sharing();
    for (const source of [SOURCE, '203.0.113.20']) {
      rig.pipeline.sight(touchOf(source, rig.now()));
      rig.pipeline.complete([{ source: source as Address, why: 'ports' }]);
    }
    told.length = 0;
    await rig.orders.removeBan({ target: SOURCE });
    await rig.orders.addAllowed({ target: '203.0.113.20' });
    expect(told).toEqual([
      { kind: 'withdraw', target: TARGET, asError: true },
      { kind: 'withdraw', target: '203.0.113.20/32', asError: false },
    ]);
  });

  test('is the prefix that many became, if it is none too wide', () => {
    const { rig, told } = sharing();
    for (const at of [1, 2, 3]) {
      rig.pipeline.sight(touchOf(`203.0.113.${at}`, rig.now()));
      rig.pipeline.complete([{ source: `203.0.113.${at}` as Address, why: 'ports' }]);
    }
    expect(told.at(-1)).toMatchObject({ kind: 'advise', target: '203.0.113.0/24', tier: 'E1' });
  });
});
