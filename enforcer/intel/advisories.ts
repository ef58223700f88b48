/**
 * What an envelope of type `intel` holds: advice and withdrawals, as many as fit. Nothing but target, reasons, tier and TTL leaves a host.
 *
 *     count u8 | advice: target, tier u8, reasons u32, ttl u32 s | count u8 | withdrawal: epoch u64, seq u64, cause u8, count u8, targets
 *     target: bits u8, then 4 bytes (/24 to /32: IPv4), 8 (/48 to /64: IPv6) or 16 (/65 to /128)
 */
import { addressFromBytes, type Prefix, prefixParts } from './address.ts';
import { LONGEST_BODY_BYTES } from './envelope.ts';
import { type ByteReader, type ByteWriter, readBytes, writeBytes } from './envelope-bytes.ts';
import { type Tier, tierNumber, tierOf } from './evidence.ts';
import { type Parsed, parsed, unparsed } from './parsed.ts';
import { type Reason, reasonMask, reasonsOf } from './reasons.ts';

/** Spoofed evidence (E0) is worth nothing to others; an operator's order is for the operator's own host. */
export const ADVISED_TIERS = ['E1', 'E2'] as const satisfies readonly Tier[];
export type AdvisedTier = (typeof ADVISED_TIERS)[number];

export interface Advice {
  readonly target: Prefix;
  readonly tier: AdvisedTier;
  /** In bit order. Bits of a later version are left out. */
  readonly reasons: readonly Reason[];
  /** From the envelope's issuedAt on; the envelope's own life bounds it too. */
  readonly ttlS: number;
}

/** Takes back what the same key said in an earlier envelope. */
export interface Withdrawal {
  readonly epoch: number;
  readonly seq: number;
  /** It was wrong, not only over: whoever counted on it counts less on its signer. Cause 1 on the wire; 0: it is over. */
  readonly asError: boolean;
  /** None: all of it. */
  readonly targets: readonly Prefix[];
}

export interface Intel {
  readonly advice: readonly Advice[];
  readonly withdrawals: readonly Withdrawal[];
}

export type IntelFailure = 'malformed' | 'empty' | 'too-wide' | 'bad-target' | 'bad-tier' | 'no-reason' | 'bad-ttl';

/** The widest prefixes that advice may name, in bits. */
export const WIDEST_ADVISED = { 4: 24, 6: 48 } as const;
const MOST_OF_A_KIND = 255;
const COUNTS_BYTES = 2;
const WITHDRAWAL_HEAD_BYTES = 8 + 8 + 1 + 1;

/** Bytes that all advice and withdrawals of one envelope may take together. */
export const INTEL_ROOM_BYTES = LONGEST_BODY_BYTES - COUNTS_BYTES;

export function isAdvisable(target: Prefix): boolean {
  const { family, bits } = prefixParts(target);
  return bits >= WIDEST_ADVISED[family];
}

export const adviceBytes = (advice: Advice): number => targetBytes(advice.target) + 9;
export const withdrawalBytes = (withdrawal: Withdrawal): number => withdrawal.targets.reduce((sum, target) => sum + targetBytes(target), WITHDRAWAL_HEAD_BYTES);

const targetBytes = (target: Prefix): number => {
  const { family, bits } = prefixParts(target);
  return 1 + addressWidth(family, bits);
};

const addressWidth = (family: 4 | 6, bits: number): number => (family === 4 ? 4 : bits <= 64 ? 8 : 16);

/** Throws a RangeError on what cannot be said: see `isAdvisable` and INTEL_ROOM_BYTES. */
export function encodeIntel({ advice, withdrawals }: Intel): Uint8Array {
  if (advice.length > MOST_OF_A_KIND || withdrawals.length > MOST_OF_A_KIND) throw new RangeError('more than 255 of a kind in one envelope');
  const writer = writeBytes().u8(advice.length);
  for (const { target, tier, reasons, ttlS } of advice) {
    putTarget(writer, target);
    writer.u8(tierNumber(tier)).u32(reasonMask(reasons)).u32(ttlS);
  }
  writer.u8(withdrawals.length);
  for (const { epoch, seq, asError, targets } of withdrawals) {
    if (targets.length > MOST_OF_A_KIND) throw new RangeError('more than 255 targets in one withdrawal');
    writer
      .u64(epoch)
      .u64(seq)
      .u8(asError ? 1 : 0)
      .u8(targets.length);
    for (const target of targets) putTarget(writer, target);
  }
  return writer.take();
}

/** Never throws; `bytes` is hostile, its length bounded by the envelope's. */
export function decodeIntel(bytes: Uint8Array): Parsed<Intel, IntelFailure> {
  if (bytes.length > LONGEST_BODY_BYTES) return unparsed('malformed');
  const reader = readBytes(bytes);
  const advice: Advice[] = [];
  for (let left = reader.u8(); left > 0; left--) {
    const target = takeTarget(reader);
    const tier = tierOf(reader.u8());
    const mask = reader.u32();
    const ttlS = reader.u32();
    if (!reader.ok) return unparsed('malformed');
    if (!target.ok) return target;
    if (tier !== 'E1' && tier !== 'E2') return unparsed('bad-tier');
    if (mask === 0) return unparsed('no-reason');
    if (ttlS === 0) return unparsed('bad-ttl');
    advice.push({ target: target.value, tier, reasons: reasonsOf(mask), ttlS });
  }
  const withdrawals: Withdrawal[] = [];
  for (let left = reader.u8(); left > 0; left--) {
    const epoch = reader.u64();
    const seq = reader.u64();
    const cause = reader.u8();
    if (cause > 1) return unparsed('malformed');
    const targets: Prefix[] = [];
    for (let count = reader.u8(); count > 0; count--) {
      const target = takeTarget(reader);
      if (!reader.ok) return unparsed('malformed');
      if (!target.ok) return target;
      targets.push(target.value);
    }
    if (!reader.ok) return unparsed('malformed');
    withdrawals.push({ epoch, seq, asError: cause === 1, targets });
  }
  if (!reader.done) return unparsed('malformed');
  return advice.length + withdrawals.length === 0 ? unparsed('empty') : parsed({ advice, withdrawals });
}

function putTarget(writer: ByteWriter, target: Prefix): void {
  const { family, bytes, bits } = prefixParts(target);
  if (bits < WIDEST_ADVISED[family]) throw new RangeError(`${target} is too wide to be advised`);
  const from = family === 4 ? 12 : 0;
  writer.u8(bits).bytes(bytes.subarray(from, from + addressWidth(family, bits)));
}

function takeTarget(reader: ByteReader): Parsed<Prefix, 'malformed' | 'too-wide' | 'bad-target'> {
  const bits = reader.u8();
  const family = bits <= 32 ? 4 : 6; // the numbers do not meet: /24 to /32, /48 to /128
  if (bits > 128) return unparsed('bad-target');
  if (bits < WIDEST_ADVISED[family]) return unparsed('too-wide');
  const width = addressWidth(family, bits);
  const given = reader.bytes(width);
  if (!reader.ok) return unparsed('malformed');
  for (let bit = bits; bit < 8 * width; bit++) if (((given[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1) return unparsed('bad-target');
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  bytes.set(given);
  const network = addressFromBytes(bytes);
  // IPv4 in an IPv6 coat would be a second name for one target.
  if (family === 6 && !network.includes(':')) return unparsed('bad-target');
  return parsed(`${network}/${bits}` as Prefix);
}
