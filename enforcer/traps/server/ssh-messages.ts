/** Numbers of SSH's messages above the transport, and its strings. */
import { type ByteReader, bytesOf, u32 } from '../protocols/bytes.ts';

export const MESSAGE = {
  disconnect: 1,
  ignore: 2,
  unimplemented: 3,
  debug: 4,
  serviceRequest: 5,
  serviceAccept: 6,
  extensions: 7,
  loginRequest: 50,
  loginFailure: 51,
  questions: 60,
  answers: 61,
  globalRequest: 80,
  requestSuccess: 81,
  requestFailure: 82,
  open: 90,
  openConfirmation: 91,
  openFailure: 92,
  windowAdjust: 93,
  data: 94,
  extendedData: 95,
  eof: 96,
  close: 97,
  channelRequest: 98,
  channelSuccess: 99,
  channelFailure: 100,
  ping: 192,
  pong: 193,
} as const;

const LONGEST = 35_000; // a packet's

/** A string as SSH writes it. */
export const sshString = (text: string | Uint8Array): Uint8Array => bytesOf(u32(text.length), text);

/** Reads one; longer than `longest` bytes, it is as if it were cut short. */
export function readString(reader: ByteReader, longest = LONGEST): Uint8Array {
  const length = reader.u32();
  return reader.take(length > longest ? -1 : length);
}
