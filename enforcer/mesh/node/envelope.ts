/** How this member wraps what it says: label, keys, compression, versions, and a fresh nonce each time. */
import { randomFillSync } from 'node:crypto';
import { unparsed } from '@honeymesh/intel/parsed';
import type { Endpoint } from '../protocol/core/endpoint.ts';
import type { Message, StreamMessage } from '../protocol/messages.ts';
import { ENCRYPTION_OVERHEAD, encryptionVersionOf, NONCE_BYTES, type Opened } from '../protocol/wire/encryption.ts';
import type { ClusterKey, Keyring } from '../protocol/wire/keyring.ts';
import { labelOverhead } from '../protocol/wire/label.ts';
import { WIRE_LIMITS, type WireLimits } from '../protocol/wire/limits.ts';
import { encodeMessage } from '../protocol/wire/message-codec.ts';
import { coverPacket, decodePacket, fillPacket, takesChecksum } from '../protocol/wire/packet.ts';
import { createStreamReader, type StreamReader, type StreamReading } from '../protocol/wire/stream-reader.ts';
import { encodeStream, type StreamRole } from '../protocol/wire/stream-writer.ts';
import type { NonceMemory } from '../signed/nonce-memory.ts';

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
  /** Drops what came before, nonce by nonce; absent: replays are taken, as memberlist takes them. */
  readonly nonces?: NonceMemory;
}

export type Envelope = ReturnType<typeof createEnvelope>;

export function createEnvelope(options: EnvelopeOptions) {
  const { label, skipLabelCheck, keyring, verifyIncoming, verifyOutgoing, compress, nonces, limits = WIRE_LIMITS } = options;
  const encryption = encryptionVersionOf(options.protocol);
  const nextNonce = createNonces();
  const filled = createFiller(compress);
  const checks = { label, skipLabelCheck, keyring, verifyIncoming, limits };
  let budgetOf: ClusterKey | null = null;
  let encrypted = 0;

  function outgoing() {
    const key = verifyOutgoing ? keyring.primary : null;
    if (key !== budgetOf) encrypted = 0;
    budgetOf = key;
    if (key !== null) encrypted++;
    return { label, keyring: key === null ? null : keyring, compress, encryption, nonce: nextNonce() };
  }

  /** False: under this key this nonce came before. Asked once it was decrypted, or anybody could fill the memory. */
  const isFirst = (cover: Omit<Opened, 'plain'> | null): boolean => cover === null || nonces === undefined || nonces.first(nameOfKey(cover.key), cover.nonce);

  function openDatagram(bytes: Uint8Array, source: string): ReturnType<typeof decodePacket> {
    const opened = decodePacket(bytes, { ...checks, source });
    return opened.ok && !isFirst(opened.value.sealed) ? unparsed('replayed') : opened;
  }

  function streamReader(role: StreamRole, source: string): StreamReader {
    const reader = createStreamReader({ ...checks, role, source });
    let final: StreamReading | null = null;
    const once = (reading: StreamReading): StreamReading => {
      if (final !== null || reading.state !== 'complete') return final ?? reading;
      final = isFirst(reading.sealed) ? reading : { state: 'refused', why: 'replayed', answer: null };
      return final;
    };
    return {
      push: chunk => once(reader.push(chunk)),
      end: () => once(reader.end()),
      get heldBytes() {
        return reader.heldBytes;
      },
    };
  }

  return {
    openDatagram,
    streamReader,
    sealDatagram: (messages: readonly Message[], knownMax: number | null): Uint8Array => coverPacket(filled(messages, takesChecksum(knownMax)), outgoing()),
    /** `_to`: the other side, for whoever wraps this. */
    sealStream: (message: StreamMessage, role: StreamRole, _to: Endpoint): Uint8Array => encodeStream(message, { ...outgoing(), role }),
    /** What label and encryption add to a datagram: memberlist counts encryption into gossip whenever it has a key. */
    bytes: (use: 'gossip' | 'piggyback'): number =>
      labelOverhead(label) + (keyring.primary !== null && (use === 'gossip' || verifyOutgoing) ? ENCRYPTION_OVERHEAD[encryption] : 0),
    /** Encryptions under the primary key since it is that: with random nonces there is a bound to what one key may encrypt. */
    encrypted: (): number => (keyring.primary === budgetOf ? encrypted : 0),
  };
}

/** What is said to many in a row is encoded and compressed once: half of what such a datagram costs. Messages are not changed once they are said. */
function createFiller(compress: boolean): (messages: readonly Message[], checksum: boolean) => Uint8Array {
  let last: { readonly messages: readonly Message[]; readonly checksum: boolean; readonly packet: Uint8Array } | null = null;
  return (messages, checksum) => {
    const same = last !== null && last.checksum === checksum && last.messages.length === messages.length;
    if (last !== null && same && messages.every((message, at) => message === last?.messages[at])) return last.packet;
    const packet = fillPacket(messages.map(encodeMessage), { compress, checksum });
    last = { messages, checksum, packet };
    return packet;
  };
}

/** Any name that tells keys apart will do; it never leaves memory. */
export const nameOfKey = ({ bytes }: { readonly bytes: Uint8Array }): string => Buffer.from(bytes).toString('latin1');

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
