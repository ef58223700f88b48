/** The log as a file: made as it is read, so that a slow reader costs one page of memory. */
import { hostname } from 'node:os';
import { EVENT_KINDS } from '@honeymesh/intel/events';
import { rfc3339, type UnixMs } from '@honeymesh/intel/time';
import type { FastifyPluginAsync } from 'fastify';
import * as z from 'zod';
import type { Operations } from '../../control/operations.ts';
import { exportStream } from '../../store/exports/stream.ts';
import { EXPORT_FORMATS, type ExportFormat } from '../../store/exports.ts';
import { withoutAbsent } from './bans.ts';
import type { Contracts } from './contract.ts';
import { asked } from './schemas.ts';
import { type Serving, serve } from './serve.ts';

const FORMATS = Object.keys(EXPORT_FORMATS) as [ExportFormat, ...ExportFormat[]];

export const exportContracts = {
  events: {
    name: 'exportEvents',
    method: 'GET',
    path: '/api/events/export',
    about:
      'All events that match, oldest first, as a file; what is stored while it is read is not in it. X-HoneyMesh-Log-Head: the head of the hash chain and the last id ' +
      'that it was made from. ' +
      FORMATS.map(format => `${format}: ${EXPORT_FORMATS[format].about}`).join('; '),
    query: z.strictObject({
      format: z.enum(FORMATS).default('ndjson'),
      since: asked.instant.optional(),
      until: asked.instant.optional(),
      kind: asked.words(EVENT_KINDS).optional(),
      source: asked.target.optional(),
      port: asked.port.optional(),
      mask: asked.flag.default(false).meta({ description: 'Without the passwords that were guessed, to pass on' }),
    }),
    answer: 'application/octet-stream',
    download: true,
  },
} as const satisfies Contracts;

export function exportsPlugin(operations: Pick<Operations, 'listEvents' | 'logTip'>, now: () => UnixMs, serving: Serving): FastifyPluginAsync {
  return async app => {
    serve(
      app,
      exportContracts.events,
      async ({ query: { format, mask, kind, ...rest } }, { reply }) => {
        const filters = withoutAbsent({ ...rest, kinds: kind }) as Parameters<Operations['listEvents']>[0];
        // Wrong filters are told before the first byte, not in the midst of a file.
        const [tip] = await Promise.all([operations.logTip(), operations.listEvents({ ...filters, limit: 1 })]);
        const stream = exportStream(
          { format, host: hostname(), mask, filters: { ...filters } },
          { tip: () => Promise.resolve(tip), page: ids => operations.listEvents({ ...filters, ...ids, ascending: true }), now },
        );
        const { mediaType, extension } = EXPORT_FORMATS[format];
        const name = `honeymesh-${rfc3339(now()).slice(0, 19).replaceAll(':', '')}.${extension}`;
        reply.headers({
          'content-type': mediaType,
          'content-disposition': `attachment; filename="${name}"`,
          'x-honeymesh-log-head': `${tip.head} ${tip.lastId}`,
        });
        return stream.readable();
      },
      serving,
    );
  };
}
