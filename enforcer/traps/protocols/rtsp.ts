/** RTSP 1.0 (RFC 2326) of a GStreamer server that wants a password before it describes anything. */

import { unixMs } from '@honeymesh/intel/time';
import { httpDate } from './dates.ts';
import { digestCredentials } from './http-credentials.ts';
import { blankBytes, headerOf, LONGEST_HEAD, type RequestHead, readHead } from './http-request.ts';
import { bytesOf, fromBase64, toHex } from './lines.ts';
import type { Observation, TrapContext, TrapMachine } from './machine.ts';
import { createMachine, MORE, type Step } from './machine-talk.ts';
import { credentials, malformed, payload, request as requested } from './observation.ts';

const SERVER = 'GStreamer RTSP server';
const PUBLIC = 'OPTIONS, DESCRIBE, ANNOUNCE, GET_PARAMETER, PAUSE, PLAY, RECORD, SETUP, SET_PARAMETER, TEARDOWN';
const LONGEST_BODY = 8192;
const KNOWN = new Set(PUBLIC.split(', '));

/** The machine of one connection. */
export function createRtspTrap(context: TrapContext): TrapMachine {
  const realm = `${SERVER}`;
  const nonce = toHex(context.random.subarray(0, 8));
  let openedMs = 0;

  function answer(head: RequestHead, body: string, used: number, nowMs: number): Step {
    const seen: Observation[] = [requested(head.method, head.target, head.headers)];
    if (body !== '') seen.push(payload('rtsp body', body));
    const at = unixMs(context.acceptedAt + Math.max(0, nowMs - openedMs));
    const sequence = /^\d{1,10}$/.exec(headerOf(head, 'cseq') ?? '')?.[0];
    const say = (status: string, headers: string, close = false): Step => ({
      used,
      observations: seen,
      send: bytesOf(
        `RTSP/1.0 ${status}\r\n${sequence === undefined ? '' : `CSeq: ${sequence}\r\n`}${headers}Server: ${SERVER}\r\nDate: ${httpDate(at)}\r\n\r\n`,
      ),
      close,
    });
    // What GStreamer answers to a browser (RTSP over HTTP without a session)
    if (head.version.startsWith('HTTP')) {
      const refusal = `HTTP/1.0 503 Service Unavailable\r\nServer: GStreamer RTSP Server\r\nConnection: close\r\nCache-Control: no-store\r\nPragma: no-cache\r\nDate: ${httpDate(at)}\r\n\r\n`;
      return { used, observations: seen, send: bytesOf(refusal), close: true };
    }
    if (head.version !== 'RTSP/1.0') return say('505 RTSP Version not supported', '', true);
    if (!KNOWN.has(head.method)) return say('501 Not Implemented', '');
    if (head.method === 'OPTIONS') return say('200 OK', `Public: ${PUBLIC}\r\n`);
    if (head.method === 'TEARDOWN' || head.method === 'GET_PARAMETER') return say('454 Session Not Found', '');
    const authorization = headerOf(head, 'authorization');
    if (authorization !== undefined) seen.push(triedWith(authorization));
    return say('401 Unauthorized', `WWW-Authenticate: Digest realm="${realm}", nonce="${nonce}"\r\nWWW-Authenticate: Basic realm="${realm}"\r\n`);
  }

  return createMachine(
    {
      protocol: 'rtsp',
      longestMessage: LONGEST_HEAD + LONGEST_BODY,
      greet(nowMs) {
        openedMs = nowMs;
        return MORE;
      },
      next(waiting, nowMs) {
        const skipped = blankBytes(waiting);
        if (skipped > 0) return { used: skipped, unfinished: true };
        const head = readHead(waiting);
        if (head === 'more') return MORE;
        if (typeof head === 'string') {
          const refusal = `RTSP/1.0 400 Bad Request\r\nServer: ${SERVER}\r\nDate: ${httpDate(context.acceptedAt)}\r\n\r\n`;
          return { used: waiting.length, observations: [malformed('not RTSP')], send: bytesOf(refusal), close: true };
        }
        const length = headerOf(head, 'content-length') ?? '0';
        if (!/^\d{1,6}$/.test(length) || Number(length) > LONGEST_BODY)
          return { used: waiting.length, observations: [malformed('body too long')], close: true };
        const end = head.used + Number(length);
        if (waiting.length < end) return MORE;
        return answer(head, waiting.toString('latin1', head.used, end), end, nowMs);
      },
    },
    context.limits,
  );
}

function triedWith(authorization: string): Observation {
  const basic = /^Basic\s+(\S+)/i.exec(authorization)?.[1];
  if (basic === undefined) return digestCredentials(authorization);
  const pair = fromBase64(basic);
  const colon = pair.indexOf(':');
  return colon < 0 ? credentials(pair, '') : credentials(pair.slice(0, colon), pair.slice(colon + 1));
}
