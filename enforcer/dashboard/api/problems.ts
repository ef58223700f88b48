/** Failures as RFC 9457 problem details, and the headers that every answer bears. Nothing of the request is repeated in them. */
import type { FastifyError, FastifyReply } from 'fastify';
import type * as z from 'zod';
import { ERROR_CODES, type ErrorCode, HoneyMeshError } from '../../errors.ts';
import type { Problem } from './schemas.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** OWASP's list for an API that serves no page. The pages of the dashboard set a policy of their own, as strict for what they need. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
  'strict-transport-security': 'max-age=31536000',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
  'x-robots-tag': 'noindex, nofollow',
};

const STATUS: Readonly<Partial<Record<ErrorCode, number>>> = {
  HM_USAGE: 400,
  HM_CONFIG: 400,
  HM_REFUSED: 409,
  HM_NOT_FOUND: 404,
  HM_MAP: 507,
  HM_STORE_READ_ONLY: 503,
  HM_DISK_FULL: 507,
};

export interface Refusal {
  readonly status: number;
  readonly name: string;
  readonly title: string;
  readonly detail: string;
  readonly fix?: string;
}

export const problemOf = ({ status, name, title, detail, fix }: Refusal): Problem => ({
  type: `urn:honeymesh:problem:${name}`,
  title,
  status,
  detail,
  ...(fix === undefined ? {} : { fix }),
});

export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  return reply.code(problem.status).headers(SECURITY_HEADERS).type(PROBLEM_TYPE).send(JSON.stringify(problem));
}

/** The first thing that is wrong with what was asked: its place, and zod's words. */
export function invalid(where: 'query' | 'body', error: z.ZodError): Problem {
  const issue = error.issues[0];
  const path = issue?.path.join('.') ?? '';
  return problemOf({
    status: 400,
    name: 'invalid',
    title: 'The request is wrong',
    detail: `${where}${path === '' ? '' : ` ${path}`}: ${issue?.message ?? 'is wrong'}`.slice(0, 300),
    fix: 'GET /api/openapi.json tells what each operation takes',
  });
}

export const notFound: Problem = problemOf({
  status: 404,
  name: 'no-such-route',
  title: 'There is no such thing',
  detail: 'nothing is served at this address by this method',
  fix: 'GET /api/openapi.json lists what is',
});

/** What an operation threw, or fastify before it. `bug`: ours, to be told to the log. */
export function problemFrom(error: unknown): { readonly problem: Problem; readonly bug: boolean } {
  if (error instanceof HoneyMeshError) {
    const status = STATUS[error.code] ?? 500;
    const named = problemOf({
      status,
      name: error.code,
      title: sentence(ERROR_CODES[error.code]),
      detail: error.message,
      ...(error.fix === undefined ? {} : { fix: error.fix }),
    });
    return { problem: { ...named, code: error.code }, bug: false };
  }
  const { statusCode } = error as Partial<FastifyError>;
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    const [name, title, detail] = REQUEST_FAULTS[statusCode] ?? (['invalid', 'The request is wrong', 'it cannot be read'] as const);
    return { problem: problemOf({ status: statusCode, name, title, detail }), bug: false };
  }
  return {
    problem: problemOf({
      status: 500,
      name: 'bug',
      title: 'A mistake of HoneyMesh',
      detail: 'the operation failed; the log of the daemon says more',
      fix: 'please report it with the output of "honeymesh doctor -o json"',
    }),
    bug: true,
  };
}

const REQUEST_FAULTS: Readonly<Record<number, readonly [name: string, title: string, detail: string]>> = {
  400: ['invalid', 'The request is wrong', 'its body is no JSON, or its address cannot be read'],
  408: ['slow', 'The request is wrong', 'it did not come in time'],
  413: ['too-long', 'The request is wrong', 'its body is longer than this operation takes'],
  414: ['too-long', 'The request is wrong', 'its address is too long'],
  415: ['media-type', 'The request is wrong', 'a body is JSON: content-type application/json'],
  431: ['too-long', 'The request is wrong', 'its headers are too long'],
};

const sentence = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;

const RAW_FAULTS: Readonly<Record<string, readonly [status: number, name: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout'],
  expectation: [417, 'Expectation Failed'],
};

/** An answer to what no route gets to see, written by hand. */
export function rawProblem(code: string | undefined): string {
  const [status, name] = RAW_FAULTS[code ?? ''] ?? [400, 'Bad Request'];
  const body = JSON.stringify(problemFrom({ statusCode: status }).problem);
  const headers = { ...SECURITY_HEADERS, 'content-type': PROBLEM_TYPE, 'content-length': String(Buffer.byteLength(body)), connection: 'close' };
  const lines = Object.entries(headers).map(([header, value]) => `${header}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${name}\r\n${lines.join('')}\r\n${body}`;
}
