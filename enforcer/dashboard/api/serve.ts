/** Serves a contract: asks the gate, reads what came in by the schemas, answers with what the handler gives. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Gate, isLoopback } from '../gate.ts';
import { presentedToken } from '../token.ts';
import type { TokenNumber } from '../token-keeper.ts';
import type { Answered, Asked, Contract } from './contract.ts';
import { invalid, problemOf, sendProblem } from './problems.ts';

/** Who asks: with which token; null: the host itself, where a contract admits it without. */
export interface Caller {
  readonly token: TokenNumber | null;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

export type Handler<Of extends Contract> = (asked: Asked<Of>, caller: Caller) => Promise<Answered<Of>>;

export interface Serving {
  readonly gate: Gate;
}

const LONGEST_BODY_BYTES = 64 * 1_024;

export function serve<Of extends Contract>(app: FastifyInstance, contract: Of, handler: Handler<Of>, { gate }: Serving): void {
  const callers = new WeakMap<FastifyRequest, TokenNumber>();
  app.route({
    method: contract.method,
    url: contract.path,
    bodyLimit: contract.longestBodyBytes ?? LONGEST_BODY_BYTES,
    // Before the body is read: who may not in sends us nothing.
    onRequest: async (request, reply) => {
      const source = request.socket.remoteAddress ?? '';
      const presented = tokenIn(request, contract);
      if (presented === undefined && contract.loopback === true && isLoopback(source)) return;
      const pass = gate.enter(source, presented);
      if (pass.in) {
        callers.set(request, pass.token);
        return;
      }
      reply.header('connection', 'close'); // the next try is another handshake
      if (pass.why === 'too-many') {
        reply.header('retry-after', String(Math.ceil(pass.retryInMs / 1_000)));
        await sendProblem(reply, TOO_MANY);
        return;
      }
      reply.header('www-authenticate', 'Bearer realm="HoneyMesh"');
      await sendProblem(reply, pass.why === 'no-token' ? NO_TOKEN : WRONG_TOKEN);
    },
    handler: async (request, reply) => {
      const query = readQuery(request, contract);
      if (query !== undefined && !query.success) return sendProblem(reply, invalid('query', query.error));
      const body = contract.body?.safeParse(request.body ?? {});
      if (body !== undefined && !body.success) return sendProblem(reply, invalid('body', body.error));
      const asked = { query: query?.data, body: body?.data } as Asked<Of>;
      const answer = await handler(asked, { token: callers.get(request) ?? null, request, reply });
      if (reply.sent) return reply; // it writes by itself
      if (typeof contract.answer === 'string') return (reply.hasHeader('content-type') ? reply : reply.type(contract.answer)).send(answer);
      return reply.type('application/json; charset=utf-8').send(JSON.stringify(answer));
    },
  });
}

function tokenIn(request: FastifyRequest, { download }: Contract): string | undefined {
  const own = request.headers['x-honeymesh-token'];
  const { token } = request.query as { readonly token?: unknown };
  return presentedToken({
    authorization: request.headers.authorization,
    'x-honeymesh-token': typeof own === 'string' ? own : undefined,
    query: download === true && typeof token === 'string' ? token : undefined,
  });
}

function readQuery(request: FastifyRequest, { query, download }: Contract) {
  const { token, ...rest } = request.query as Readonly<Record<string, unknown>>;
  const given = download === true || token === undefined ? rest : { ...rest, token };
  return query?.safeParse(given);
}

const NO_TOKEN = problemOf({
  status: 401,
  name: 'no-token',
  title: 'A token is needed',
  detail: 'this is answered to who has the token',
  fix: 'send it as "Authorization: Bearer TOKEN"; "honeymesh token rotate" on the host makes a new one and shows it',
});
const WRONG_TOKEN = problemOf({
  status: 401,
  name: 'wrong-token',
  title: 'The token is wrong',
  detail: 'this token does not hold, or does not hold any more',
  fix: '"honeymesh token rotate" on the host makes a new one and shows it',
});
const TOO_MANY = problemOf({
  status: 429,
  name: 'too-many',
  title: 'Too many wrong tokens',
  detail: 'wrong tokens came from this address: for some seconds none is looked at',
  fix: 'wait for as long as Retry-After says',
});
