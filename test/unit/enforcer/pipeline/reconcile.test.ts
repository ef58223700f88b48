import type { Prefix } from '@honeymesh/intel/address';
import type { Ban } from '@honeymesh/intel/bans';
import { HOUR_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import { reconcile } from '#enforcer/pipeline/reconcile.ts';
import { createRig } from '#test/support/pipeline.ts';

const START = Date.parse('2026-11-24T12:00:00Z');
const ban = (target: string, expiresAt: UnixMs | null = null): Ban => ({
  target: target as Prefix,
  tier: expiresAt === null ? 'operator' : 'E1',
  reasons: [expiresAt === null ? 'order' : 'trap-touch'],
  origins: [expiresAt === null ? 'operator' : 'trap'],
  createdAt: unixMs(START - HOUR_MS),
  expiresAt,
  offences: 1,
});
const kernelBan = ({ target, tier, reasons, expiresAt }: Ban) => ({ target, tier, reasons, expiresAt });

test('what only the ledger knows is put in, what only the kernel knows is taken over, what neither wants goes', async () => {
  const both = ban('203.0.113.1/32');
  const lost = ban('203.0.113.2/32', unixMs(START + HOUR_MS));
  const wide = ban('198.51.100.0/24');
  const found = ban('203.0.113.3/32', unixMs(START + HOUR_MS));
  const over = ban('203.0.113.4/32', unixMs(START - 1));
  const allowed = ban('203.0.113.5/32');
  const entry = { target: '203.0.113.5/32' as Prefix, cause: 'operator', why: 'by order', since: unixMs(START) } as const;
  const rig = createRig({ snapshot: { bans: [both, lost, wide], allowed: [entry], offences: [] } });
  rig.kernel.putBans([both, found, over, allowed].map(kernelBan));

  const done = reconcile(rig, rig.now());
  for (const input of done.inputs) await rig.pipeline.order(input);

  expect(done).toMatchObject({ inBoth: 1, putIntoKernel: 1, adopted: 1, removedFromKernel: 2, refused: [] });
  expect(
    rig.kernel
      .listBans()
      .map(held => held.target)
      .sort(),
  ).toEqual(['203.0.113.1/32', '203.0.113.2/32', '203.0.113.3/32']);
  expect(
    rig.ledger
      .bans()
      .map(held => held.target)
      .sort(),
  ).toEqual(['198.51.100.0/24', '203.0.113.1/32', '203.0.113.2/32', '203.0.113.3/32']);
  expect(rig.kernel.listRules().map(rule => [rule.target, rule.action])).toEqual(
    expect.arrayContaining([
      ['198.51.100.0/24', 'deny'],
      ['203.0.113.5/32', 'allow'],
    ]),
  );
});

test('a ban of a prefix that only the kernel knows is taken over, and its rule never leaves', async () => {
  const wide = ban('198.51.100.0/24', unixMs(START + HOUR_MS));
  const over = ban('198.51.101.0/24', unixMs(START - 1));
  const rig = createRig();
  rig.kernel.setRules([
    { ...kernelBan(wide), action: 'deny' },
    { ...kernelBan(over), action: 'deny' },
  ]);
  const { inputs } = reconcile(rig, rig.now());
  expect(rig.kernel.listRules().map(rule => rule.target)).toEqual(['198.51.100.0/24']);
  for (const input of inputs) await rig.pipeline.order(input);
  expect(rig.ledger.bans()).toMatchObject([{ target: '198.51.100.0/24', tier: 'E1', expiresAt: START + HOUR_MS, note: 'found in the kernel after a restart' }]);
  expect(rig.kernel.listRules().map(rule => rule.target)).toEqual(['198.51.100.0/24']);
});

test('a second reconciling finds nothing to do', async () => {
  const rig = createRig({ snapshot: { bans: [ban('203.0.113.1/32'), ban('2001:db8::/64', unixMs(START + HOUR_MS))], allowed: [], offences: [] } });
  reconcile(rig, rig.now());
  expect(reconcile(rig, rig.now())).toMatchObject({ inBoth: 2, putIntoKernel: 0, adopted: 0, removedFromKernel: 0 });
});

test('what the kernel has no room for is named', () => {
  const rig = createRig({
    kernelCapacity: { ipv4: 1, ipv6: 1, ipv6Exact: 1, rules: 1 },
    snapshot: { bans: [ban('203.0.113.1/32'), ban('203.0.113.2/32')], allowed: [], offences: [] },
  });
  expect(reconcile(rig, rig.now()).refused).toHaveLength(1);
  expect(rig.enforcement.unenforced()).toHaveLength(1);
});

test('a wide ban that is pinned already stays in the kernel through the first orders of a new daemon', async () => {
  const wide = ban('198.51.100.0/24');
  const rig = createRig({ snapshot: { bans: [wide], allowed: [], offences: [] } });
  rig.kernel.setRules([{ ...kernelBan(wide), action: 'deny' }]);
  const entry = { target: '203.0.113.5/32' as Prefix, cause: 'own', why: 'an address of this host', since: unixMs(START) } as const;
  await rig.pipeline.order({ kind: 'auto-allow', entries: [entry] });
  expect(rig.kernel.listRules().map(rule => rule.target)).toContain('198.51.100.0/24');
});

describe('confinement', () => {
  const confined = (target: string): Ban => ({ ...ban(target, unixMs(START + HOUR_MS)), confined: { since: unixMs(START), fullAt: unixMs(START + 60_000) } });
  const rigWith = (...bans: Ban[]) => createRig({ policy: { patience: { kind: 'listen', longestMs: 60_000 } }, snapshot: { bans, allowed: [], offences: [] } });

  test('a confined ban that the kernel lost is put in as it was, one that it holds is in both', () => {
    const rig = rigWith(confined('203.0.113.1/32'), confined('203.0.113.2/32'));
    rig.kernel.putBans([{ ...kernelBan(confined('203.0.113.2/32')), confined: true }]);
    expect(reconcile(rig, rig.now())).toMatchObject({ inBoth: 1, putIntoKernel: 1, inputs: [] });
    expect(rig.kernel.listBans().map(held => held.confined)).toEqual([true, true]);
  });

  test('a confined entry that only the kernel knows becomes a full ban', async () => {
    const rig = rigWith();
    rig.kernel.putBans([{ ...kernelBan(confined('203.0.113.1/32')), confined: true }]);
    for (const input of reconcile(rig, rig.now()).inputs) await rig.pipeline.order(input);
    expect(rig.ledger.bans()[0]?.confined).toBeUndefined();
    expect(rig.kernel.listBans()[0]?.confined).toBeUndefined();
  });

  test('whom the kernel drops in full already is not let out to the traps again: the ban is full in the ledger too', async () => {
    const rig = rigWith(confined('203.0.113.1/32'));
    rig.kernel.putBans([kernelBan(confined('203.0.113.1/32'))]);
    const done = reconcile(rig, rig.now());
    expect(rig.kernel.listBans()[0]?.confined).toBeUndefined();
    for (const input of done.inputs) await rig.pipeline.order(input);
    expect(rig.ledger.bans()[0]?.confined).toBeUndefined();
    expect(rig.kernel.listBans()[0]?.confined).toBeUndefined();
  });

  test('a full ban that the kernel holds as a confined one is put in as full', () => {
    const full = ban('203.0.113.1/32', unixMs(START + HOUR_MS));
    const rig = rigWith(full);
    rig.kernel.putBans([{ ...kernelBan(full), confined: true }]);
    expect(reconcile(rig, rig.now())).toMatchObject({ inBoth: 0, putIntoKernel: 1 });
    expect(rig.kernel.listBans()[0]?.confined).toBeUndefined();
  });
});
