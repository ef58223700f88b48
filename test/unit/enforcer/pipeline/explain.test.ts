import type { Address, Prefix } from '@honeymesh/intel/address';
import { expect, test } from 'vitest';
import type { ExplainReport } from '#enforcer/control/operations.ts';
import { explain } from '#enforcer/pipeline/explain.ts';
import { createRig, touchOf } from '#test/support/pipeline.ts';

const SOURCE = '203.0.113.7' as Address;

function asked(rig: ReturnType<typeof createRig>): Promise<ExplainReport> {
  const { ledger, kernel, store, banList, enforcing, now } = rig;
  return explain(SOURCE, { ledger, kernel, store, banList, enforcing: () => enforcing.now, firstDropOf: () => null, neverShared: [], now });
}

test('who touched a trap is dropped, with the touch and the ban in their order, and its end', async () => {
  const rig = createRig();
  rig.pipeline.sight(touchOf(SOURCE, rig.now()));
  await rig.pipeline.settled();
  const report = await asked(rig);
  expect(report).toMatchObject({ verdict: 'dropped', because: '203.0.113.7/32 is banned: trap-touch (E1)', sharable: { yes: true } });
  expect(report.steps.map(step => step.what)).toEqual([
    'connected to the trap on port 23',
    'banned 203.0.113.7/32 for 4h (trap-touch, E1)',
    'dropped since: 0 packets',
  ]);
  expect(report.lifts).toBe('"honeymesh bans remove 203.0.113.7/32", or time: it ends at 2026-11-24T16:00:00.000Z');
});

test('each ban that holds has to be lifted: all are named, the narrowest first', async () => {
  const rig = createRig();
  await rig.orders.addBan({ target: '203.0.113.0/24', ttl: '8h' });
  await rig.orders.addBan({ target: SOURCE, ttl: '1h' });
  expect((await asked(rig)).lifts).toBe(
    '"honeymesh bans remove 203.0.113.7/32" and "honeymesh bans remove 203.0.113.0/24", or time: the last ends at 2026-11-24T20:00:00.000Z',
  );
  await rig.orders.addBan({ target: '203.0.0.0/16' });
  expect((await asked(rig)).lifts).toMatch(/"honeymesh bans remove 203\.0\.0\.0\/16"$/);
});

test('where nothing is dropped, because of the mode or a pause, it says so', async () => {
  const rig = createRig();
  await rig.orders.addBan({ target: SOURCE });
  rig.enforcing.now = false;
  expect(await asked(rig)).toMatchObject({ verdict: 'dropped', because: expect.stringContaining('nothing is dropped now'), ban: { enforced: false } });
});

test('the allow-list is the first word', async () => {
  const rig = createRig();
  await rig.orders.addBan({ target: '203.0.113.0/24' as Prefix });
  await rig.orders.addAllowed({ target: SOURCE, note: 'the office' });
  expect(await asked(rig)).toMatchObject({ verdict: 'allowed', because: 'on the allow-list: the office', ban: { target: '203.0.113.0/24' } });
});
