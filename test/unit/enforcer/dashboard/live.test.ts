import type { ClientRequest, IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { EventRow } from '#enforcer/control/operations.ts';
import { MOST_MISSED, MOST_STREAMS } from '#enforcer/dashboard/api/live.ts';
import { type DashboardScene, dashboardScene } from '#test/support/dashboard.ts';
import { eventRow } from '#test/support/fake-operations.ts';

let log: EventRow[];
let scene: DashboardScene;
let feeds: Feed[];
/** Tells of it as the pipeline does: it is stored before. */
const store = (more: Partial<EventRow> = {}) => {
  const row = eventRow(log.length + 1, more);
  log.push(row);
  scene.operations.emit(row);
};

beforeEach(async () => {
  log = [];
  feeds = [];
  scene = await dashboardScene({
    async listEvents({ afterId = 0, ascending = false, limit = 100 }) {
      await wait(1);
      const rows = log.slice(afterId);
      return (ascending ? rows : rows.toReversed()).slice(0, limit);
    },
  });
});
afterEach(async () => {
  for (const feed of feeds) feed.request.destroy();
  await scene.stop();
});

interface Feed {
  readonly request: ClientRequest;
  readonly response: IncomingMessage;
  readonly ids: number[];
  readonly gaps: { from: number; to: number }[];
  over: boolean;
}

function follow(path = '/api/events/live', headers: Record<string, string> = {}): Promise<Feed> {
  return new Promise((resolve, reject) => {
    const asking = request({
      host: '127.0.0.1',
      port: scene.port,
      path,
      rejectUnauthorized: false,
      agent: false,
      headers: { authorization: `Bearer ${scene.token}`, ...headers },
    });
    asking.on('error', reject);
    asking.on('response', response => {
      const feed: Feed = { request: asking, response, ids: [], gaps: [], over: false };
      feeds.push(feed);
      let text = '';
      response.setEncoding('utf8');
      response.on('data', part => {
        text += part;
        const blocks = text.split('\n\n');
        text = blocks.pop() ?? '';
        for (const block of blocks) {
          const data = /^data: (.*)$/m.exec(block)?.[1];
          if (data === undefined) continue;
          if (block.startsWith('event: gap')) feed.gaps.push(JSON.parse(data));
          else feed.ids.push((JSON.parse(data) as EventRow).id);
        }
      });
      response.on('error', () => {});
      response.on('close', () => {
        feed.over = true;
      });
      resolve(feed);
    });
    asking.end();
  });
}

const until = async (met: () => boolean): Promise<void> => {
  for (let times = 0; !met(); times++) {
    if (times > 400) throw new Error('it never came about');
    await wait(10);
  }
};
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

describe('the live feed', () => {
  test('tells what is stored from now on, as server-sent events with strict headers', async () => {
    store();
    const feed = await follow();
    expect(feed.response.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    expect(feed.response.headers['content-security-policy']).toMatch(/default-src 'none'/);
    await until(() => scene.operations.tails() === 1);
    await wait(20);
    store();
    store();
    await until(() => feed.ids.length === 2);
    expect(feed.ids).toEqual([2, 3]);
    expect(feed.gaps).toEqual([]);
  });

  test('resumes after the last event that the reader had, without a gap and without a double, while others are stored', async () => {
    for (let times = 0; times < 3_000; times++) store();
    const feed = await follow('/api/events/live', { 'last-event-id': '120' });
    for (let times = 0; times < 200; times++) {
      store();
      if (times % 20 === 0) await wait(1);
    }
    await until(() => feed.ids.at(-1) === 3_200);
    expect(feed.ids).toEqual(range(121, 3_200));
  });

  test('by kind tells only these; resuming by the address is the same', async () => {
    for (let times = 0; times < 20; times++) store({ kind: times % 2 === 0 ? 'ban' : 'touch' });
    const feed = await follow('/api/events/live?kind=ban&afterId=10');
    await until(() => feed.ids.length === 5);
    expect(feed.ids).toEqual([11, 13, 15, 17, 19]);
  });

  test('says what it left out for who was away for long, and starts anew for an id of another log', async () => {
    for (let times = 0; times < MOST_MISSED + 500; times++) log.push(eventRow(log.length + 1));
    const feed = await follow('/api/events/live', { 'last-event-id': '100' });
    await until(() => feed.ids.at(-1) === MOST_MISSED + 500);
    expect(feed.gaps).toEqual([{ from: 101, to: 500 }]);
    expect(feed.ids).toEqual(range(501, MOST_MISSED + 500));
    const other = await follow('/api/events/live', { 'last-event-id': '999999999' });
    await wait(50);
    store();
    await until(() => other.ids.length === 1);
    expect(other.ids).toEqual([MOST_MISSED + 501]);
    const nonsense = await follow('/api/events/live', { 'last-event-id': '1e9; DROP' });
    expect(nonsense.response.statusCode).toBe(200);
  });

  test('a reader that does not read is not buffered for: the log is, and it misses nothing', async () => {
    const feed = await follow();
    await until(() => scene.operations.tails() === 1);
    await wait(20);
    feed.response.pause();
    const before = process.memoryUsage.rss();
    const summary = 'x'.repeat(2_000);
    for (let times = 0; times < 8_000; times++) {
      store({ summary });
      if (times % 500 === 0) await wait(1);
    }
    expect(process.memoryUsage.rss() - before).toBeLessThan(256 * 2 ** 20); // the log's double itself is some of that
    feed.response.resume();
    await until(() => feed.ids.at(-1) === 8_000);
    expect(feed.ids).toEqual(range(1, 8_000));
  });

  test('ends when its token was rotated away, goes on for a grace, and leaves nothing behind', async () => {
    const feed = await follow();
    await until(() => scene.operations.tails() === 1);
    await scene.dashboard.tokenOperations.tokenRotate({ grace: '1m' });
    await wait(50);
    expect(feed.over).toBe(false);
    scene.nowMs += 60_000;
    scene.dashboard.tick();
    await until(() => feed.over);
    expect(scene.operations.tails()).toBe(0);
    scene.token = (await scene.dashboard.tokenOperations.tokenRotate({})).token;
    const next = await follow();
    await scene.dashboard.tokenOperations.tokenRotate({});
    await until(() => next.over);
    expect(scene.dashboard.counts().streams).toBe(0);
  });

  test('there are so many and no more', async () => {
    for (let times = 0; times < MOST_STREAMS; times++) await follow();
    const answer = await scene.ask('/api/events/live');
    expect(answer.status).toBe(503);
    expect(answer.text).toContain('too-many-streams');
    feeds[0]?.request.destroy();
    await until(() => scene.dashboard.counts().streams < MOST_STREAMS);
    expect((await follow()).response.statusCode).toBe(200);
  });
});
