import { unixMs } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import { verifyDirectory } from '#enforcer/store/verify.ts';
import { aBan, anEvent, manyEvents, NOON, startStore, tamper, temporaryDirectory } from '#test/support/store.ts';
import { writeVersion1 } from '#test/support/store-version-1.ts';

describe('a log of the first version', () => {
  test('is taken over as it is: the chain untouched, the bans full, and what is confined from now on kept', async () => {
    const directory = temporaryDirectory();
    const head = writeVersion1(directory, 9, NOON);
    expect(await verifyDirectory(directory)).toMatchObject({ ok: true, events: 9, head });
    const store = await startStore({ directory });
    expect(store.status()).toMatchObject({ ok: true, events: 9, lastId: 9 });
    expect(await store.verify()).toMatchObject({ ok: true, events: 9, head });
    const { bans } = await store.loadLedger();
    expect(bans).toHaveLength(9);
    expect(bans[0]).toEqual(aBan('203.0.113.1/32'));
    const confined = { since: NOON, fullAt: unixMs(NOON + 60_000) };
    await store.commit({ events: [anEvent()], changes: [{ kind: 'put-ban', ban: aBan('203.0.113.1/32', { confined }) }] });
    await store.stop();
    const again = await startStore({ directory });
    expect((await again.loadLedger()).bans.find(ban => ban.target === '203.0.113.1/32')).toEqual(aBan('203.0.113.1/32', { confined }));
    expect(await again.verify()).toMatchObject({ ok: true, events: 10 });
    expect((await again.query({ ascending: true, limit: 1 }))[0]).toMatchObject({ id: 1, summary: 'touched the trap, naïvely, 1', source: '203.0.113.1' });
    tamper(directory, db => expect(db.pragma('user_version', { simple: true })).toBe(3));
  });

  test('goes on in its open segment, which is sealed like any other', async () => {
    const directory = temporaryDirectory();
    writeVersion1(directory, 9, NOON);
    const store = await startStore({ directory, segmentEvents: 12 });
    await store.commit({ events: manyEvents(20), changes: [] });
    expect(await store.verify()).toMatchObject({ ok: true, events: 29, segments: 3, sealed: 2 });
  });

  test('that was damaged gives its bans to the new one', async () => {
    const directory = temporaryDirectory();
    writeVersion1(directory, 9, NOON);
    tamper(directory, db => db.exec('DROP TABLE offences'));
    const store = await startStore({ directory });
    expect(store.status()).toMatchObject({ ok: false, why: expect.stringContaining('was damaged') });
    expect((await store.loadLedger()).bans).toHaveLength(9);
  });
});

test('a sealed segment answers by index, the open one is read', async () => {
  const directory = temporaryDirectory();
  const store = await startStore({ directory, segmentEvents: 10 });
  await store.commit({ events: manyEvents(15), changes: [] });
  await store.stop();
  tamper(directory, db => {
    const indexes = db.prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name").pluck().all();
    expect(indexes).toEqual(['segment_1_kind', 'segment_1_port', 'segment_1_source']);
  });
});
