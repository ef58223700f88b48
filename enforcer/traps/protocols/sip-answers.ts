/** What an Asterisk answers to a SIP request (RFC 3261, 8.2.6). */
import { digestCredentials } from './http-credentials.ts';
import { headerOf, type RequestHead } from './http-request.ts';
import { bytesOf, toHex } from './lines.ts';
import { type Observation, payload, request as requested } from './observation.ts';
import type { Persona } from './persona.ts';

export interface SipRequest extends RequestHead {
  readonly body: string;
}

export interface SipAnswer {
  readonly send?: Uint8Array;
  readonly observations: readonly Observation[];
}

const ALLOW = 'INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO, PUBLISH';
const COPIED = ['via', 'v', 'from', 'f', 'to', 't', 'call-id', 'i', 'cseq'] as const;
const NAMES: Readonly<Record<string, string>> = {
  via: 'Via',
  v: 'Via',
  from: 'From',
  f: 'From',
  to: 'To',
  t: 'To',
  'call-id': 'Call-ID',
  i: 'Call-ID',
  cseq: 'CSeq',
};
const MOST_VIAS = 8;

export function answerSip(request: SipRequest, { persona, random }: { readonly persona: Persona; readonly random: Uint8Array }): SipAnswer {
  const seen: Observation[] = [requested(request.method, request.target, request.headers)];
  if (request.body !== '') seen.push(payload('sdp', request.body));
  const authorization = headerOf(request, 'authorization') ?? headerOf(request, 'proxy-authorization');
  if (authorization !== undefined) seen.push(digestCredentials(authorization));

  const say = (status: string, more = ''): SipAnswer => {
    const extras = `Server: Asterisk PBX ${persona.versions.asterisk}\r\nAllow: ${ALLOW}\r\nSupported: replaces, timer\r\n`;
    const text = `SIP/2.0 ${status}\r\n${copied(request, toHex(random.subarray(0, 4)))}${extras}${more}Content-Length: 0\r\n\r\n`;
    return { send: bytesOf(text), observations: seen };
  };
  const challenge = (): SipAnswer =>
    say('401 Unauthorized', `WWW-Authenticate: Digest algorithm=MD5, realm="asterisk", nonce="${toHex(random.subarray(4, 8))}"\r\n`);

  switch (request.method) {
    case 'OPTIONS':
      return say('200 OK', 'Accept: application/sdp\r\n');
    case 'REGISTER':
    case 'INVITE':
    case 'SUBSCRIBE':
      return authorization === undefined ? challenge() : say('403 Forbidden');
    case 'ACK':
      return { observations: seen };
    case 'BYE':
    case 'CANCEL':
    case 'REFER':
    case 'INFO':
      return say('481 Call leg/transaction does not exist');
    case 'NOTIFY':
    case 'PUBLISH':
      return say('489 Bad event');
    case 'MESSAGE':
      return say('415 Unsupported Media Type');
    default:
      return say('501 Method Not Implemented');
  }
}

/** The headers that a response repeats, the To with a tag of ours. */
function copied(request: SipRequest, tag: string): string {
  let vias = 0;
  let text = '';
  for (const wanted of COPIED) {
    for (const [name, value] of request.headers) {
      if (name !== wanted || (NAMES[name] === 'Via' && vias++ >= MOST_VIAS)) continue;
      const tagged = NAMES[name] === 'To' && !/;\s*tag=/i.test(value) ? `${value};tag=as${tag}` : value;
      text += `${NAMES[name] ?? name}: ${tagged}\r\n`;
      if (NAMES[name] !== 'Via') break;
    }
  }
  return text;
}
