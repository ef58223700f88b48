/** NTP as a server with the usual restrictions (RFC 5905): it tells the time, and nothing to those who would query or abuse it. */
import { ByteReader, bytesOf, u32 } from '../bytes.ts';
import { malformed, request } from '../observation.ts';
import { type Answer, answerWithin, type DatagramContext, type UdpProtocol } from './responder.ts';

const PACKET_BYTES = 48;
const CLIENT = 3;
const SERVER = 4;
const CONTROL = 6;
const PRIVATE = 7;
const MODE_NAMES = ['reserved', 'symmetric-active', 'symmetric-passive', 'client', 'server', 'broadcast', 'control', 'private'] as const;
const MONLIST_CODES = [20, 42];
const UNIX_EPOCH_SECONDS = 2_208_988_800; // 1970 as NTP counts, from 1900

export const ntp: UdpProtocol = {
  name: 'ntp',
  ports: [123],
  recognise: datagram =>
    datagram.length >= PACKET_BYTES &&
    datagram.length % 4 === 0 &&
    ((datagram[0] ?? 0) & 7) === CLIENT &&
    versionOf(datagram) >= 1 &&
    versionOf(datagram) <= 4 &&
    (datagram[1] ?? 16) <= 16,
  respond,
};

const versionOf = (datagram: Uint8Array): number => ((datagram[0] ?? 0) >>> 3) & 7;

function respond(datagram: Uint8Array, { persona, random, receivedAt }: DatagramContext): Answer {
  const mode = (datagram[0] ?? 0) & 7;
  const version = versionOf(datagram);
  if (datagram.length === 0 || mode === SERVER || version === 0) return { observations: [malformed('no NTP request')] };
  // Mode 7 hands out lists of clients hundreds of times as long as the question (CVE-2013-5211): every distribution's server keeps silent.
  const method =
    mode === PRIVATE && MONLIST_CODES.includes(datagram[3] ?? 0)
      ? 'monlist'
      : mode === CONTROL
        ? `control-${(datagram[1] ?? 0) & 0x1f}`
        : (MODE_NAMES[mode] ?? '');
  const observations = [request(method, `version ${version}`, [])];
  if (mode !== CLIENT || datagram.length < PACKET_BYTES || version > 4) return { observations };
  const poll = datagram[2] ?? 6;
  const transmitted = datagram.subarray(40, 48);
  const stratum = persona.between('ntp stratum', 2, 3);
  const upstream = persona.bytes('ntp upstream', 4);
  const reference = receivedAt - 1000 * (persona.between('ntp age', 20, 900) + ((random[0] ?? 0) % 64));
  const reply = bytesOf(
    (version << 3) | SERVER,
    stratum,
    poll,
    0xe9, // precision, 2^-23 s
    u32(persona.between('ntp delay', 300, 2_500)),
    u32(persona.between('ntp dispersion', 800, 3_500)),
    Math.max(11, (upstream[0] ?? 0) % 200),
    upstream.subarray(1),
    timestamp(reference, random.subarray(1, 3)),
    transmitted,
    timestamp(receivedAt, random.subarray(3, 5)),
    timestamp(receivedAt, random.subarray(3, 5), 0x1_8000), // 23 us later
  );
  return answerWithin(datagram, reply, observations);
}

/** Seconds since 1900 and their fraction; what is below a millisecond is `noise`, two bytes. */
function timestamp(unixMs: number, noise: Uint8Array, later = 0): Uint8Array {
  const seconds = Math.floor(unixMs / 1000) + UNIX_EPOCH_SECONDS;
  const fraction = Math.floor(((unixMs % 1000) / 1000) * 0x1_0000_0000) + new ByteReader(noise).u16() * 32 + later;
  return bytesOf(u32(seconds), u32(Math.min(fraction, 0xffff_ffff)));
}
