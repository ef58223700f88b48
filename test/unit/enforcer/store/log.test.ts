import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DAY_MS, HOUR_MS, unixMs } from '@honeymesh/intel/time';
import { describe, expect, test, vi } from 'vitest';
import { verifyDirectory } from '#enforcer/store/verify.ts';
import { aBan, anEvent, type Clock, manyEvents, NOON, startStore, tamper, temporaryDirectory } from '#test/support/store.ts';

describe('what is committed', () => {
  test('is numbered from 1 without a gap, across commits and restarts', async () => {
    const directory = temporaryDirectory();
    const first = await startStore({ directory });
    const written = await first.commit({ events: manyEvents(3), changes: [] });
    expect(written.stored).toBe(true);
    expect(written.events.map(event => event.id)).toEqual([1, 2, 3]);
    await first.stop();
    const second = await startStore({ directory });
    expect((await second.commit({ events: manyEvents(2), changes: [] })).events.map(event => event.id)).toEqual([4, 5]);
    expect(second.status()).toMatchObject({ ok: true, events: 5, lastId: 5, segments: 1, waiting: 0, lost: 0 });
  });

  test('comes back as it was given, with everything an event can have', async () => {
    const store = await startStore({ directory: temporaryDirectory() });
    const given = [
      anEvent({ wouldBan: true, target: '203.0.113.0/24' as never, detail: { user: 'root', nested: { list: [1, null, 'ü'] } } }),
      anEvent({ source: '2001:db8::7' as never, wouldBan: false }),
      anEvent({ source: '198.51.100.0/24' as never, reasons: ['syn-scan', 'trap-touch'] }),
      anEvent({ kind: 'lifecycle', source: null, port: null, protocol: null, tier: null, reasons: [], origin: null, summary: '' }),
    ];
    const { events } = await store.commit({ events: given, changes: [] });
    expect(events).toEqual(given.map((event, at) => ({ ...event, id: at + 1 })));
    expect(await store.query({ ascending: true })).toEqual(events);
  });

  test('is bounded: a long summary is cut, a detail that is too long or no JSON is left out, the event stays', async () => {
    const store = await startStore({ directory: temporaryDirectory() });
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    const { stored, events } = await store.commit({
      events: [
        anEvent({ summary: 'x'.repeat(5_000) }),
        anEvent({ detail: { text: 'y'.repeat(20_000) } }),
        anEvent({ detail: circular }),
        anEvent({ at: Number.NaN as never, port: 1.5, summary: 'lone \ud800 surrogate' }),
      ],
      changes: [],
    });
    expect(stored).toBe(true);
    expect(await store.query({ ascending: true })).toMatchObject([
      { summary: `${'x'.repeat(1_997)}...` },
      { detail: { leftOut: 'too long', bytes: 20_011 } },
      { detail: { leftOut: 'not JSON' } },
      { at: NOON, summary: 'lone \ufffd surrogate', port: null },
    ]);
    expect(events[1]?.detail).toEqual({ leftOut: 'too long', bytes: 20_011 });
    expect(await store.verify()).toMatchObject({ ok: true, events: 4 });
  });

  test('keeps the order of the commits of one tick, which share a transaction', async () => {
    const directory = temporaryDirectory();
    const store = await startStore({ directory });
    const all = await Promise.all(Array.from({ length: 50 }, (_, at) => store.commit({ events: [anEvent({ port: at })], changes: [] })));
    expect(all.map(({ events }) => events[0]?.id)).toEqual(Array.from({ length: 50 }, (_, at) => at + 1));
    tamper(directory, db => expect(db.prepare('SELECT batch FROM writer').pluck().get()).toBe(1));
  });

  test('is private to its user', async () => {
    const directory = join(temporaryDirectory(), 'new');
    await startStore({ directory });
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(directory)) expect([name, statSync(join(directory, name)).mode & 0o777]).toEqual([name, 0o600]);
  });
});

describe('the log is append-only', () => {
  test.each([
    ['UPDATE segment_1 SET summary = 0', 'nothing is changed'],
    ['DELETE FROM segment_1', 'nothing is deleted'],
    ['DELETE FROM segment_2', 'nothing is deleted'],
    [
      'INSERT INTO segment_1 SELECT 5, at, kind, source, source_bits, port, protocol, tier, reasons, origin, summary, would_ban, target, detail, hash FROM segment_1 LIMIT 1',
      'sealed',
    ],
    [
      'INSERT OR REPLACE INTO segment_2 SELECT 5, at, kind, source, source_bits, port, protocol, tier, reasons, origin, summary, would_ban, target, detail, hash FROM segment_2 LIMIT 1',
      'numbers go up by one',
    ],
    ['UPDATE seals SET last_id = 9', 'nothing is changed'],
    ['DELETE FROM seals', 'nothing is deleted'],
  ])('%s', async (sql, refusal) => {
    const directory = temporaryDirectory();
    const store = await startStore({ directory, segmentEvents: 4 });
    await store.commit({ events: manyEvents(6), changes: [] });
    await store.stop();
    tamper(directory, db => expect(() => db.exec(sql)).toThrow(refusal));
    expect(await verifyDirectory(directory)).toMatchObject({ ok: true, events: 6 });
  });
});

describe('segments', () => {
  test('are sealed at their size, within one commit as often as it takes', async () => {
    const store = await startStore({ directory: temporaryDirectory(), segmentEvents: 10 });
    await store.commit({ events: manyEvents(35), changes: [] });
    expect(await store.verify()).toMatchObject({ ok: true, events: 35, segments: 4, sealed: 3, firstId: 1, lastId: 35 });
    await store.commit({ events: manyEvents(5), changes: [] });
    expect(await store.verify()).toMatchObject({ ok: true, events: 40, segments: 5, sealed: 4 });
  });

  test('are sealed at their age, and retired as a whole when their newest event is older than the retention', async () => {
    const clock: Clock = { ms: NOON };
    const directory = temporaryDirectory();
    const store = await startStore({ directory, segmentEvents: 10, segmentMs: HOUR_MS, retentionMs: DAY_MS, maintainMs: 5 }, clock);
    await store.commit({ events: manyEvents(25, at => ({ at: unixMs(NOON + at) })), changes: [] });
    clock.ms += 2 * HOUR_MS;
    await vi.waitFor(async () => expect(await store.verify()).toMatchObject({ segments: 4, sealed: 3 }));
    clock.ms = NOON + DAY_MS + 10; // events 1 to 10 happened until NOON + 9
    await vi.waitFor(() => expect(store.status()).toMatchObject({ events: 15, segments: 3 }));
    expect(await store.verify()).toMatchObject({ ok: true, events: 15, firstId: 11, lastId: 25, retired: { segments: 1, firstId: 1, lastId: 10 } });
    clock.ms = NOON + 2 * DAY_MS;
    await vi.waitFor(() => expect(store.status()).toMatchObject({ events: 0, lastId: 25 }));
    expect((await store.commit({ events: manyEvents(1), changes: [] })).events[0]?.id).toBe(26);
    await store.stop();
    expect(await verifyDirectory(directory)).toMatchObject({ ok: true, events: 1, firstId: 26, lastId: 26, retired: { segments: 3, lastId: 25 } });
    const again = await startStore({ directory }, clock);
    expect(again.status()).toMatchObject({ ok: true, events: 1, lastId: 26 });
  });

  test('that are retired give their pages back to the file system', async () => {
    const clock: Clock = { ms: NOON };
    const directory = temporaryDirectory();
    const store = await startStore({ directory, segmentEvents: 2_000, retentionMs: DAY_MS, maintainMs: 5 }, clock);
    const detail = { filler: 'z'.repeat(800) };
    for (let batch = 0; batch < 8; batch++) await store.commit({ events: manyEvents(1_000, () => ({ detail })), changes: [] });
    expect(store.status().bytes).toBeGreaterThan(8_000_000);
    clock.ms += 2 * DAY_MS;
    await store.commit({ events: [anEvent({ at: unixMs(clock.ms) })], changes: [] });
    await vi.waitFor(() => expect(store.status().events).toBe(1));
    await vi.waitFor(() => tamper(directory, db => expect(Number(db.pragma('freelist_count', { simple: true }))).toBeLessThanOrEqual(256)));
    await store.stop();
    expect(statSync(join(directory, 'events.db')).size).toBeLessThan(2_000_000);
    expect(existsSync(join(directory, 'events.db-wal'))).toBe(false);
    expect(await verifyDirectory(directory)).toMatchObject({ ok: true, events: 1 });
  });

  test('go before their time where the log is larger than it may be', async () => {
    const store = await startStore({ directory: temporaryDirectory(), segmentEvents: 500, maxBytes: 1_000_000, maintainMs: 5 });
    const detail = { filler: 'z'.repeat(800) };
    for (let batch = 0; batch < 8; batch++) await store.commit({ events: manyEvents(500, () => ({ detail })), changes: [] });
    await vi.waitFor(() => expect(store.status().events).toBeLessThan(1_500));
    expect(await store.verify()).toMatchObject({ ok: true, lastId: 4_000 });
  });
});

describe('the ledger', () => {
  test('is written with the events that tell of it and read back whole', async () => {
    const directory = temporaryDirectory();
    const store = await startStore({ directory });
    const ban = aBan('203.0.113.7/32', { note: 'by hand', expiresAt: null, origins: ['trap', 'operator'], reasons: ['trap-touch', 'order'] });
    const entry = { target: '198.51.100.0/24' as never, cause: 'operator', why: 'our scanner', since: NOON } as const;
    const offence = { target: '203.0.113.7/32' as never, count: 2, lastEndedAt: NOON };
    await store.commit({
      events: [anEvent()],
      changes: [
        { kind: 'put-ban', ban: aBan('203.0.113.8/32') },
        { kind: 'put-ban', ban: aBan('203.0.113.7/32') },
        { kind: 'put-ban', ban },
        { kind: 'remove-ban', target: '203.0.113.8/32' as never },
        { kind: 'put-allow', entry },
        { kind: 'put-offence', offence },
        { kind: 'put-offence', offence: { ...offence, target: '203.0.113.9/32' as never } },
        { kind: 'remove-offence', target: '203.0.113.9/32' as never },
      ],
    });
    await store.stop();
    const again = await startStore({ directory });
    expect(await again.loadLedger()).toEqual({ bans: [ban], allowed: [entry], offences: [offence] });
    await again.commit({ events: [], changes: [{ kind: 'remove-allow', target: entry.target }] });
    expect((await again.loadLedger()).allowed).toEqual([]);
  });

  test('tells who is confined and until when; what no confinement can be is a full ban', async () => {
    const directory = temporaryDirectory();
    const store = await startStore({ directory });
    const confined = { since: NOON, fullAt: unixMs(NOON + 60_000) };
    const targets = [1, 2, 3, 4, 5, 6].map(host => `203.0.113.${host}/32`);
    await store.commit({ events: [], changes: targets.map(target => ({ kind: 'put-ban', ban: aBan(target, { confined }) })) });
    await store.commit({ events: [], changes: [{ kind: 'put-ban', ban: aBan('203.0.113.2/32') }] });
    await store.stop();
    tamper(directory, db =>
      db.exec(`UPDATE bans SET full_at = NULL WHERE target = '203.0.113.3/32'; UPDATE bans SET full_at = 9e15 WHERE target = '203.0.113.4/32';
        UPDATE bans SET full_at = confined_since WHERE target = '203.0.113.5/32'; UPDATE bans SET tier = 'operator' WHERE target = '203.0.113.6/32'`),
    );
    const again = await startStore({ directory });
    const { bans } = await again.loadLedger();
    expect(bans).toHaveLength(6);
    for (const ban of bans) expect([ban.target, ban.confined]).toEqual([ban.target, ban.target === targets[0] ? confined : undefined]);
  });

  test('is read without the rows that were never written by us', async () => {
    const directory = temporaryDirectory();
    const store = await startStore({ directory });
    await store.commit({
      events: [],
      changes: [
        { kind: 'put-ban', ban: aBan('203.0.113.7/32') },
        { kind: 'put-ban', ban: aBan('203.0.113.8/32') },
      ],
    });
    await store.stop();
    tamper(directory, db =>
      db.exec(
        "UPDATE bans SET tier = 'E9' WHERE target = '203.0.113.8/32'; INSERT INTO bans VALUES ('not an address', 'E1', 1, 'trap', 1, 1, 1, NULL, NULL, NULL, NULL)",
      ),
    );
    const again = await startStore({ directory });
    expect((await again.loadLedger()).bans.map(ban => ban.target)).toEqual(['203.0.113.7/32']);
  });
});
