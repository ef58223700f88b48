/** The event log: pages by id, and the live feed. */
import { EVENT_KINDS } from '@honeymesh/intel/events';
import type { FastifyPluginAsync } from 'fastify';
import * as z from 'zod';
import { maskRow } from '../../control/masking.ts';
import type { Operations } from '../../control/operations.ts';
import { withoutAbsent } from './bans.ts';
import type { Contracts } from './contract.ts';
import type { LiveFeed } from './live.ts';
import { asked, eventRow } from './schemas.ts';
import { type Serving, serve } from './serve.ts';

export const eventContracts = {
  list: {
    name: 'listEvents',
    method: 'GET',
    path: '/api/events',
    about: 'Events of the log, newest first; the next page begins where this one says',
    query: z.strictObject({
      afterId: asked.id.optional(),
      beforeId: asked.id.optional(),
      since: asked.instant.optional(),
      until: asked.instant.optional(),
      kind: asked.words(EVENT_KINDS).optional(),
      source: asked.target.optional().meta({ description: 'An address, or a prefix: whatever lies in it' }),
      port: asked.port.optional(),
      ascending: asked.flag.default(false),
      mask: asked.flag.default(false).meta({ description: 'Without the passwords that were guessed, to pass on' }),
      limit: asked.limit(100, 1_000),
    }),
    answer: z.object({
      rows: z.array(eventRow).readonly(),
      next: z.int().nullable().meta({ description: '`beforeId` (`afterId` where ascending) of the next page; null: this was the last' }),
    }),
  },
  live: {
    name: 'liveEvents',
    method: 'GET',
    path: '/api/events/live',
    about:
      "Events as they are stored, as server-sent events: `id` is the event's, `data` its row. Last-Event-ID (or `afterId`) resumes without a gap; after a longer one " +
      'than 10,000 events an event `gap` {from, to} comes first',
    query: z.strictObject({ kind: asked.words(EVENT_KINDS).optional(), afterId: asked.id.optional() }),
    answer: 'text/event-stream',
  },
} as const satisfies Contracts;

export function eventsPlugin(operations: Pick<Operations, 'listEvents'>, live: LiveFeed, serving: Serving): FastifyPluginAsync {
  return async app => {
    serve(
      app,
      eventContracts.list,
      async ({ query: { kind, mask, ...rest } }) => {
        const query = withoutAbsent({ ...rest, kinds: kind });
        const rows = await operations.listEvents(query as Parameters<Operations['listEvents']>[0]);
        return { rows: mask ? rows.map(maskRow) : rows, next: rows.length < rest.limit ? null : (rows.at(-1)?.id ?? null) };
      },
      serving,
    );
    serve(
      app,
      eventContracts.live,
      async ({ query: { kind, afterId } }, { token, request, reply }) => {
        const last = request.headers['last-event-id'];
        const resumed = typeof last === 'string' && /^\d{1,15}$/.test(last) ? Number(last) : undefined;
        live.open(reply, { token, kinds: kind ?? null, afterId: resumed ?? afterId ?? null });
        return undefined;
      },
      serving,
    );
  };
}
