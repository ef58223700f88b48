/**
 * The control socket's wire: one JSON object a line, UTF-8. A request `{id, op, args}` is answered by `{id, ok: true, value}` or
 * `{id, ok: false, error}`; `tail` sends `{id, event}` and `{id, missed}` lines before its answer, which `{id, op: "cancel"}` brings about.
 */
import { ERROR_CODES, type ErrorCode, HoneyMeshError } from '../errors.ts';

/** The longest request: an import of some thousand lines. */
export const LONGEST_REQUEST_BYTES = 4 * 1024 * 1024;
/** The longest answer: a full ban map of both families, about 250 bytes a row. */
export const LONGEST_ANSWER_BYTES = 256 * 1024 * 1024;
/** The CLI splits an import by this, so that a request stays well under its bound. */
export const LINES_PER_IMPORT = 5_000;

export const CALLS = [
  'status',
  'listBans',
  'addBan',
  'dryRunBan',
  'removeBan',
  'importBans',
  'listAllowed',
  'addAllowed',
  'removeAllowed',
  'listEvents',
  'logTip',
  'notifyTest',
  'listPeers',
  'explain',
  'pause',
  'tokenStatus',
  'tokenRotate',
  'showConfig',
  'hubUse',
  'stop',
  'meshStatus',
  'meshPrepare',
  'meshInit',
  'meshInvite',
  'meshInvites',
  'meshCancelInvite',
  'meshJoin',
  'meshRotateKey',
  'meshRevoke',
  'meshDraftRevocation',
  'meshPublishRevocation',
  'meshLeave',
] as const;
export type Call = (typeof CALLS)[number];
export const STREAMS = ['tail'] as const;
export type Stream = (typeof STREAMS)[number];

export interface Request {
  readonly id: number;
  readonly op: string;
  readonly args: unknown;
}

/** A failure on the wire. Without a code it is a bug of the daemon. */
export interface WireError {
  readonly code: ErrorCode | null;
  readonly message: string;
  readonly fix?: string;
}

export type Answer =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly error: WireError }
  | { readonly id: number; readonly event: unknown }
  | { readonly id: number; readonly missed: number };

export type Line<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly id: number | null; readonly why: string };

/** One line of a client. Never throws; the line is hostile and its length was bounded by who cut it. */
export function parseRequest(line: string): Line<Request> {
  const message = parseObject(line);
  if (message === undefined) return { ok: false, id: null, why: 'a request is one JSON object on one line' };
  const { id, op, args } = message;
  if (!isId(id)) return { ok: false, id: null, why: 'id is a whole number from 0' };
  if (typeof op !== 'string' || op.length > 64) return { ok: false, id, why: 'op names an operation' };
  return { ok: true, value: { id, op, args: args ?? {} } };
}

/** One line of the daemon. Never throws. */
export function parseAnswer(line: string): Line<Answer> {
  const message = parseObject(line);
  if (message === undefined) return { ok: false, id: null, why: 'an answer is one JSON object on one line' };
  const { id, ok, value, error, event, missed } = message;
  if (!isId(id)) return { ok: false, id: null, why: 'id is a whole number from 0' };
  if (ok === true) return { ok: true, value: { id, ok, value } };
  if (ok === false && isWireError(error)) return { ok: true, value: { id, ok, error } };
  if (event !== undefined) return { ok: true, value: { id, event } };
  if (typeof missed === 'number') return { ok: true, value: { id, missed } };
  return { ok: false, id, why: 'neither a value, an error, an event nor a gap' };
}

export const toLine = (message: Request | Answer): string => `${JSON.stringify(message)}\n`;

export function wireError(error: unknown): WireError {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof HoneyMeshError)) return { code: null, message };
  return { code: error.code, message, ...(error.fix === undefined ? {} : { fix: error.fix }) };
}

function parseObject(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}

const isId = (id: unknown): id is number => typeof id === 'number' && Number.isSafeInteger(id) && id >= 0;

function isWireError(error: unknown): error is WireError {
  if (typeof error !== 'object' || error === null) return false;
  const { code, message, fix } = error as Readonly<Record<string, unknown>>;
  return (
    (code === null || (typeof code === 'string' && Object.hasOwn(ERROR_CODES, code))) &&
    typeof message === 'string' &&
    (fix === undefined || typeof fix === 'string')
  );
}
