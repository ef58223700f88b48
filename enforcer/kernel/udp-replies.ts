/**
 * The map udp_replies: which port a source asked over UDP. The traps answer from one socket; tc egress gives the answer the port that is noted here for its
 * receiver, and drops it where there is none. Written right before an answer is sent, by the trap process, which needs no capability for it.
 */
import { type Address, addressBytes } from '@honeymesh/intel/address';
import { LAYOUTS } from './layouts.ts';

const PEER = LAYOUTS.hm_udp_peer;

/** Whom an answer goes to, as a key. */
export function udpPeerKey(remote: Address, remotePort: number): Uint8Array {
  const key = new Uint8Array(PEER.size);
  key.set(addressBytes(remote), PEER.fields.remote[0]);
  new DataView(key.buffer).setUint16(PEER.fields.remote_port[0], remotePort, true);
  return key;
}

/** The port that the answer is to come from, as a value. */
export function udpPortValue(port: number): Uint8Array {
  const value = new Uint8Array(2);
  new DataView(value.buffer).setUint16(0, port, true);
  return value;
}
