/** The registrar's three routes as a plugin: bodies are read, the desk is asked, refusals are told with their reason. */
import type { Parsed } from '@honeymesh/intel/parsed';
import type { UnixMs } from '@honeymesh/intel/time';
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type { RegistrarDesk } from './desk.ts';
import { LONGEST_REQUEST_BYTES, REFUSALS, type Refusal, ROUTES, type Route, readJoin, readMember, toJson } from './messages.ts';

export interface RoutesDeps {
  readonly desk: RegistrarDesk;
  readonly now: () => UnixMs;
  /** `text`: what happened, in words without a secret. */
  readonly onDone: (route: Route, source: string, text: string) => void;
  readonly onRefused: (route: Route, source: string, why: Refusal) => void;
  readonly onBug: (error: unknown) => void;
}

interface Outcome {
  readonly answer: Readonly<Record<string, unknown>>;
  readonly text: string;
}

export function registrarRoutes({ desk, now, onDone, onRefused, onBug }: RoutesDeps): FastifyPluginAsync {
  return async app => {
    const refuse = async (route: Route, request: FastifyRequest, reply: FastifyReply, why: Refusal): Promise<string> => {
      onRefused(route, request.ip, why);
      reply.code(REFUSALS[why]).type('application/json').header('connection', 'close');
      return toJson({ refused: why, time: now() });
    };

    function serve<T>(route: Route, read: (value: unknown) => Parsed<T, 'malformed'>, ask: (asked: T) => Promise<Parsed<Outcome, Refusal>>): void {
      app.post(ROUTES[route], {
        bodyLimit: LONGEST_REQUEST_BYTES,
        // Too long, no JSON, another content type: all are one to us.
        errorHandler: (error, request, reply) => {
          const { statusCode } = error as { readonly statusCode?: number };
          if (statusCode === undefined || statusCode >= 500) onBug(error);
          return refuse(route, request, reply, statusCode === undefined || statusCode >= 500 ? 'not-ready' : 'malformed').then(text => reply.send(text));
        },
        async handler(request, reply) {
          const asked = read(request.body);
          const done = asked.ok ? await ask(asked.value) : asked;
          if (!done.ok) return refuse(route, request, reply, done.why);
          onDone(route, request.ip, done.value.text);
          reply.type('application/json').header('cache-control', 'no-store').header('connection', 'close');
          return toJson(done.value.answer);
        },
      });
    }

    serve('join', readJoin, desk.join);
    serve('renew', readMember, desk.renew);
    serve('keys', readMember, desk.keys);
  };
}
