/** SNMP versions 1 and 2c as net-snmp answers the community "public" with its system group; all communities are noted. */
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { BER_INTEGER, BER_NULL, BER_OCTETS, BER_OID, BER_SEQUENCE, type BerElement, ber, berElement, berElements, berInteger, berNumber } from '../ber.ts';
import { latin1 } from '../bytes.ts';
import { credentials, malformed, request } from '../observation.ts';
import type { Persona } from '../persona.ts';
import { type Answer, answerWithin, type DatagramContext, type UdpProtocol } from './responder.ts';

const GET = 0xa0;
const GET_NEXT = 0xa1;
const RESPONSE = 0xa2;
const SET = 0xa3;
const GET_BULK = 0xa5;
const METHODS: Readonly<Record<number, string>> = { [GET]: 'get', [GET_NEXT]: 'get-next', [SET]: 'set', [GET_BULK]: 'get-bulk' };
const TIME_TICKS = 0x43;
const NO_SUCH_OBJECT = 0x80;
const END_OF_VIEW = 0x82;

const TOO_BIG = 1;
const NO_SUCH_NAME = 2;
const NO_ACCESS = 6;

const READABLE_COMMUNITY = 'public';
const MOST_BINDINGS = 16;
const LINUX_AGENT = [1, 3, 6, 1, 4, 1, 8072, 3, 2, 10];
/** 1.3.6.1.2.1.1, the system group. */
const SYSTEM = [1, 3, 6, 1, 2, 1, 1];

export interface SnmpRequest {
  /** 0 is SNMPv1, 1 is SNMPv2c. */
  readonly version: number;
  readonly community: string;
  readonly method: number;
  readonly requestId: Uint8Array;
  readonly oids: readonly { readonly encoded: Uint8Array; readonly numbers: readonly number[] }[];
}

export const snmp: UdpProtocol = {
  name: 'snmp',
  ports: [161],
  recognise: datagram => parseSnmp(datagram).ok,
  respond,
};

/** Reads a request of version 1 or 2c. Never throws. */
export function parseSnmp(datagram: Uint8Array): Parsed<SnmpRequest, 'not-snmp' | 'version-3' | 'malformed'> {
  const message = berElement(datagram);
  if (typeof message === 'string' || message.tag !== BER_SEQUENCE) return unparsed('not-snmp');
  const [version, community, pdu] = berElements(message.content);
  if (version?.tag !== BER_INTEGER) return unparsed('not-snmp');
  if (berNumber(version) === 3) return unparsed('version-3');
  if (community?.tag !== BER_OCTETS || pdu === undefined || METHODS[pdu.tag] === undefined || berNumber(version) > 1) return unparsed('not-snmp');
  const [requestId, , , bindings] = berElements(pdu.content);
  if (requestId?.tag !== BER_INTEGER || requestId.content.length > 5 || bindings?.tag !== BER_SEQUENCE) return unparsed('malformed');
  const oids = berElements(bindings.content)
    .slice(0, MOST_BINDINGS)
    .map(binding => berElements(binding.content)[0])
    .filter((name): name is BerElement => name?.tag === BER_OID)
    .map(({ content }) => ({ encoded: content, numbers: oidNumbers(content) }));
  return parsed({ version: Math.max(0, berNumber(version)), community: latin1(community.content), method: pdu.tag, requestId: requestId.content, oids });
}

function respond(datagram: Uint8Array, { persona, receivedAt }: DatagramContext): Answer {
  const read = parseSnmp(datagram);
  // Version 3's discovery would need a reply twice as long as its question.
  if (!read.ok) return { observations: [read.why === 'version-3' ? request('discovery', 'version 3', []) : malformed('no SNMP request')] };
  const { version, community, method, oids } = read.value;
  const asked = oids.map(({ numbers }) => numbers.join('.')).join(' ');
  const observations = [credentials('', community), request(METHODS[method] ?? '', asked, [['version', version === 0 ? '1' : '2c']])];
  if (community !== READABLE_COMMUNITY || oids.length === 0) return { observations }; // net-snmp says nothing to a community that it does not know
  const group = systemGroup(persona, receivedAt);
  const bindings = oids.map(oid => bindingOf(oid, method, version, group));
  const failed = bindings.indexOf(undefined) + 1;
  const unchanged = oids.map(({ encoded }) => ber(BER_SEQUENCE, ber(BER_OID, encoded), ber(BER_NULL)));
  const reply =
    method === SET
      ? response(read.value, version === 0 ? NO_SUCH_NAME : NO_ACCESS, 1, unchanged)
      : failed > 0
        ? response(read.value, NO_SUCH_NAME, failed, unchanged)
        : response(
            read.value,
            0,
            0,
            bindings.flatMap(binding => binding ?? []),
          );
  if (reply.length <= datagram.length) return { reply, observations };
  return answerWithin(datagram, response(read.value, TOO_BIG, 0, version === 0 ? unchanged : []), observations); // RFC 3416, 4.2.1
}

function response({ version, community, requestId }: SnmpRequest, status: number, index: number, bindings: readonly Uint8Array[]): Uint8Array {
  const pdu = ber(RESPONSE, ber(BER_INTEGER, requestId), berInteger(status), berInteger(index), ber(BER_SEQUENCE, ...bindings));
  return ber(BER_SEQUENCE, berInteger(version), ber(BER_OCTETS, community), pdu);
}

type Group = readonly { readonly numbers: readonly number[]; readonly value: Uint8Array }[];

function systemGroup(persona: Persona, receivedAt: number): Group {
  const { release } = persona;
  const bootedAt = persona.between('boot day', 1, 60) * 86_400_000; // a boundary that comes round every 61 days
  const upTicks = Math.floor(((receivedAt + bootedAt) % (61 * 86_400_000)) / 10);
  const values = [
    ber(BER_OCTETS, `Linux ${persona.hostName} ${release.kernel} ${release.kernelBuild} x86_64`),
    ber(BER_OID, encodeOid(LINUX_AGENT)),
    berInteger(upTicks, TIME_TICKS),
    ber(BER_OCTETS, 'root'),
    ber(BER_OCTETS, persona.hostName),
    ber(BER_OCTETS, 'Unknown'),
  ];
  return values.map((value, index) => ({ numbers: [...SYSTEM, index + 1, 0], value }));
}

/** A binding with its value; undefined where version 1 has to say noSuchName. */
function bindingOf({ encoded, numbers }: SnmpRequest['oids'][number], method: number, version: number, group: Group): Uint8Array | undefined {
  const found = method === GET ? group.find(entry => compareOids(entry.numbers, numbers) === 0) : group.find(entry => compareOids(entry.numbers, numbers) > 0);
  if (found !== undefined) return ber(BER_SEQUENCE, ber(BER_OID, encodeOid(found.numbers)), found.value);
  return version === 0 ? undefined : ber(BER_SEQUENCE, ber(BER_OID, encoded), ber(method === GET ? NO_SUCH_OBJECT : END_OF_VIEW));
}

function compareOids(one: readonly number[], other: readonly number[]): number {
  for (let at = 0; at < Math.min(one.length, other.length); at++) {
    const difference = (one[at] ?? 0) - (other[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return one.length - other.length;
}

function oidNumbers(content: Uint8Array): number[] {
  const first = content[0] ?? 0;
  const numbers = content.length === 0 ? [] : [Math.min(2, Math.floor(first / 40)), first - 40 * Math.min(2, Math.floor(first / 40))];
  let number = 0;
  for (const octet of content.subarray(1, 128)) {
    number = (number % 0x200_0000) * 0x80 + (octet & 0x7f);
    if (octet < 0x80) {
      numbers.push(number);
      number = 0;
    }
  }
  return numbers;
}

function encodeOid([first = 0, second = 0, ...rest]: readonly number[]): number[] {
  const octets = [first * 40 + second];
  for (const number of rest) {
    const groups = [number & 0x7f];
    for (let left = Math.floor(number / 0x80); left > 0; left = Math.floor(left / 0x80)) groups.unshift(0x80 | (left & 0x7f));
    octets.push(...groups);
  }
  return octets;
}
