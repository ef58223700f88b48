/** Tells tc egress which port a reply is to come from: the traps answer from one socket, whatever port was asked. */
import type { Address } from '@honeymesh/intel/address';
import { addon, mustBe, UPDATE } from '../../kernel/native.ts';
import { udpPeerKey, udpPortValue } from '../../kernel/udp-replies.ts';

export interface UdpReplies {
  /** To be called right before the reply is sent: the next one to the same port of the same source may come from elsewhere. False: the map took it not. */
  note(remote: Address, remotePort: number, askedPort: number): boolean;
}

/** `pin` is the path of the pinned map `udp_replies`. */
export function openUdpReplies(pin: string): UdpReplies {
  const fd = mustBe(addon().openPin(pin), 'HM_MAP', `cannot open ${pin}`);
  return {
    note: (remote, remotePort, askedPort) => addon().mapUpdate(fd, udpPeerKey(remote, remotePort), udpPortValue(askedPort), UPDATE.any) === 0,
  };
}
