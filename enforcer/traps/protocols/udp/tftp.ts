/** TFTP as tftpd-hpa serves an empty folder (RFC 1350): an error to everything, cut to the length of the question. */
import { ByteReader, bytesOf, latin1, u16 } from '../bytes.ts';
import { malformed, request } from '../observation.ts';
import { type Answer, answerWithin, type DatagramContext, type UdpProtocol } from './responder.ts';

const READ = 1;
const WRITE = 2;
const ERROR = 5;
const FILE_NOT_FOUND = { code: 1, text: 'File not found' } as const;
const ACCESS_DENIED = { code: 2, text: 'Access denied' } as const;
const ILLEGAL_OPERATION = { code: 4, text: 'Illegal TFTP operation' } as const;
const LONGEST_MODE = 16;
const SHORTEST_TEXT = 7; // less is a word cut in pieces

export const tftp: UdpProtocol = {
  name: 'tftp',
  ports: [69],
  recognise(datagram) {
    const reader = new ByteReader(datagram.subarray(0, 300));
    const opcode = reader.u16();
    const [file, mode] = [latin1(reader.untilNul()), latin1(reader.untilNul())];
    return !reader.truncated && (opcode === READ || opcode === WRITE) && /^[ -~]+$/.test(file) && /^(?:octet|netascii|mail)$/i.test(mode);
  },
  respond,
};

function respond(datagram: Uint8Array, _context: DatagramContext): Answer {
  const reader = new ByteReader(datagram);
  const opcode = reader.u16();
  if (reader.truncated) return { observations: [malformed('no TFTP packet')] };
  if (opcode === READ || opcode === WRITE) {
    const [file, mode] = [latin1(reader.untilNul()), latin1(reader.untilNul())];
    const observations = reader.truncated
      ? [malformed('a TFTP request cut short')]
      : [request(opcode === READ ? 'read' : 'write', file, [['mode', mode.slice(0, LONGEST_MODE)]])];
    return error(datagram, opcode === READ ? FILE_NOT_FOUND : ACCESS_DENIED, observations);
  }
  // Data, acknowledgements and errors belong to a transfer that we do not have.
  if (opcode > WRITE && opcode <= ERROR) return { observations: [malformed('TFTP without a request')] };
  return error(datagram, ILLEGAL_OPERATION, [malformed('no TFTP operation')]);
}

/** The client reads the code; the text is for people and may be shorter. */
function error(datagram: Uint8Array, { code, text }: { readonly code: number; readonly text: string }, observations: Answer['observations']): Answer {
  const room = datagram.length - 5;
  if (room < SHORTEST_TEXT) return { observations };
  return answerWithin(datagram, bytesOf(u16(ERROR), u16(code), text.slice(0, room), 0), observations);
}
