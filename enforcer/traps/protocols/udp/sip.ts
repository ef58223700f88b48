/** SIP over UDP as Asterisk answers strangers (RFC 3261): options are told, everything else asks for a log-in. */
import { bytesOf, hex, latin1 } from '../bytes.ts';
import type { Observation } from '../observation.ts';
import { credentials, malformed, request } from '../observation.ts';
import type { Answer, DatagramContext, UdpProtocol } from './responder.ts';

const MOST_LINES = 40;
const LONGEST_VALUE = 512;
const METHODS = ['OPTIONS', 'REGISTER', 'INVITE', 'ACK', 'BYE', 'CANCEL', 'SUBSCRIBE', 'NOTIFY', 'MESSAGE', 'INFO', 'REFER', 'PUBLISH', 'UPDATE', 'PRACK'];
/** Short forms (RFC 3261, 7.3.3). */
const SHORT: Readonly<Record<string, string>> = { v: 'via', f: 'from', t: 'to', i: 'call-id', m: 'contact', l: 'content-length' };

export interface SipRequest {
  readonly method: string;
  readonly uri: string;
  /** Names in lower case, in the order sent. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export const sip: UdpProtocol = {
  name: 'sip',
  ports: [5060],
  recognise: datagram => parseSip(datagram) !== undefined,
  respond,
};

/** Reads the head of a request; text has one character for each byte. Never throws. */
export function parseSip(datagram: Uint8Array): SipRequest | undefined {
  const [first = '', ...lines] = latin1(datagram).split(/\r?\n/, MOST_LINES);
  const [, method, uri] = /^([A-Z]{3,12}) (\S{1,512}) SIP\/2\.0$/.exec(first) ?? [];
  if (method === undefined || uri === undefined || !METHODS.includes(method)) return undefined;
  const headers: [string, string][] = [];
  for (const line of lines) {
    if (line === '') break;
    const [, name, value] = /^([A-Za-z0-9.-]{1,32})[ \t]*:[ \t]*(.*)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) headers.push([SHORT[name.toLowerCase()] ?? name.toLowerCase(), value.slice(0, LONGEST_VALUE)]);
  }
  return { method, uri, headers };
}

function respond(datagram: Uint8Array, context: DatagramContext): Answer {
  const asked = parseSip(datagram);
  if (asked === undefined) return { observations: [malformed('no SIP request')] };
  const tried = triedLogin(asked);
  const observations: Observation[] = [request(asked.method, asked.uri, asked.headers), ...(tried === undefined ? [] : [tried])];
  if (asked.method === 'ACK') return { observations };
  const status = asked.method === 'OPTIONS' ? '200 OK' : tried !== undefined ? '403 Forbidden' : '401 Unauthorized';
  const reply = replyOf(asked, status, datagram.length, context);
  return reply === undefined ? { observations } : { reply, observations };
}

/** What a reply must have, then what Asterisk adds to it, as long as it fits. */
function replyOf({ headers }: SipRequest, status: string, room: number, { source, sourcePort, persona, random }: DatagramContext): Uint8Array | undefined {
  const all = (name: string): string[] => headers.filter(([known]) => known === name).map(([, value]) => value);
  const [via, ...otherVias] = all('via');
  const [[from], [to], [callId], [sequence]] = [all('from'), all('to'), all('call-id'), all('cseq')];
  if (via === undefined || from === undefined || to === undefined || callId === undefined || sequence === undefined) return undefined;
  const ownVia = `${via.replace(/;rport(?=;|$)/i, '')};received=${source}${/;rport(?:;|$)/i.test(via) ? `;rport=${sourcePort}` : ''}`;
  const tag = /;tag=/i.test(to) ? '' : `;tag=as${hex(random.subarray(0, 4))}`;
  const must = [
    `SIP/2.0 ${status}`,
    `Via: ${ownVia}`,
    ...otherVias.map(value => `Via: ${value}`),
    `From: ${from}`,
    `To: ${to}${tag}`,
    `Call-ID: ${callId}`,
    `CSeq: ${sequence}`,
  ];
  if (status.startsWith('401')) must.push(`WWW-Authenticate: Digest algorithm=MD5, realm="asterisk", nonce="${hex(random.subarray(4, 8))}"`);
  const may = [
    `Server: Asterisk PBX ${persona.versions.asterisk}`,
    'Content-Length: 0',
    'Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO, PUBLISH, MESSAGE',
    'Supported: replaces, timer',
  ];
  let text = `${must.join('\r\n')}\r\n`;
  if (text.length + 2 > room) return undefined;
  for (const line of may) if (text.length + line.length + 4 <= room) text += `${line}\r\n`;
  return bytesOf(text, '\r\n');
}

/** A digest (RFC 2617), with all that it takes to check a guess against it. */
function triedLogin({ method, headers }: SipRequest): Observation | undefined {
  const value = headers.find(([name]) => name === 'authorization' || name === 'proxy-authorization')?.[1];
  if (value === undefined) return undefined;
  const field = (name: string): string => new RegExp(`(?:^|[\\s,])${name}="?([^",]*)`, 'i').exec(value)?.[1] ?? '';
  return credentials(field('username'), ['realm', 'nonce', 'uri', 'response'].map(field).concat(method).join('*'), 'sip-digest');
}
