/** HTTP/1.0 and 1.1 as a server speaks it (RFC 9110, 9112): pipelined requests, bodies of both kinds, Expect. What is answered is the site's business. */
import { type UnixMs, unixMs } from '@honeymesh/intel/time';
import { type BodyReader, bodyOf } from './http-body.ts';
import { credentialsIn, percentDecoded } from './http-credentials.ts';
import { blankBytes, type HeadProblem, headerOf, LONGEST_HEAD, type RequestHead, readHead } from './http-request.ts';
import { bytesOf } from './lines.ts';
import type { Observation, TrapContext, TrapMachine } from './machine.ts';
import { createMachine, MORE, type Step } from './machine-talk.ts';
import { malformed, payload, request as requested } from './observation.ts';

export interface HttpRequest extends RequestHead {
  /** Decoded, without the query. */
  readonly path: string;
  /** The beginning of the body. */
  readonly body: string;
  readonly bodyBytes: number;
}

export interface HttpAnswer {
  readonly status: number;
  /** In the order sent, beside those that the server adds itself. */
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly type?: string;
  /** One character a byte. */
  readonly body?: string;
  /** The connection ends after it. */
  readonly close?: boolean;
  /** Seen in this request beyond what every request shows. */
  readonly observations?: readonly Observation[];
  /** From here on the connection is no HTTP any more (CONNECT, an upgrade): what follows is a payload of that name. */
  readonly tunnel?: string;
}

/** How a connection goes on after an answer, as its head must say. */
export interface Framing {
  readonly keepAlive: boolean;
  /** The client asked for it in words: Apache answers in words then. */
  readonly asked: boolean;
  /** The version of the request. */
  readonly version: string;
  readonly method: string;
  readonly at: UnixMs;
}

export interface HttpSite {
  readonly protocol: string;
  /** A blank line before a request is refused, as Go does; others skip it (RFC 9112, 2.2). */
  readonly refusesBlankLines?: true;
  answer(request: HttpRequest): HttpAnswer;
  /** What is no HTTP. */
  refuse(problem: Exclude<HeadProblem, 'more'>): HttpAnswer;
  /** The head of the answer, without the empty line. `bodyBytes` is the length of the body. */
  head(answer: HttpAnswer, framing: Framing, bodyBytes: number): string;
}

const PROBLEMS: Readonly<Record<Exclude<HeadProblem, 'more'>, string>> = {
  'not-a-request': 'not HTTP',
  'bad-line': 'bad request line',
  'bad-header': 'bad header',
  'too-long': 'head too long',
};

export function createHttpMachine(context: TrapContext, site: HttpSite): TrapMachine {
  let openedMs = 0;
  let tunnel: string | undefined;
  let pending: { readonly head: RequestHead; readonly body: BodyReader } | undefined;
  const wallClock = (nowMs: number): UnixMs => unixMs(context.acceptedAt + Math.max(0, nowMs - openedMs));

  function render(answer: HttpAnswer, head: RequestHead | undefined, used: number, nowMs: number, observations: readonly Observation[]): Step {
    const connection = head === undefined ? 'close' : (headerOf(head, 'connection') ?? '').toLowerCase();
    const asked = /\bkeep-alive\b/.test(connection);
    const keepAlive = answer.close !== true && !/\bclose\b/.test(connection) && (head?.version === 'HTTP/1.1' || (head?.version === 'HTTP/1.0' && asked));
    const framing: Framing = { keepAlive, asked, version: head?.version ?? 'HTTP/1.1', method: head?.method ?? 'GET', at: wallClock(nowMs) };
    const body = answer.body ?? '';
    const shown = framing.method === 'HEAD' ? '' : body;
    const text = framing.version === '' ? body : `${site.head(answer, framing, body.length)}\r\n${shown}`;
    tunnel = answer.tunnel;
    return { used, send: bytesOf(text), observations, close: !keepAlive && tunnel === undefined };
  }

  function respond(head: RequestHead, body: string, bodyBytes: number, used: number, nowMs: number): Step {
    const question = head.target.indexOf('?');
    const path = decodedPath(question < 0 ? head.target : head.target.slice(0, question));
    const answer = site.answer({ ...head, path, body, bodyBytes });
    const observations = [
      requested(head.method, head.target, head.headers),
      ...credentialsIn(head, body),
      ...(bodyBytes > 0 ? [payload('body', body, bodyBytes)] : []),
      ...(answer.observations ?? []),
    ];
    return render(answer, head, used, nowMs, observations);
  }

  function readBody(waiting: Buffer, { head, body }: NonNullable<typeof pending>, nowMs: number): Step {
    const taken = body.take(waiting);
    if (taken === 'broken') {
      pending = undefined;
      return render({ ...site.refuse('bad-line'), close: true }, head, waiting.length, nowMs, [malformed('broken body')]);
    }
    if (!taken.complete) return { used: taken.used, unfinished: true };
    pending = undefined;
    return respond(head, body.kept(), body.bytes(), taken.used, nowMs);
  }

  return createMachine(
    {
      protocol: site.protocol,
      longestMessage: LONGEST_HEAD,
      greet(nowMs) {
        openedMs = nowMs;
        return MORE;
      },
      next(waiting, nowMs) {
        if (tunnel !== undefined) return { used: waiting.length, observations: [payload(tunnel, waiting.toString('latin1'))] };
        if (pending !== undefined) return readBody(waiting, pending, nowMs);
        const blank = site.refusesBlankLines === true && (waiting[0] === 0x0a || (waiting[0] === 0x0d && waiting[1] === 0x0a));
        const skipped = blank ? 0 : blankBytes(waiting);
        if (skipped > 0) return { used: skipped, unfinished: true };
        const head = blank ? 'bad-line' : readHead(waiting);
        if (head === 'more') return MORE;
        if (typeof head === 'string') return render({ ...site.refuse(head), close: true }, undefined, waiting.length, nowMs, [malformed(PROBLEMS[head])]);
        const body = bodyOf(head);
        if (body === undefined) return respond(head, '', 0, head.used, nowMs);
        if (body === 'broken') return render({ ...site.refuse('bad-header'), close: true }, head, waiting.length, nowMs, [malformed('contradictory body')]);
        pending = { head, body };
        const waits = /^100-continue$/i.test(headerOf(head, 'expect') ?? '');
        return { used: head.used, unfinished: true, ...(waits ? { send: bytesOf('HTTP/1.1 100 Continue\r\n\r\n') } : {}) };
      },
    },
    context.limits,
  );
}

/** A path with its percent encoding undone once; an absolute target (RFC 9112, 3.2.2) loses its authority. */
function decodedPath(target: string): string {
  const path = target.replace(/^https?:\/\/[^/]*/i, '');
  const decoded = percentDecoded(path);
  return decoded === '' ? '/' : decoded;
}

/** Reason phrases of RFC 9110. */
export const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  201: 'Created',
  204: 'No Content',
  301: 'Moved Permanently',
  302: 'Found',
  304: 'Not Modified',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  407: 'Proxy Authentication Required',
  408: 'Request Timeout',
  414: 'Request-URI Too Long',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
};
