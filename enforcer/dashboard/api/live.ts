/**
 * The live feed: events in the order of their ids, each once. The log is the buffer: a reader that is slower than the events, or was away, is given them from
 * there, a page at a time and no faster than it reads.
 */
import type { ServerResponse } from 'node:http';
import type { EventKind } from '@honeymesh/intel/events';
import type { FastifyReply } from 'fastify';
import type { EventRow, Operations } from '../../control/operations.ts';
import type { TokenKeeper, TokenNumber } from '../token-keeper.ts';
import { problemOf, SECURITY_HEADERS, sendProblem } from './problems.ts';

export interface LiveOptions {
  readonly token: TokenNumber | null;
  readonly kinds: readonly EventKind[] | null;
  /** Of the last event that the reader has; null: from now on. */
  readonly afterId: number | null;
}

export interface LiveFeed {
  open(reply: FastifyReply, options: LiveOptions): void;
  count(): number;
  /** Ends the streams of tokens that hold no longer. */
  weed(): void;
  stop(): void;
}

export interface LiveDeps {
  readonly operations: Pick<Operations, 'listEvents' | 'tail'>;
  readonly tokens: Pick<TokenKeeper, 'holds'>;
  readonly onBug: (error: unknown) => void;
}

export const MOST_STREAMS = 64;
/** Told after a drop; whoever was away longer asks for pages. */
export const MOST_MISSED = 10_000;
const PAGE = 500;
/** Well under the time after which the server takes a silent connection for dead. */
const PING_MS = 5_000;
/** Browsers ask again after so long. */
const RETRY_MS = 2_000;

interface Stream {
  readonly token: TokenNumber | null;
  end(): void;
}

export function createLiveFeed({ operations, tokens, onBug }: LiveDeps): LiveFeed {
  const streams = new Set<Stream>();

  function open(reply: FastifyReply, { token, kinds, afterId }: LiveOptions): void {
    if (streams.size >= MOST_STREAMS) {
      sendProblem(reply, FULL);
      return;
    }
    reply.hijack();
    const out = reply.raw;
    out.writeHead(200, { ...SECURITY_HEADERS, 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' });
    out.write(`retry: ${RETRY_MS}\n: events follow as they are stored\n\n`);
    const over = new AbortController();
    const pinging = setInterval(() => {
      if (!out.writableNeedDrain) out.write(': ping\n\n');
    }, PING_MS);
    const stream: Stream = {
      token,
      end() {
        if (!streams.delete(stream)) return;
        clearInterval(pinging);
        over.abort();
        out.end();
      },
    };
    streams.add(stream);
    out.on('close', stream.end);
    out.on('error', stream.end);
    follow(out, { kinds: kinds === null ? null : new Set(kinds), afterId }, over.signal).catch(error => {
      if (!over.signal.aborted) onBug(error);
      stream.end();
    });
  }

  /** Returns when it follows; from then on the events come as they are told. */
  async function follow(
    out: ServerResponse,
    { kinds, afterId }: { kinds: ReadonlySet<EventKind> | null; afterId: number | null },
    signal: AbortSignal,
  ): Promise<void> {
    let last: number | null = null;
    let newest = 0;
    let reading = true;

    const write = (row: EventRow): void => {
      last = row.id;
      if (kinds === null || kinds.has(row.kind)) out.write(`id: ${row.id}\ndata: ${JSON.stringify(row)}\n\n`);
    };

    /** From the log, until the reader has all that is there. */
    async function catchUp(): Promise<void> {
      reading = true;
      while (!signal.aborted && last !== null && last < newest) {
        const rows = await operations.listEvents({ afterId: last, ascending: true, limit: PAGE });
        if (rows.length === 0) break;
        for (const row of rows) write(row);
        newest = Math.max(newest, last);
        await drained(out, signal);
      }
      reading = false;
    }

    // Before the log is asked: what is stored meanwhile is told, or in what the log says.
    operations.tail(row => {
      newest = Math.max(newest, row.id);
      if (reading || signal.aborted || last === null || row.id <= last) return;
      if (row.id === last + 1 && !out.writableNeedDrain) write(row);
      else void catchUp().catch(() => out.destroy());
    }, signal);

    const head = (await operations.listEvents({ limit: 1 }))[0]?.id ?? 0;
    newest = Math.max(newest, head);
    // An id of the future is of another log: nothing of it is known here.
    const from: number = afterId === null || afterId > newest ? head : afterId;
    last = Math.max(from, newest - MOST_MISSED);
    if (last > from) out.write(`event: gap\ndata: ${JSON.stringify({ from: from + 1, to: last })}\n\n`);
    await catchUp();
  }

  return {
    open,
    count: () => streams.size,
    weed() {
      for (const stream of streams) if (stream.token !== null && !tokens.holds(stream.token)) stream.end();
    },
    stop() {
      for (const stream of streams) stream.end();
    },
  };
}

function drained(out: ServerResponse, signal: AbortSignal): Promise<void> {
  if (!out.writableNeedDrain || signal.aborted) return Promise.resolve();
  return new Promise(resolve => {
    const go = (): void => {
      out.off('drain', go);
      signal.removeEventListener('abort', go);
      resolve();
    };
    out.once('drain', go);
    signal.addEventListener('abort', go, { once: true });
  });
}

const FULL = problemOf({
  status: 503,
  name: 'too-many-streams',
  title: 'Too many live feeds',
  detail: `${MOST_STREAMS} live feeds are open already`,
  fix: 'close one, or ask for pages of /api/events',
});
