/** What runs, who the peers are, what the traps are, what is configured; and the pause. */
import type { FastifyPluginAsync } from 'fastify';
import * as z from 'zod';
import type { Operations } from '../../control/operations.ts';
import type { Contracts } from './contract.ts';
import { asked, eventRow, instant, peerRow, statusReport, trapReport } from './schemas.ts';
import { type Serving, serve } from './serve.ts';

/** What a trap session is told as. */
const TRAP_KINDS = ['touch', 'credentials', 'command', 'exploit', 'payload'] as const;

export const statusContracts = {
  status: { name: 'status', method: 'GET', path: '/api/status', about: 'What runs, what is dropped, what is degraded and what mends it', answer: statusReport },
  peers: { name: 'listPeers', method: 'GET', path: '/api/peers', about: 'The other members of the mesh', answer: z.array(peerRow).readonly() },
  traps: { name: 'traps', method: 'GET', path: '/api/traps', about: 'The decoys: ports, patience, open sessions', answer: trapReport },
  trapEvents: {
    name: 'listTrapEvents',
    method: 'GET',
    path: '/api/traps/events',
    about: 'What the decoys saw, newest first: touches, credentials, commands, exploits, payloads',
    query: z.strictObject({ port: asked.port.optional(), source: asked.target.optional(), beforeId: asked.id.optional(), limit: asked.limit(100, 1_000) }),
    answer: z.object({ rows: z.array(eventRow).readonly(), nextBeforeId: z.int().nullable() }),
  },
  config: {
    name: 'showConfig',
    method: 'GET',
    path: '/api/config',
    about: 'The configuration that holds, without secrets; durations in milliseconds',
    answer: z.record(z.string(), z.unknown()),
  },
  pause: {
    name: 'pause',
    method: 'POST',
    path: '/api/pause',
    about: 'Drops nothing for a while (24h at most); it ends by itself. "off" ends it at once',
    body: z.strictObject({ duration: z.string().max(32).meta({ description: '`5m`, or `off`' }) }),
    answer: z.object({ pausedUntil: instant.nullable() }),
  },
} as const satisfies Contracts;

export function statusPlugin(
  operations: Pick<Operations, 'status' | 'listPeers' | 'showConfig' | 'pause' | 'listEvents'>,
  serving: Serving,
): FastifyPluginAsync {
  return async app => {
    serve(app, statusContracts.status, () => operations.status(), serving);
    serve(app, statusContracts.peers, () => operations.listPeers(), serving);
    serve(app, statusContracts.traps, async () => (await operations.status()).traps, serving);
    serve(
      app,
      statusContracts.trapEvents,
      async ({ query: { port, source, beforeId, limit } }) => {
        const rows = await operations.listEvents({
          kinds: TRAP_KINDS,
          limit,
          ...(port === undefined ? {} : { port }),
          ...(source === undefined ? {} : { source }),
          ...(beforeId === undefined ? {} : { beforeId }),
        });
        return { rows, nextBeforeId: rows.length < limit ? null : (rows.at(-1)?.id ?? null) };
      },
      serving,
    );
    serve(app, statusContracts.config, async () => ({ ...(await operations.showConfig()) }), serving);
    serve(app, statusContracts.pause, ({ body }) => operations.pause(body), serving);
  };
}
