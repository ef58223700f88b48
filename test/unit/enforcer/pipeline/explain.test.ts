import type { Address, Prefix } from '@honeymesh/intel/address';
import type { StoredEvent } from '@honeymesh/intel/events';
import { describe, expect, test } from 'vitest';
import type { ExplainReport } from '#enforcer/control/operations.ts';
import { explain } from '#enforcer/pipeline/explain.ts';
import { createTrapDesk } from '#enforcer/pipeline/trap-desk.ts';
import { createRig, touchOf } from '#test/support/pipeline.ts';
import { base64, guess, trapEnded, trapTouch } from '#test/support/trap-observations.ts';

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

describe('a source that touched a trap, where traps listen', () => {
  function confinedRig() {
    const rig = createRig({ policy: { patience: { kind: 'listen', longestMs: 60_000 } } });
    const desk = createTrapDesk({ mode: 'enforce', patience: 'listen', sessions: 20 }, rig);
    desk.take([trapTouch(SOURCE, rig.now()), trapTouch(SOURCE, rig.now())], 0);
    return { ...rig, desk };
  }

  test('reaches traps only: until when, what would lift it, and that it is not to be shared yet', async () => {
    const rig = confinedRig();
    await rig.pipeline.settled();
    expect(await asked(rig)).toMatchObject({
      verdict: 'confined',
      because: '203.0.113.7/32 reaches traps only, until 2026-11-24T12:01:00.000Z at the latest, and is banned then: trap-touch (E1)',
      ban: { confined: true, fullAt: '2026-11-24T12:01:00.000Z' },
      kernel: { ban: { confined: true } },
      lifts: expect.stringContaining('"honeymesh bans remove 203.0.113.7/32"'),
      sharable: { yes: false, why: 'it is confined to the traps still: it can be shared once the ban is full' },
    });
  });

  test('has a receipt for each session: who it said to be, what it tried, its first bytes', async () => {
    const rig = confinedRig();
    const credentials = [{ user: 'root', secret: '123456' }];
    const fingerprints = [{ name: 'hassh', value: 'ec7378c1a92f5a8dde7e8b7a1ddf33d1' }];
    const transcript = [{ atMs: 120, kind: 'credentials', text: 'root:123456' }] as const;
    const receipt = { head: base64('SSH-2.0-Go\r\n'), receivedBytes: 12, findings: [guess], credentials, fingerprints, transcript };
    rig.desk.take([trapEnded(SOURCE, rig.now(), receipt, { open: 1 }), trapEnded(SOURCE, rig.now())], 0);
    await rig.pipeline.settled();
    const report = await asked(rig);
    expect(report.verdict).toBe('dropped');
    expect(report.receipts).toMatchObject([
      { port: 22, trap: 'ssh', kind: 'credentials', rules: ['default-credentials'], credentials, fingerprints, transcript, receivedBytes: 12, end: 'deadline' },
      { port: 22, trap: 'ssh', kind: 'touch', rules: [], credentials: [], head: '' },
    ]);
    expect(report.receipts.map(row => row.event)).toEqual(report.events.filter(event => event.detail?.end !== undefined).map(event => event.id));
  });

  test('leaves out of its receipts what somebody wrote into the log by hand', async () => {
    const rig = confinedRig();
    rig.desk.take([trapEnded(SOURCE, rig.now(), {}, { open: 1 })], 0);
    await rig.pipeline.settled();
    const strange = {
      trap: 'ssh',
      head: 'aGk=',
      end: 'peer',
      findings: [3, null, { rule: 'x' }],
      credentials: 'root',
      transcript: [{ atMs: '1', kind: 'x', text: 'y' }],
    };
    rig.store.events.push(
      ...[strange, { trap: 'ssh' }, { trap: 3, head: 4, end: 5 }].map((detail, at) => ({ ...(rig.store.events.at(-1) as StoredEvent), id: 100 + at, detail })),
    );
    const { receipts } = await asked(rig);
    expect(receipts).toHaveLength(2);
    expect(receipts[1]).toMatchObject({ head: 'aGk=', findings: [], credentials: [], transcript: [], rules: [] });
  });
});
