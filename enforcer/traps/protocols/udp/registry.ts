/** The protocols that are served over UDP, and which of them answers a datagram. */

import { latin1 } from '../bytes.ts';
import { malformed, payload } from '../observation.ts';
import { dns } from './dns.ts';
import { netbios } from './netbios.ts';
import { ntp } from './ntp.ts';
import type { Answer, DatagramContext, UdpProtocol } from './responder.ts';
import { sip } from './sip.ts';
import { snmp } from './snmp.ts';
import { ssdp } from './ssdp.ts';
import { tftp } from './tftp.ts';

/** More specific shapes first: `recognise` asks in this order. */
export const UDP_PROTOCOLS: readonly UdpProtocol[] = [sip, ssdp, snmp, netbios, dns, ntp, tftp];

const BY_PORT = new Map(UDP_PROTOCOLS.flatMap(protocol => protocol.ports.map(port => [port, protocol] as const)));

export const LONGEST_DATAGRAM_READ = 4096;
const LONGEST_KEPT = 512;

export interface DatagramAnswer extends Answer {
  readonly protocol: string;
}

/** Answers a datagram by the port that it came to, else by what it looks like. Never throws. The reply is never longer than the datagram. */
export function respondToDatagram(datagram: Uint8Array, context: DatagramContext): DatagramAnswer {
  const read = datagram.subarray(0, LONGEST_DATAGRAM_READ);
  const protocol = BY_PORT.get(context.port) ?? UDP_PROTOCOLS.find(known => known.recognise(read));
  if (protocol === undefined) return { protocol: 'generic-udp', observations: [payload('datagram', latin1(read.subarray(0, LONGEST_KEPT)), datagram.length)] };
  const answer = protocol.respond(read, context);
  // Each responder keeps to it by itself; this is where it is certain.
  if (answer.reply !== undefined && answer.reply.length > datagram.length)
    return { protocol: protocol.name, observations: [...answer.observations, malformed('a reply that did not fit')] };
  return { protocol: protocol.name, ...answer };
}
