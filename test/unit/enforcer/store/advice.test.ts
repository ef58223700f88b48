import type { Prefix } from '@honeymesh/intel/address';
import { unixMs } from '@honeymesh/intel/time';
import { expect, test } from 'vitest';
import { type AdviceRecord, adviceKey, adviceText, readAdvice, readAdvisers, type TargetRecord } from '#enforcer/ledger/advice/records.ts';
import { aBan, NOON, startStore, tamper, temporaryDirectory } from '#test/support/store.ts';

const TARGET = '203.0.113.7/32' as Prefix;
const target: TargetRecord = {
  kind: 'target',
  target: TARGET,
  votes: [
    {
      account: 'hub',
      signer: '0011223344556677',
      site: null,
      path: 'hub',
      epoch: 3,
      sequence: 9,
      issuedAt: NOON,
      expiresAt: unixMs(NOON + 1),
      tier: 'E2',
      reasons: ['trap-touch', 'exploit'],
    },
  ],
  counted: [{ account: 'a1', site: 'a', since: NOON }],
  heldMs: 12,
  heldSince: null,
  heldUntil: NOON,
};
const records: readonly AdviceRecord[] = [
  target,
  { kind: 'immune', target: TARGET, until: NOON },
  { kind: 'withdrawn', account: 'a1', signer: 'a1', target: TARGET, epoch: 1, sequence: 2, until: NOON },
  { kind: 'withdrawn', account: 'a1', signer: 'a1', target: null, epoch: 1, sequence: 2, until: NOON },
  { kind: 'signer', account: 'a1', trust: 0.75, trustAt: NOON, named: [[5_966_666, 256, 0]] },
];

test('what is remembered of advice, and who advised a ban, is on disk', async () => {
  const directory = temporaryDirectory();
  const store = await startStore({ directory });
  const advised = aBan('203.0.113.7/32', {
    offences: 0,
    advised: { since: NOON, provisional: true },
    advisers: [{ signer: 'a1', site: 'a', path: 'mesh', at: NOON }],
  });
  const own = aBan('203.0.113.8/32', { advisers: [{ signer: 'a1', site: null, path: 'hub', at: NOON }] });
  const gone: AdviceRecord = { kind: 'immune', target: '203.0.113.9/32' as Prefix, until: NOON };
  await store.commit({
    events: [],
    changes: [
      ...[advised, own].map(ban => ({ kind: 'put-ban', ban }) as const),
      ...[...records, gone].map(record => ({ kind: 'put-advice', record }) as const),
    ],
  });
  await store.commit({ events: [], changes: [{ kind: 'remove-advice', key: adviceKey(gone) }] });
  await store.stop();
  const again = await startStore({ directory });
  const ledger = await again.loadLedger();
  expect(ledger.bans).toEqual([advised, own]);
  expect(ledger.advice).toEqual(records);
});

test('a row of advice that was never written by us is left out, the others are kept', async () => {
  const directory = temporaryDirectory();
  const store = await startStore({ directory });
  await store.commit({ events: [], changes: records.map(record => ({ kind: 'put-advice', record })) });
  await store.stop();
  tamper(directory, db => {
    db.exec(`UPDATE advice SET record = '{"kind":"target"' WHERE key = 'target ${TARGET}'`);
    db.exec(`UPDATE advice SET key = 'immune 0.0.0.0/0' WHERE key = 'immune ${TARGET}'`);
  });
  expect((await (await startStore({ directory })).loadLedger()).advice).toEqual(records.slice(2));
});

test('records are read as they were written, and nothing else is one', () => {
  for (const record of records) expect(readAdvice(adviceText(record))).toEqual(record);
  const broken = [
    '',
    'null',
    '[]',
    '{}',
    '{"kind":"immune","target":"203.0.113.7/32","until":"soon"}',
    '{"kind":"immune","target":"203.0.113.7/24","until":1}',
    '{"kind":"signer","account":"a","trust":2,"trustAt":1,"named":[]}',
    '{"kind":"signer","account":"a","trust":1,"trustAt":1,"named":[[1,2]]}',
    '{"kind":"withdrawn","account":"a","signer":"a","target":"x","epoch":1,"sequence":1,"until":1}',
    JSON.stringify({ ...target, votes: [{}] }),
    JSON.stringify({ ...target, votes: [{ ...target.votes[0], reasons: 1, tier: 'operator' }] }),
    JSON.stringify({ ...target, heldSince: 1.5, votes: [] }),
  ];
  for (const text of broken) expect(readAdvice(text), text).toBeUndefined();
  for (const text of [null, 7, '', '[]', '{"advised":{"since":"x"}}', '{"advisers":[{}]}']) expect(readAdvisers(text)).toEqual({});
});
