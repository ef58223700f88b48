/** NetBIOS name service as Samba's nmbd (RFC 1002, 4.2): a node status is longer than the usual question, which gets as much of one as it is long. */
import { ByteReader, bytesOf, latin1, u16, u32 } from '../bytes.ts';
import { malformed, request } from '../observation.ts';
import type { Persona } from '../persona.ts';
import { type Answer, answerWithin, type DatagramContext, type UdpProtocol } from './responder.ts';

const HEADER_BYTES = 12;
const ENCODED_NAME_BYTES = 34;
const IS_RESPONSE = 0x8000;
const TRUNCATED = 0x0200;
const TYPE_NAME = 0x20;
const TYPE_STATUS = 0x21;
const CLASS_INTERNET = 1;
const STATISTICS_BYTES = 46;
const ENTRY_BYTES = 18;
const GROUP = 0x80;
const ACTIVE = 0x04;

export interface NetbiosQuestion {
  readonly id: number;
  /** Up to 15 characters, padding left out. */
  readonly name: string;
  readonly suffix: number;
  readonly type: number;
}

export const netbios: UdpProtocol = {
  name: 'netbios-ns',
  ports: [137],
  recognise: datagram => parseNetbiosQuestion(datagram) !== undefined,
  respond,
};

/** Reads a query of one name. Never throws. */
export function parseNetbiosQuestion(datagram: Uint8Array): NetbiosQuestion | undefined {
  const reader = new ByteReader(datagram);
  const [id, flags, questions] = [reader.u16(), reader.u16(), reader.u16()];
  reader.take(6);
  const [length, encoded, end] = [reader.u8(), reader.take(32), reader.u8()];
  const [type, kind] = [reader.u16(), reader.u16()];
  if (reader.truncated || (flags & 0xf800) !== 0 || questions !== 1 || length !== 32 || end !== 0 || kind !== CLASS_INTERNET) return undefined;
  if ((type !== TYPE_NAME && type !== TYPE_STATUS) || encoded.some(letter => letter < 0x41 || letter > 0x50)) return undefined;
  const decoded = Uint8Array.from({ length: 16 }, (_, at) => (((encoded[2 * at] ?? 0x41) - 0x41) << 4) | ((encoded[2 * at + 1] ?? 0x41) - 0x41));
  return { id, name: latin1(decoded.subarray(0, 15)).replace(/[\0 ]+$/, ''), suffix: decoded[15] ?? 0, type };
}

function respond(datagram: Uint8Array, { persona }: DatagramContext): Answer {
  const question = parseNetbiosQuestion(datagram);
  if (question === undefined) return { observations: [malformed('no NetBIOS query')] };
  const observations = [request(question.type === TYPE_STATUS ? 'node-status' : 'name-query', question.name, [['suffix', question.suffix.toString(16)]])];
  if (question.type !== TYPE_STATUS) return { observations };
  const entries = namesOf(persona);
  const room = Math.floor((datagram.length - HEADER_BYTES - ENCODED_NAME_BYTES - 10 - 1 - STATISTICS_BYTES) / ENTRY_BYTES);
  const told = entries.slice(0, Math.max(1, room));
  const content = bytesOf(told.length, ...told, new Uint8Array(STATISTICS_BYTES));
  const name = datagram.subarray(HEADER_BYTES, HEADER_BYTES + ENCODED_NAME_BYTES);
  const head = (flags: number): Uint8Array =>
    bytesOf(u16(question.id), u16(IS_RESPONSE | 0x0400 | flags), u16(0), u16(1), u16(0), u16(0), name, u16(TYPE_STATUS), u16(CLASS_INTERNET));
  const whole = bytesOf(head(0), u32(0), u16(content.length), content);
  // Cut off after what the question has too: enough to tell that there is one.
  return answerWithin(datagram, whole.length <= datagram.length ? whole : head(TRUNCATED), observations);
}

function namesOf({ hostName }: Persona): Uint8Array[] {
  const entry = (name: string, suffix: number, flags: number): Uint8Array => bytesOf(name.toUpperCase().slice(0, 15).padEnd(15, ' '), suffix, flags, 0);
  return [
    entry(hostName, 0x00, ACTIVE),
    entry(hostName, 0x03, ACTIVE),
    entry(hostName, 0x20, ACTIVE),
    entry('WORKGROUP', 0x00, GROUP | ACTIVE),
    entry('WORKGROUP', 0x1e, GROUP | ACTIVE),
  ];
}
