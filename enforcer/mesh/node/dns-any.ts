/**
 * One question to one DNS server over TCP, for all it has of a name (type ANY): servers such as Consul's give a handful of addresses over UDP and all of
 * them over TCP. What comes back is hostile: bounded in bytes, records and time.
 */
import { randomInt } from 'node:crypto';
import { connect } from 'node:net';
import { addressFromBytes } from '@honeymesh/intel/address';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';

export type DnsFault = 'bad-name' | 'unreachable' | 'timeout' | 'truncated' | 'malformed' | 'another-answer';

export interface DnsServer {
  readonly host: string;
  readonly port: number;
}

const TYPE = { a: 1, aaaa: 28, any: 255 } as const;
const CLASS_IN = 1;
const HEADER_BYTES = 12;
const RECURSION_DESIRED = 0x0100;
const IS_ANSWER = 0x80;
/** Answers that are looked at. More than a datagram of addresses, fewer than a message of 64 KiB could hold. */
const MOST_RECORDS = 4096;
const MOST_QUESTIONS = 16;

/** The question (RFC 1035, 4.1), behind its length as TCP has it; null where this is no name of DNS. */
export function encodeQuestion(name: string, id: number): Uint8Array | null {
  const labels = name.replace(/\.$/, '').split('.');
  if (name.length > 254 || labels.some(label => label.length === 0 || label.length > 63 || !/^[!-~]+$/.test(label))) return null;
  const question = Buffer.concat([...labels.flatMap(label => [Buffer.of(label.length), Buffer.from(label, 'latin1')]), Buffer.of(0, 0, TYPE.any, 0, CLASS_IN)]);
  const message = Buffer.alloc(2 + HEADER_BYTES);
  message.writeUInt16BE(HEADER_BYTES + question.length, 0);
  message.writeUInt16BE(id, 2);
  message.writeUInt16BE(RECURSION_DESIRED, 4);
  message.writeUInt16BE(1, 6);
  return Uint8Array.from(Buffer.concat([message, question]));
}

/** Addresses of the records A and AAAA, in their order; CNAME and all else is passed over. `message` without its length. */
export function readAnswer(message: Uint8Array, id: number): Parsed<readonly string[], DnsFault> {
  if (message.length < HEADER_BYTES) return unparsed('truncated');
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  if (view.getUint16(0) !== id || (view.getUint8(2) & IS_ANSWER) === 0) return unparsed('another-answer');
  const questions = view.getUint16(4);
  const answers = view.getUint16(6);
  if (questions > MOST_QUESTIONS || answers > MOST_RECORDS) return unparsed('malformed');
  let at = HEADER_BYTES;
  for (let count = 0; count < questions; count++) {
    const end = nameEnd(message, at);
    if (end === null || end + 4 > message.length) return unparsed('truncated');
    at = end + 4;
  }
  const addresses: string[] = [];
  for (let count = 0; count < answers; count++) {
    const end = nameEnd(message, at);
    if (end === null || end + 10 > message.length) return unparsed('truncated');
    const [type, family, length] = [view.getUint16(end), view.getUint16(end + 2), view.getUint16(end + 8)];
    at = end + 10 + length;
    if (at > message.length) return unparsed('truncated');
    const address = family === CLASS_IN ? addressOf(type, message.subarray(at - length, at)) : null;
    if (address !== null) addresses.push(address);
  }
  return parsed(addresses);
}

/** Where the name at `at` ends. A pointer ends it: what it points to is not read, so none can lead in a circle. */
function nameEnd(message: Uint8Array, start: number): number | null {
  for (let at = start; at < message.length; ) {
    const length = message[at] as number;
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2;
    if (length > 63) return null;
    at += 1 + length;
  }
  return null;
}

const MAPPED_HEAD = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255);

function addressOf(type: number, bytes: Uint8Array): string | null {
  if (type === TYPE.a && bytes.length === 4) return addressFromBytes(Uint8Array.of(...MAPPED_HEAD, ...bytes));
  return type === TYPE.aaaa && bytes.length === 16 ? addressFromBytes(bytes) : null;
}

/** Never rejects. `timeoutMs`: for all of it. */
export function askForAny(name: string, server: DnsServer, timeoutMs: number): Promise<Parsed<readonly string[], DnsFault>> {
  const id = randomInt(0x1_0000);
  const question = encodeQuestion(name, id);
  if (question === null) return Promise.resolve(unparsed('bad-name'));
  const { promise, resolve } = Promise.withResolvers<Parsed<readonly string[], DnsFault>>();
  const socket = connect({ host: server.host, port: server.port, noDelay: true });
  const timer = setTimeout(() => end(unparsed('timeout')), timeoutMs);
  const chunks: Buffer[] = [];
  let length = 0;
  let wanted = Number.POSITIVE_INFINITY;

  function end(answer: Parsed<readonly string[], DnsFault>): void {
    clearTimeout(timer);
    socket.destroy();
    resolve(answer);
  }
  socket.once('connect', () => socket.write(question));
  socket.on('data', chunk => {
    chunks.push(chunk);
    length += chunk.length;
    if (wanted === Number.POSITIVE_INFINITY && length >= 2) wanted = 2 + Buffer.concat(chunks).readUInt16BE(0);
    if (length >= wanted) end(readAnswer(Buffer.concat(chunks).subarray(2, wanted), id));
  });
  socket.once('end', () => end(unparsed('truncated')));
  socket.once('close', () => end(unparsed('unreachable')));
  socket.on('error', () => end(unparsed('unreachable')));
  return promise;
}
