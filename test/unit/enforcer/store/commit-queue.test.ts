import { describe, expect, test, vi } from 'vitest';
import { type CommitQueue, createCommitQueue, type NumberedBatch, type Written } from '#enforcer/store/commit-queue.ts';
import type { Failure } from '#enforcer/store/failures.ts';
import { aBan, manyEvents, NOON } from '#test/support/store.ts';

const FULL: Failure = { kind: 'full', why: 'the disk is full', fix: 'free space' };

/** A disk that can be told to refuse, and remembers what it took. */
function aDisk(): {
  written: NumberedBatch[];
  offered: NumberedBatch[];
  answer: 'takes' | 'refuses' | 'poisoned' | 'rejects';
  write: (batch: NumberedBatch) => Promise<Written>;
} {
  const disk: ReturnType<typeof aDisk> = {
    written: [],
    offered: [],
    answer: 'takes',
    write: async batch => {
      disk.offered.push(batch);
      await new Promise(resolve => setImmediate(resolve));
      if (disk.answer === 'rejects') throw new Error('a bug');
      if (disk.answer !== 'takes') return { ok: false, failure: FULL, poisoned: disk.answer === 'poisoned' };
      const firstId = disk.written.reduce((sum, one) => sum + one.events.length, 1);
      disk.written.push(batch);
      return { ok: true, firstId };
    },
  };
  return disk;
}

const queueOn = (
  disk: ReturnType<typeof aDisk>,
  limits: { maxEvents?: number; maxBytes?: number; batchEvents?: number; gatherMs?: number } = {},
): CommitQueue =>
  createCommitQueue(
    { maxEvents: 100, maxBytes: 1e6, batchEvents: 10, gatherMs: 1, retryMs: 5, longestRetryMs: 20, ...limits },
    { write: disk.write, now: () => NOON },
  );

const named = (...names: readonly string[]) => ({ events: names.map(summary => ({ ...manyEvents(1)[0], summary }) as never), changes: [] });
const summaries = (disk: ReturnType<typeof aDisk>): readonly string[] => disk.written.flatMap(batch => batch.events.map(event => event.summary));

describe('commits', () => {
  test('of one tick share a batch, those that come meanwhile the next', async () => {
    const disk = aDisk();
    const queue = queueOn(disk);
    const first = [queue.add(named('a')), queue.add(named('b'))];
    await Promise.resolve();
    const second = [queue.add(named('c')), queue.add(named('d'))];
    expect((await Promise.all([...first, ...second])).flatMap(({ events }) => events.map(event => event.id))).toEqual([1, 2, 3, 4]);
    expect(disk.written.map(batch => batch.events.map(event => event.summary))).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
  });

  test('that come in a stream are gathered; one that comes by itself is written at once', async () => {
    const disk = aDisk();
    const queue = queueOn(disk, { maxEvents: 1_000, batchEvents: 1_000, gatherMs: 60 });
    await queue.add({ events: manyEvents(5), changes: [] });
    const alone = performance.now();
    await queue.add({ events: manyEvents(40), changes: [] });
    expect(performance.now() - alone).toBeLessThan(50);
    const gathered = performance.now();
    const stream = [queue.add({ events: manyEvents(1), changes: [] })];
    await new Promise(resolve => setTimeout(resolve, 5));
    stream.push(queue.add({ events: manyEvents(2), changes: [] }));
    await Promise.all(stream);
    expect(performance.now() - gathered).toBeGreaterThan(40);
    expect(disk.written.map(batch => batch.events.length)).toEqual([5, 40, 3]);
  });

  test('are written at once where the queue is to end', async () => {
    const disk = aDisk();
    const queue = queueOn(disk, { maxEvents: 1_000, batchEvents: 1_000, gatherMs: 10_000 });
    await queue.add({ events: manyEvents(40), changes: [] });
    const last = queue.add({ events: manyEvents(2), changes: [] });
    await queue.drain();
    expect(await last).toMatchObject({ stored: true });
  });

  test('that change the same ban in one batch write it once, as it is in the end', async () => {
    const disk = aDisk();
    const queue = queueOn(disk);
    const put = (offences: number, target = '203.0.113.7/32') => ({ events: [], changes: [{ kind: 'put-ban', ban: aBan(target, { offences }) } as const] });
    await Promise.all([queue.add(put(1)), queue.add(put(1, '203.0.113.8/32')), queue.add(put(2)), queue.add(put(3))]);
    expect(disk.written.flatMap(batch => batch.changes)).toMatchObject([
      { ban: { target: '203.0.113.8/32' } },
      { ban: { target: '203.0.113.7/32', offences: 3 } },
    ]);
  });

  test('are not torn apart, and a batch holds at most so many events unless one commit is larger', async () => {
    const disk = aDisk();
    const queue = queueOn(disk);
    const sizes = [4, 4, 4, 25, 1];
    await Promise.all(sizes.map(size => queue.add({ events: manyEvents(size), changes: [] })));
    expect(disk.written.map(batch => batch.events.length)).toEqual([8, 4, 25, 1]);
  });

  test('of nothing are stored at once', async () => {
    expect(await queueOn(aDisk()).add({ events: [], changes: [] })).toEqual({ stored: true, events: [] });
  });
});

describe('when the disk refuses', () => {
  test('callers are told, what they brought waits, and is written in order when the disk takes it, the refused batch under its own number', async () => {
    const disk = aDisk();
    const queue = queueOn(disk);
    await queue.add(named('a'));
    disk.answer = 'refuses';
    const refused = await Promise.all([queue.add(named('b')), queue.add(named('c', 'd'))]);
    const late = await queue.add(named('e'));
    expect([...refused, late]).toEqual(Array.from({ length: 3 }, () => ({ stored: false, events: [] })));
    expect(queue).toMatchObject({ refusal: FULL, waiting: 4, lost: 0 });
    await vi.waitFor(() => expect(disk.offered.length).toBeGreaterThan(3));
    disk.answer = 'takes';
    await vi.waitFor(() => expect(queue).toMatchObject({ refusal: null, waiting: 0, lost: 0 }));
    await queue.add(named('f'));
    expect(summaries(disk)).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
    const numbers = disk.offered.filter(batch => batch.events[0]?.summary === 'b').map(batch => batch.number);
    expect(new Set(numbers).size).toBe(1);
  });

  test('what comes while the backlog is being written comes after it', async () => {
    const disk = aDisk();
    const queue = queueOn(disk);
    disk.answer = 'refuses';
    await queue.add(named('first'));
    await queue.add(named(...Array.from({ length: 35 }, (_, at) => `waiting ${at}`)));
    disk.answer = 'takes';
    while (queue.refusal !== null) await new Promise(resolve => setImmediate(resolve));
    expect(summaries(disk).length).toBeLessThan(36);
    const late = await queue.add(named('late'));
    expect(late).toMatchObject({ stored: true, events: [{ id: 37 }] });
    expect(summaries(disk).at(-1)).toBe('late');
  });

  test('no more waits than fits; the oldest are kept, the rest counted, and the log says where the hole is', async () => {
    const disk = aDisk();
    const queue = queueOn(disk, { maxEvents: 5 });
    disk.answer = 'refuses';
    for (let at = 0; at < 12; at++) await queue.add(named(`event ${at}`));
    expect(queue).toMatchObject({ waiting: 6, lost: 6 }); // one under way, five behind it
    disk.answer = 'takes';
    await vi.waitFor(() => expect(summaries(disk)).toHaveLength(7));
    expect(summaries(disk)).toEqual(['event 0', 'event 1', 'event 2', 'event 3', 'event 4', 'event 5', expect.stringContaining('6 events were lost here')]);
    await queue.add(named('after'));
    expect(summaries(disk)).toHaveLength(8);
    expect(queue.lost).toBe(6);
  });

  test('what waits is bounded in bytes, too', async () => {
    const disk = aDisk();
    const queue = queueOn(disk, { maxBytes: 5_000 });
    disk.answer = 'refuses';
    await queue.add(named('x'));
    await queue.add(named(...Array.from({ length: 10 }, () => 'y'.repeat(1_800))));
    expect(queue).toMatchObject({ waiting: 3, lost: 8 });
    await queue.drain();
  });

  test('no change of the ledger is lost: of two about one target the later counts', async () => {
    const disk = aDisk();
    const queue = queueOn(disk, { maxEvents: 1 });
    disk.answer = 'refuses';
    await queue.add(named('x'));
    for (let round = 0; round < 50; round++) {
      await queue.add({
        events: manyEvents(3),
        changes: [
          { kind: 'put-ban', ban: aBan('203.0.113.7/32', { offences: round }) },
          { kind: 'remove-ban', target: '203.0.113.8/32' as never },
        ],
      });
    }
    disk.answer = 'takes';
    await vi.waitFor(() => expect(queue.refusal).toBeNull());
    const changes = disk.written.flatMap(batch => batch.changes);
    expect(changes).toHaveLength(2);
    expect(changes[0]).toMatchObject({ kind: 'put-ban', ban: { offences: 49 } });
  });

  test('more than fits is refused while the disk is only slow, but the ledger gets through', async () => {
    const disk = aDisk();
    const queue = queueOn(disk, { maxEvents: 3 });
    const all = [
      queue.add({ events: manyEvents(3), changes: [] }),
      queue.add({ events: manyEvents(2), changes: [{ kind: 'put-ban', ban: aBan('203.0.113.7/32') }] }),
    ];
    expect((await Promise.all(all)).map(({ stored }) => stored)).toEqual([true, false]);
    expect(disk.written.flatMap(batch => batch.changes)).toHaveLength(1);
    expect(queue.lost).toBe(2);
  });

  test.each(['poisoned', 'rejects'] as const)('a batch that is %s is given up and counted, the next one goes through', async answer => {
    const disk = aDisk();
    const queue = queueOn(disk);
    disk.answer = answer;
    expect(await queue.add(named('bad', 'worse'))).toEqual({ stored: false, events: [] });
    disk.answer = 'takes';
    await vi.waitFor(() => expect(queue.refusal).toBeNull());
    await queue.add(named('good'));
    expect(summaries(disk)).toEqual([expect.stringContaining('2 events were lost'), 'good']);
  });

  test('stopping tries once more and then counts what it leaves behind', async () => {
    const disk = aDisk();
    const queue = queueOn(disk);
    disk.answer = 'refuses';
    await queue.add(named('a', 'b'));
    await queue.add(named('c'));
    await queue.drain();
    expect(queue.lost).toBe(3);
    expect(await queue.add(named('d'))).toEqual({ stored: false, events: [] });
    expect(queue.lost).toBe(4);
  });

  test('stopping writes what waits if the disk takes it', async () => {
    const disk = aDisk();
    const queue = queueOn(disk);
    disk.answer = 'refuses';
    await queue.add(named('a'));
    await queue.add(named(...Array.from({ length: 25 }, (_, at) => `b${at}`)));
    disk.answer = 'takes';
    await queue.drain();
    expect(summaries(disk)).toHaveLength(26);
    expect(queue.lost).toBe(0);
  });
});
