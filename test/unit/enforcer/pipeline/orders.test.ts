import type { Address, Prefix } from '@honeymesh/intel/address';
import { unixMs } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import type { KernelConfig } from '#enforcer/kernel/port.ts';
import { createRig, touchOf } from '#test/support/pipeline.ts';

describe('bans by order', () => {
  test('answer with the row that the list shows', async () => {
    const rig = createRig();
    const row = await rig.orders.addBan({ target: '203.0.113.7', note: 'seen in the mail log' });
    expect(row).toMatchObject({
      target: '203.0.113.7/32',
      tier: 'operator',
      origins: ['operator'],
      expiresAt: null,
      enforced: true,
      note: 'seen in the mail log',
    });
    expect(rig.banList.rows()).toEqual([row]);
  });

  test('end when their ttl says', async () => {
    const rig = createRig();
    expect(await rig.orders.addBan({ target: '203.0.113.0/24', ttl: '90s' })).toMatchObject({
      target: '203.0.113.0/24',
      expiresAt: '2026-11-24T12:01:30.000Z',
      enforced: true,
    });
  });

  test.each([
    ['0.0.0.0/0', 'HM_REFUSED'],
    ['127.0.0.1', 'HM_REFUSED'],
    ['224.0.0.5', 'HM_REFUSED'],
    ['fe80::1', 'HM_REFUSED'],
    ['203.0.113.7/24', 'HM_USAGE'],
    ['attacker.example', 'HM_USAGE'],
  ])('of %s are refused with %s and a way out', async (target, code) => {
    const rig = createRig();
    await expect(rig.orders.addBan({ target })).rejects.toMatchObject({ code, fix: expect.stringMatching(/./) });
    expect(rig.kernel.listBans()).toEqual([]);
  });

  test.each(['90', 'soon', '0s', '9999d'])('with a ttl of %s are refused', async ttl => {
    await expect(createRig().orders.addBan({ target: '203.0.113.7', ttl })).rejects.toMatchObject({ code: 'HM_USAGE', fix: expect.stringContaining('24h') });
  });

  test('are imported line by line; what is wrong is told with its line', async () => {
    const rig = createRig();
    const lines = ['# a list', '203.0.113.7', '', '198.51.100.0/24 ; a network', 'nonsense', '127.0.0.1'];
    expect(await rig.orders.importBans({ lines })).toEqual({
      added: 2,
      refused: [
        { line: 5, text: 'nonsense', why: expect.stringContaining('not an address') },
        { line: 6, text: '127.0.0.1', why: expect.stringContaining('loopback') },
      ],
    });
    expect(
      rig.banList
        .rows()
        .map(row => row.target)
        .sort(),
    ).toEqual(['198.51.100.0/24', '203.0.113.7/32']);
  });
});

describe('lifting', () => {
  test('takes the ban out of the kernel and out of the list', async () => {
    const rig = createRig();
    await rig.orders.addBan({ target: '203.0.113.7' });
    expect(await rig.orders.removeBan({ target: '203.0.113.7' })).toEqual({ removed: ['203.0.113.7/32'] });
    expect(rig.kernel.listBans()).toEqual([]);
  });

  test('ends a shun of the kernel too, an IPv6 one by an address inside it', async () => {
    const rig = createRig();
    const shun = { reasons: ['syn-scan'], kinds: ['tcp'], expiresAt: unixMs(rig.now() + 60_000), repeats: 0, droppedPackets: 3 } as const;
    rig.kernel.shun({ ...shun, target: '203.0.113.7/32' as Prefix });
    rig.kernel.shun({ ...shun, target: '2001:db8::/64' as Prefix });
    expect(rig.banList.rows()).toMatchObject([
      { target: '203.0.113.7/32', tier: 'E0', origins: ['kernel'], droppedPackets: 3, createdAt: '2026-11-24T12:00:00.000Z' },
      { target: '2001:db8::/64', tier: 'E0' },
    ]);
    expect(await rig.orders.removeBan({ target: '203.0.113.7' })).toEqual({ removed: ['203.0.113.7/32'] });
    expect(await rig.orders.removeBan({ target: '2001:db8::9' })).toEqual({ removed: ['2001:db8::/64'] });
    expect(rig.kernel.listShuns()).toEqual([]);
  });

  test('shuns tell what they do: nothing to who was allowed since, and to a known client only where it scans or floods', async () => {
    const rig = createRig();
    rig.kernel.setConfig({ provenMs: 3_600_000 } as KernelConfig);
    const shun = { reasons: ['syn-scan'], kinds: ['tcp'], expiresAt: unixMs(rig.now() + 60_000), repeats: 0, droppedPackets: 0 } as const;
    for (const target of ['203.0.113.7/32', '203.0.113.8/32', '203.0.113.9/32'] as Prefix[]) rig.kernel.shun({ ...shun, target });
    await rig.orders.addAllowed({ target: '203.0.113.8' });
    rig.kernel.prove(['203.0.113.9' as Address]);
    expect(rig.banList.rows()).toMatchObject([
      { target: '203.0.113.7/32', enforced: true, note: 'new connections only (tcp)' },
      { target: '203.0.113.8/32', enforced: false, note: 'allowed by now' },
      { target: '203.0.113.9/32', enforced: true, note: 'known client, only what scans or floods (tcp)' },
    ]);
  });

  test('of a shun under a wider ban is refused: who was told "lifted" would expect to be let in', async () => {
    const rig = createRig();
    await rig.orders.addBan({ target: '2001:db8::/64' });
    rig.kernel.shun({
      target: '2001:db8::/64' as Prefix,
      reasons: ['syn-scan'],
      kinds: ['tcp'],
      expiresAt: unixMs(rig.now() + 60_000),
      repeats: 0,
      droppedPackets: 0,
    });
    await expect(rig.orders.removeBan({ target: '2001:db8::9' })).rejects.toMatchObject({
      code: 'HM_REFUSED',
      message: expect.stringContaining('it lies in the ban of 2001:db8::/64'),
    });
    expect(rig.kernel.listShuns()).toEqual([]);
  });

  test('of what is not banned is an error that says where to look', async () => {
    await expect(createRig().orders.removeBan({ target: '203.0.113.7' })).rejects.toMatchObject({
      code: 'HM_NOT_FOUND',
      fix: expect.stringContaining('explain'),
    });
  });
});

describe('the allow-list', () => {
  test('wins: allowing a banned address lifts its ban', async () => {
    const rig = createRig();
    rig.pipeline.sight(touchOf('203.0.113.7', rig.now()));
    await rig.orders.addAllowed({ target: '203.0.113.7' });
    expect(rig.kernel.listBans()).toEqual([]);
    expect(rig.kernel.view('203.0.113.7' as Address).rule).toMatchObject({ action: 'allow' });
    await expect(rig.orders.addBan({ target: '203.0.113.7' })).rejects.toMatchObject({ code: 'HM_REFUSED', fix: expect.stringContaining('allow remove') });
    expect(await rig.orders.removeAllowed({ target: '203.0.113.7' })).toEqual({ removed: ['203.0.113.7/32'] });
    expect(await rig.orders.addBan({ target: '203.0.113.7' })).toMatchObject({ enforced: true });
  });

  test('what the configuration allows is not removed by order; the refusal names where it stands', async () => {
    const rig = createRig();
    const entry = { target: '203.0.113.0/24' as Prefix, cause: 'config', why: 'in /etc/honeymesh/config.yaml', since: rig.now() } as const;
    await rig.pipeline.order({ kind: 'auto-allow', entries: [entry] });
    await expect(rig.orders.removeAllowed({ target: '203.0.113.0/24' })).rejects.toMatchObject({
      code: 'HM_REFUSED',
      message: expect.stringContaining('203.0.113.0/24'),
    });
  });

  test('a dry run tells who would be hit', async () => {
    const rig = createRig({ bystanders: { within: () => ['203.0.113.99' as Address] } });
    await rig.orders.addAllowed({ target: '203.0.113.5' });
    await rig.orders.addBan({ target: '203.0.113.7' });
    expect(await rig.orders.dryRunBan({ target: '203.0.113.0/24' })).toMatchObject({
      refused: null,
      addresses: '256',
      allowedWithin: [{ target: '203.0.113.5/32' }],
      bystanders: ['203.0.113.99'],
      bansWithin: 1,
      coveredBy: null,
    });
    expect(rig.banList.rows()).toHaveLength(1);
  });
});

test('an order that the disk refused is carried out and not acknowledged: the answer says what that means', async () => {
  const rig = createRig();
  await rig.orders.addBan({ target: '203.0.113.1' });
  rig.store.refuse = true;
  const refused = { code: 'HM_STORE_READ_ONLY', message: expect.stringContaining('not on disk'), fix: expect.stringContaining('status') };
  await expect(rig.orders.addBan({ target: '203.0.113.2' })).rejects.toMatchObject(refused);
  await expect(rig.orders.removeBan({ target: '203.0.113.1' })).rejects.toMatchObject(refused);
  await expect(rig.orders.addAllowed({ target: '203.0.113.3' })).rejects.toMatchObject(refused);
  await expect(rig.orders.removeAllowed({ target: '203.0.113.3' })).rejects.toMatchObject(refused);
  expect(await rig.orders.importBans({ lines: ['203.0.113.4'] })).toMatchObject({ added: 0, refused: [{ text: '203.0.113.4' }] });
  expect(rig.banList.rows().map(({ target, enforced }) => [target, enforced])).toEqual([
    ['203.0.113.2/32', true],
    ['203.0.113.4/32', true],
  ]);
});
