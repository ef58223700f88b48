/** How this member wraps what it says: label, keys, compression, versions, and a fresh nonce each time. */
import { randomFillSync } from 'node:crypto';
import type { Message, StreamMessage } from '../protocol/messages.ts';
import { ENCRYPTION_OVERHEAD, encryptionVersionOf, NONCE_BYTES } from '../protocol/wire/encryption.ts';
import type { Keyring } from '../protocol/wire/keyring.ts';
import { labelOverhead } from '../protocol/wire/label.ts';
import { WIRE_LIMITS, type WireLimits } from '../protocol/wire/limits.ts';
import { encodeMessage } from '../protocol/wire/message-codec.ts';
import { decodePacket, sealPacket, takesChecksum } from '../protocol/wire/packet.ts';
import { createStreamReader, type StreamReader } from '../protocol/wire/stream-reader.ts';
import { encodeStream, type StreamRole } from '../protocol/wire/stream-writer.ts';

export interface EnvelopeOptions {
  /** At most 255 bytes; empty for none. */
  readonly label: Uint8Array;
  /** A proxy before us takes the label off. */
  readonly skipLabelCheck: boolean;
  /** Without keys nothing is encrypted. It may change at any time. */
  readonly keyring: Keyring;
  /** False while a cluster moves to encryption: clear traffic is taken. */
  readonly verifyIncoming: boolean;
  /** False while a cluster moves to encryption: we send in clear. */
  readonly verifyOutgoing: boolean;
  readonly compress: boolean;
  /** Our own, of the wire: 1 encrypts in version 0. */
  readonly protocol: number;
  readonly limits?: WireLimits;
}

export type Envelope = ReturnType<typeof createEnvelope>;

export function createEnvelope({ label, skipLabelCheck, keyring, verifyIncoming, verifyOutgoing, compress, protocol, limits = WIRE_LIMITS }: EnvelopeOptions) {
  const encryption = encryptionVersionOf(protocol);
  const nextNonce = createNonces();
  const outgoing = () => ({ label, keyring: verifyOutgoing ? keyring : null, compress, encryption, nonce: nextNonce() });
  const checks = { label, skipLabelCheck, keyring, verifyIncoming, limits };
  return {
    sealDatagram: (messages: readonly Message[], knownMax: number | null): Uint8Array =>
      sealPacket(messages.map(encodeMessage), { ...outgoing(), checksum: takesChecksum(knownMax) }),
    openDatagram: (bytes: Uint8Array, source: string) => decodePacket(bytes, { ...checks, source }),
    sealStream: (message: StreamMessage, role: StreamRole): Uint8Array => encodeStream(message, { ...outgoing(), role }),
    streamReader: (role: StreamRole, source: string): StreamReader => createStreamReader({ ...checks, role, source }),
    /** What label and encryption add to a datagram: memberlist counts encryption into gossip whenever it has a key. */
    bytes: (use: 'gossip' | 'piggyback'): number =>
      labelOverhead(label) + (keyring.primary !== null && (use === 'gossip' || verifyOutgoing) ? ENCRYPTION_OVERHEAD[encryption] : 0),
  };
}

/** From the system's source, drawn many at a time: a call for each datagram would cost more than its encryption. */
function createNonces(): () => Uint8Array {
  const pool = new Uint8Array(NONCE_BYTES * 256);
  let at = pool.length;
  return () => {
    if (at === pool.length) {
      randomFillSync(pool);
      at = 0;
    }
    at += NONCE_BYTES;
    return pool.slice(at - NONCE_BYTES, at);
  };
}
