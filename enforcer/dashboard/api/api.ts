/** The API as one plugin of the HTTPS server: headers on every answer, failures as problem details, and a plugin for each resource. */
import type { UnixMs } from '@honeymesh/intel/time';
import type { FastifyInstance, FastifyPluginAsync } from 'fastify';
import type { Operations } from '../../control/operations.ts';
import type { Metrics } from '../../health/metrics.ts';
import type { Gate } from '../gate.ts';
import type { TokenKeeper } from '../token-keeper.ts';
import { allowPlugin } from './allow.ts';
import { bansPlugin } from './bans.ts';
import { eventsPlugin } from './events.ts';
import { exportsPlugin } from './exports.ts';
import type { LiveFeed } from './live.ts';
import { metricsPlugin } from './metrics.ts';
import { openApiPlugin } from './openapi.ts';
import { notFound, problemFrom, SECURITY_HEADERS, sendProblem } from './problems.ts';
import { statusPlugin } from './status.ts';
import { tokenPlugin } from './token.ts';

export interface ApiDeps {
  readonly operations: Operations;
  readonly gate: Gate;
  readonly tokens: TokenKeeper;
  readonly rotate: (graceMs: number) => ReturnType<TokenKeeper['rotate']>;
  readonly live: LiveFeed;
  readonly metrics: Metrics;
  readonly onBug: (error: unknown) => void;
  readonly now: () => UnixMs;
  /** What is served besides, to anybody: the dashboard's pages, which hold nothing of this host. */
  readonly pages?: readonly FastifyPluginAsync[];
}

export function apiPlugin({ operations, gate, tokens, rotate, live, metrics, onBug, now, pages = [] }: ApiDeps): FastifyPluginAsync {
  const plugin: FastifyPluginAsync = async app => {
    bare(app);
    app.setNotFoundHandler((_request, reply) => sendProblem(reply, notFound));
    app.setErrorHandler((error, _request, reply) => {
      const { problem, bug } = problemFrom(error);
      if (bug) onBug(error);
      return sendProblem(reply, problem);
    });
    const serving = { gate };
    for (const resource of [
      statusPlugin(operations, serving),
      bansPlugin(operations, serving),
      allowPlugin(operations, serving),
      eventsPlugin(operations, live, serving),
      exportsPlugin(operations, now, serving),
      tokenPlugin({ tokens, rotate }, serving),
      metricsPlugin(metrics, serving),
      openApiPlugin(serving),
      ...pages,
    ])
      await app.register(resource);
  };
  // The whole server's: fastify would keep hooks and handlers of a plugin to that plugin (what fastify-plugin does).
  return Object.assign(plugin, { [Symbol.for('skip-override')]: true });
}

/** JSON bodies only, and headers that a route may replace, never leave out. */
function bare(app: FastifyInstance): void {
  app.removeContentTypeParser('text/plain');
  app.addHook('onSend', async (_request, reply, payload) => {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) if (!reply.hasHeader(name)) reply.header(name, value);
    return payload;
  });
}
