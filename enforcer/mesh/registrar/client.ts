/** Asks a registrar over HTTPS: TLS 1.3, no CA, and not a byte is sent before the server's key has proven to be the one that we know by its hash. */
import { request as httpRequest } from 'node:http';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';
import { sameBytes } from '@honeymesh/intel/envelope-bytes';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { SECOND_MS, type UnixMs } from '@honeymesh/intel/time';
import { REGISTRAR_PORT } from '../../config/mesh-fields.ts';
import { parseTarget } from '../node/places.ts';
import { pinOfKey } from './https-identity.ts';
import { LONGEST_ANSWER_BYTES, type Refusal, ROUTES, type Route, readRefused, toJson } from './messages.ts';

export interface RegistrarPlace {
  /** `HOST:PORT`. */
  readonly address: string;
  readonly pin: Uint8Array;
}

export type AskFailure =
  | { readonly why: 'unreachable'; readonly text: string }
  /** Somebody else answers there. */
  | { readonly why: 'wrong-key' }
  | { readonly why: 'not-understood'; readonly text: string }
  | { readonly why: Refusal; readonly theirTime: UnixMs };

export type Asked<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly failure: AskFailure };

export interface AskOptions {
  readonly connectMs: number;
  readonly answerMs: number;
}

const PATIENCE: AskOptions = { connectMs: 5 * SECOND_MS, answerMs: 10 * SECOND_MS };

/** Never rejects. */
export async function askRegistrar<T>(
  place: RegistrarPlace,
  route: Route,
  message: Readonly<Record<string, unknown>>,
  read: (value: unknown) => Parsed<T, 'malformed'>,
  patience: AskOptions = PATIENCE,
): Promise<Asked<T>> {
  const target = parseTarget(place.address, REGISTRAR_PORT);
  if (!target.ok) return failed({ why: 'unreachable', text: `${place.address} is no address` });
  const socket = await reach(target.value, patience.connectMs);
  if (!socket.ok) return failed({ why: 'unreachable', text: socket.why });
  const certificate = socket.value.getPeerX509Certificate();
  if (certificate === undefined || !sameBytes(pinOfKey(certificate), place.pin)) {
    socket.value.destroy();
    return failed({ why: 'wrong-key' });
  }
  const answer = await post(socket.value, target.value.host, ROUTES[route], toJson(message), patience.answerMs);
  socket.value.destroy();
  if (!answer.ok) return failed({ why: 'unreachable', text: answer.why });
  return understood(answer.value, read);
}

function understood<T>({ status, text }: { readonly status: number; readonly text: string }, read: (value: unknown) => Parsed<T, 'malformed'>): Asked<T> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return failed({ why: 'not-understood', text: `HTTP ${status}, not JSON` });
  }
  if (status !== 200) {
    const refused = readRefused(value);
    return refused.ok ? failed({ why: refused.value.refused, theirTime: refused.value.time }) : failed({ why: 'not-understood', text: `HTTP ${status}` });
  }
  const answer = read(value);
  return answer.ok ? { ok: true, value: answer.value } : failed({ why: 'not-understood', text: 'an answer of another form' });
}

function reach({ host, port }: { readonly host: string; readonly port: number }, connectMs: number): Promise<Parsed<TLSSocket>> {
  return new Promise(resolve => {
    // rejectUnauthorized would ask a CA: whom we believe is settled by the key's hash, before anything is sent.
    const socket = tlsConnect({ host, port, minVersion: 'TLSv1.3', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] });
    const settle = (result: Parsed<TLSSocket>): void => {
      clearTimeout(late);
      socket.removeAllListeners('error');
      socket.on('error', () => {});
      if (!result.ok) socket.destroy();
      resolve(result);
    };
    const late = setTimeout(() => settle(unparsed(`no answer within ${connectMs / SECOND_MS} s`)), connectMs);
    socket.once('secureConnect', () => settle(parsed(socket)));
    socket.once('error', (error: NodeJS.ErrnoException) => settle(unparsed(wordFor(error))));
    socket.once('close', () => settle(unparsed('the connection was closed')));
  });
}

function post(
  socket: TLSSocket,
  host: string,
  path: string,
  body: string,
  answerMs: number,
): Promise<Parsed<{ readonly status: number; readonly text: string }>> {
  return new Promise(resolve => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), host, connection: 'close' };
    const asked = httpRequest({ createConnection: () => socket, method: 'POST', path, headers }, response => {
      const parts: Buffer[] = [];
      let length = 0;
      response.on('data', (part: Buffer) => {
        length += part.length;
        if (length > LONGEST_ANSWER_BYTES) settle(unparsed('its answer is too long'));
        else parts.push(part);
      });
      response.on('end', () => settle(parsed({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') })));
      response.on('error', () => settle(unparsed('the answer broke off')));
    });
    const late = setTimeout(() => settle(unparsed(`no answer within ${answerMs / SECOND_MS} s`)), answerMs);
    const settle = (result: Parsed<{ readonly status: number; readonly text: string }>): void => {
      clearTimeout(late);
      resolve(result);
      if (!result.ok) socket.destroy();
    };
    asked.on('error', error => settle(unparsed(wordFor(error as NodeJS.ErrnoException))));
    asked.end(body);
  });
}

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  EHOSTUNREACH: 'there is no way to it',
  ENETUNREACH: 'there is no way to it',
  ETIMEDOUT: 'it does not answer',
  ECONNRESET: 'it closed the connection',
  ENOTFOUND: 'there is no such name',
  EAI_AGAIN: 'the name could not be looked up',
  EPROTO: 'it does not speak TLS 1.3',
};

const wordFor = (error: NodeJS.ErrnoException): string => WORDS[error.code ?? ''] ?? error.code ?? error.message.slice(0, 100);

const failed = (failure: AskFailure): { readonly ok: false; readonly failure: AskFailure } => ({ ok: false, failure });
