/**
 * Datagrams, both ways. Out, from the inside: messages, compound (where there are several), compressed (where that is shorter), checksum, encrypted, label.
 * In, the same from the outside; compounds and compressions may nest, checksum and encryption do not.
 */
import { crc32 } from 'node:zlib';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { MESSAGE_TYPE, type Message } from '../messages.ts';
import { joined, NO_BYTES, u32At, u32Bytes } from './bytes.ts';
import { compound, partsOf } from './compound.ts';
import { compressed, expanded } from './compression.ts';
import { ENCRYPTION_OVERHEAD, type EncryptionVersion, type Opened, open, sealed } from './encryption.ts';
import type { WireFault } from './faults.ts';
import type { Keyring } from './keyring.ts';
import { type LabelCheck, labelHeader, labelOverhead, passLabel } from './label.ts';
import { WIRE_LIMITS, type WireLimits } from './limits.ts';
import { BOUNDS_OF_PACKET, decodeMessage } from './message-codec.ts';

/** What memberlist calls UDPBufferSize: what a packet is filled to, in bytes. The checksum comes on top. */
export const LARGEST_PACKET = 1400;
export const LARGEST_DATAGRAM = 65_536;
export const COMPOUND_OVERHEAD = 2;
/** For each part of a compound: what the broadcast queue counts for each item. */
export const PART_OVERHEAD = 2;
/** The type byte of a user message: counted on top of PART_OVERHEAD. */
export const USER_OVERHEAD = 1;
export const CHECKSUM_OVERHEAD = 5;

/** A checksum is sent to whom it is known to be understood by: pMax of protocol 5 or more; null where nothing is known. */
export const takesChecksum = (knownMax: number | null): boolean => knownMax !== null && knownMax >= 5;

export interface EnvelopeOptions {
  readonly label: Uint8Array;
  /** The version in which the packet will be encrypted; null for clear. */
  readonly encryption: EncryptionVersion | null;
}

/** Bytes that label and encryption add at the most. */
export const envelopeOverhead = ({ label, encryption }: EnvelopeOptions): number =>
  labelOverhead(label) + (encryption === null ? 0 : ENCRYPTION_OVERHEAD[encryption]);

export interface BudgetOptions extends EnvelopeOptions {
  readonly largestPacket?: number;
}

/** Bytes for the parts of one packet, each with its PART_OVERHEAD. What goes along with a ping or an ack has that much less as the ping or ack is long. */
export const packetBudget = ({ largestPacket = LARGEST_PACKET, ...envelope }: BudgetOptions): number =>
  largestPacket - COMPOUND_OVERHEAD - envelopeOverhead(envelope);

/** The longest payload of a user message that a packet can carry: what is longer would wait in the queue for ever, and is refused before. */
export const largestUserPayload = (options: BudgetOptions): number => packetBudget(options) - PART_OVERHEAD - USER_OVERHEAD;

export interface SealOptions {
  readonly label: Uint8Array;
  /** Null or without keys: clear. */
  readonly keyring: Keyring | null;
  readonly compress: boolean;
  /** See takesChecksum. */
  readonly checksum: boolean;
  /** By our own protocol version: 0 where it is 1. */
  readonly encryption: EncryptionVersion;
  /** 12 bytes, fresh for each packet; unused where nothing is encrypted. */
  readonly nonce: Uint8Array;
}

/** One datagram of at least one and at most 255 encoded messages. */
export const sealPacket = (parts: readonly Uint8Array[], options: SealOptions): Uint8Array => coverPacket(fillPacket(parts, options), options);

/** What is the same for all who get it. */
export function fillPacket(parts: readonly Uint8Array[], { compress, checksum }: Pick<SealOptions, 'compress' | 'checksum'>): Uint8Array {
  const [first = NO_BYTES] = parts;
  let packet = parts.length === 1 ? first : compound(parts);
  if (compress) {
    const shorter = compressed(packet);
    if (shorter.length < packet.length) packet = shorter;
  }
  return checksum ? joined(Uint8Array.of(MESSAGE_TYPE.crc), u32Bytes(crc32(packet)), packet) : packet;
}

/** Encrypts, each time under another nonce, and puts the label in front. */
export function coverPacket(packet: Uint8Array, { label, keyring, encryption, nonce }: Omit<SealOptions, 'compress' | 'checksum'>): Uint8Array {
  const key = keyring?.primary ?? null;
  const covered = key === null ? packet : sealed(packet, { key, version: encryption, nonce, context: label });
  return label.length === 0 ? covered : joined(labelHeader(label), covered);
}

export interface OpenOptions extends LabelCheck {
  readonly keyring: Keyring | null;
  /** False while a cluster is being moved to encryption: what cannot be decrypted is then read as it is. */
  readonly verifyIncoming: boolean;
  /** Who sent it, as text: which key to try first. */
  readonly source?: string;
  readonly limits?: WireLimits;
}

export interface OpenedPacket {
  /** In the order in which they came; none of them refers to the packet's bytes. */
  readonly messages: readonly Message[];
  /** Why other parts were not taken. */
  readonly refused: readonly WireFault[];
  /** Parts of compounds that the packet was too short for. */
  readonly cutOff: number;
  /** It bore a checksum. */
  readonly checked: boolean;
  /** How it was encrypted; null where it came in clear. */
  readonly sealed: Omit<Opened, 'plain'> | null;
}

/** Takes a hostile datagram apart. It fails as a whole where its cover is wrong; what is wrong with a part of it is told in `refused`. */
export function decodePacket(bytes: Uint8Array, options: OpenOptions): Parsed<OpenedPacket, WireFault> {
  const passed = passLabel(bytes, options);
  if (!passed.ok) return passed.why === 'truncated' ? unparsed('label-malformed') : passed;
  const labelled = bytes.subarray(passed.value);
  const opened = uncover(labelled, options);
  if (!opened.ok) return opened;
  const { plain, cover } = opened.value;
  const checked = checkedPart(plain);
  if (!checked.ok) return checked;
  return parsed({ ...takeApart(checked.value, options.limits ?? WIRE_LIMITS), checked: checked.value !== plain, sealed: cover });
}

type Uncovered = { readonly plain: Uint8Array; readonly cover: OpenedPacket['sealed'] };

function uncover(labelled: Uint8Array, { label, keyring, verifyIncoming, source }: OpenOptions): Parsed<Uncovered, WireFault> {
  if (labelled.length === 0) return unparsed('empty');
  if (keyring === null || keyring.primary === null) return parsed({ plain: labelled, cover: null });
  const opened = open(labelled, keyring, label, source);
  if (opened.ok) {
    const { plain, ...cover } = opened.value;
    return parsed({ plain, cover });
  }
  return verifyIncoming ? opened : parsed({ plain: labelled, cover: null });
}

/** Behind the checksum, where there is one: what is too short to hold it is left to be refused as a message. */
function checkedPart(plain: Uint8Array): Parsed<Uint8Array, WireFault> {
  if (plain[0] !== MESSAGE_TYPE.crc || plain.length < CHECKSUM_OVERHEAD) return parsed(plain);
  const rest = plain.subarray(CHECKSUM_OVERHEAD);
  return crc32(rest) === u32At(plain, 1) ? parsed(rest) : unparsed('checksum');
}

/** Depth first, as Go's recursion, but bounded: in depth, in what is expanded, and in what comes of it. */
function takeApart(plain: Uint8Array, limits: WireLimits): Omit<OpenedPacket, 'sealed' | 'checked'> {
  const messages: Message[] = [];
  const refused: WireFault[] = [];
  let [cutOff, expansionLeft, overflowed] = [0, limits.packetExpansion, false];

  const takeCompound = (part: Uint8Array, depth: number): void => {
    const taken = partsOf(part);
    if (!taken.ok) {
      refused.push(taken.why);
      return;
    }
    cutOff += taken.value.cutOff;
    for (const inner of taken.value.parts) {
      overflowed ||= messages.length + refused.length >= limits.packetMessages;
      if (overflowed) return;
      take(inner, depth + 1);
    }
  };
  const takeCompressed = (part: Uint8Array, depth: number): void => {
    const expansion = expanded(part, expansionLeft, BOUNDS_OF_PACKET);
    if (!expansion.ok) {
      // Whatever was spent on a bad one is not spent again on the next one beside it.
      expansionLeft = 0;
      refused.push(expansion.why);
      return;
    }
    expansionLeft -= expansion.value.length;
    take(expansion.value, depth + 1);
  };
  const take = (part: Uint8Array, depth: number): void => {
    const [type] = part;
    const wraps = type === MESSAGE_TYPE.compound || type === MESSAGE_TYPE.compress;
    if (wraps && depth >= limits.depth) refused.push('too-deep');
    else if (type === MESSAGE_TYPE.compound) takeCompound(part, depth);
    else if (type === MESSAGE_TYPE.compress) takeCompressed(part, depth);
    else if (type === MESSAGE_TYPE.error) refused.push('unknown-type');
    else {
      const message = decodeMessage(part);
      if (message.ok) messages.push(message.value);
      else refused.push(message.why);
    }
  };
  take(plain, 0);
  if (overflowed) refused.push('too-many');
  return { messages, refused, cutOff };
}
