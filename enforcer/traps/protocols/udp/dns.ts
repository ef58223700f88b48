/** DNS as a name server that serves one zone and nobody's recursion: it refuses, which is as long as the question. */
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { ByteReader, bytesOf, latin1, u16, u32 } from '../bytes.ts';
import { malformed, request } from '../observation.ts';
import { type Answer, answerWithin, type DatagramContext, type UdpProtocol } from './responder.ts';

export const DNS_HEADER_BYTES = 12;
const LONGEST_NAME = 255;
const OPT_BYTES = 11;

const IS_RESPONSE = 0x8000;
const AUTHORITATIVE = 0x0400;
const RECURSION_DESIRED = 0x0100;
const QUERY = 0;
const UPDATE = 5;
const NO_ERROR = 0;
const FORMAT_ERROR = 1;
const NO_SUCH_NAME = 3;
const NOT_IMPLEMENTED = 4;
const REFUSED = 5;

const CLASS_CHAOS = 3;
const TYPE_TEXT = 16;
const TYPE_NAMES: Readonly<Record<number, string>> = {
  1: 'A',
  2: 'NS',
  5: 'CNAME',
  6: 'SOA',
  12: 'PTR',
  15: 'MX',
  16: 'TXT',
  28: 'AAAA',
  33: 'SRV',
  46: 'RRSIG',
  48: 'DNSKEY',
  252: 'AXFR',
  255: 'ANY',
};

export interface DnsQuestion {
  /** Labels joined by dots, lower case, without the last dot; each byte a character. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** The question as it came, to be repeated. */
  readonly bytes: Uint8Array;
  /** Whether an OPT record (EDNS) follows. */
  readonly edns: boolean;
}

export const dns: UdpProtocol = {
  name: 'dns',
  ports: [53, 5353],
  recognise(datagram) {
    const reader = new ByteReader(datagram);
    reader.u16();
    const flags = reader.u16();
    return (flags & 0xf8_40) === 0 && reader.u16() === 1 && reader.u16() === 0 && reader.u16() === 0 && parseDnsQuestion(datagram).ok;
  },
  respond,
};

/** Reads the question of a query with one. Never throws. */
export function parseDnsQuestion(datagram: Uint8Array): Parsed<DnsQuestion, 'truncated' | 'malformed'> {
  const reader = new ByteReader(datagram);
  reader.take(10);
  const additional = reader.u16();
  const labels: string[] = [];
  let length = 0;
  for (let size = reader.u8(); size > 0; size = reader.u8()) {
    length += size + 1;
    if (size > 63 || length > LONGEST_NAME) return unparsed('malformed'); // also compression: there is nothing before a question to point at
    labels.push(latin1(reader.take(size)));
  }
  const [type, kind] = [reader.u16(), reader.u16()];
  if (reader.truncated) return unparsed('truncated');
  const bytes = datagram.subarray(DNS_HEADER_BYTES, datagram.length - reader.left);
  const rest = reader.rest();
  const edns = additional > 0 && rest[0] === 0 && rest[1] === 0 && rest[2] === 41;
  return parsed({ name: labels.join('.').toLowerCase(), type, class: kind, bytes, edns });
}

function respond(datagram: Uint8Array, { persona }: DatagramContext): Answer {
  if (datagram.length < DNS_HEADER_BYTES) return { observations: [malformed('no DNS message')] };
  const reader = new ByteReader(datagram);
  const [id, flags, questions] = [reader.u16(), reader.u16(), reader.u16()];
  if ((flags & IS_RESPONSE) !== 0) return { observations: [malformed('a DNS reply')] };
  const opcode = (flags >>> 11) & 0xf;
  const reply = (code: number, extra: number, question: Uint8Array, ...records: readonly Uint8Array[]): Uint8Array =>
    bytesOf(
      u16(id),
      u16(IS_RESPONSE | (flags & 0x7800) | (flags & RECURSION_DESIRED) | extra | code),
      u16(question.length > 0 ? 1 : 0),
      u16(records.length > 0 ? 1 : 0),
      u16(0),
      u16(0),
      question,
      ...records,
    );
  if (opcode !== QUERY) return answerWithin(datagram, reply(opcode === UPDATE ? REFUSED : NOT_IMPLEMENTED, 0, NOTHING), [request(`opcode-${opcode}`, '', [])]);
  const question = questions === 1 ? parseDnsQuestion(datagram) : unparsed('malformed');
  if (!question.ok) return answerWithin(datagram, reply(FORMAT_ERROR, 0, NOTHING), [malformed('a DNS query without its question')]);
  const { name, type, class: kind, bytes, edns } = question.value;
  const observations = [
    request('query', name, [
      ['type', TYPE_NAMES[type] ?? String(type)],
      ['class', kind === CLASS_CHAOS ? 'CH' : kind === 1 ? 'IN' : String(kind)],
    ]),
  ];
  if (kind === CLASS_CHAOS && type === TYPE_TEXT) {
    const said = /^version\.(?:bind|server)$/.test(name) ? persona.versions.bind : /^(?:hostname\.bind|id\.server)$/.test(name) ? persona.hostName : undefined;
    if (said !== undefined) {
      const record = bytesOf(0xc0, DNS_HEADER_BYTES, u16(TYPE_TEXT), u16(CLASS_CHAOS), u32(0), u16(said.length + 1), said.length, said);
      const full = reply(NO_ERROR, AUTHORITATIVE, bytes, record);
      if (full.length <= datagram.length) return { reply: full, observations };
    }
  }
  const own = kind === 1 && (name === persona.domain || name.endsWith(`.${persona.domain}`));
  const refusal = own ? reply(name === persona.domain ? NO_ERROR : NO_SUCH_NAME, AUTHORITATIVE, bytes) : reply(REFUSED, 0, bytes);
  return answerWithin(datagram, edns && refusal.length + OPT_BYTES <= datagram.length ? withOpt(refusal) : refusal, observations);
}

const NOTHING = new Uint8Array(0);

/** A query with EDNS gets a reply with EDNS (RFC 6891, 6.1.1): 1232 bytes, no options. */
function withOpt(reply: Uint8Array): Uint8Array {
  const counted = Uint8Array.from(reply);
  counted[11] = 1;
  return bytesOf(counted, 0, u16(41), u16(1232), u32(0), u16(0));
}
