/**
 * Repair of what gossip missed: in each push/pull both sides say which numbers of whom they have, and each answers with what the other lacks, within a
 * bound of bytes. Turn by turn over the speakers, latest first, so that one with much to say does not keep the others from being heard.
 */
import { type KeyId, LONGEST_ENVELOPE_BYTES } from '@honeymesh/intel/envelope';
import { hexOf, readBytes } from '@honeymesh/intel/envelope-bytes';
import type { UnixMs } from '@honeymesh/intel/time';
import { type Digest, type ExchangeParts, encodeExchange, type Holdings, MOST_EXCHANGE_BYTES, SECTION_HEAD_BYTES, speakerBytes } from './exchange-format.ts';
import { sha256 } from './keys.ts';
import type { LiveBook } from './live-book.ts';
import type { Roster } from './roster.ts';
import type { Range } from './seen.ts';
import type { EpochNumbers, Speakers } from './speakers.ts';

export interface AntiEntropyLimits {
  /** Of a digest: beyond, the speakers take turns. */
  readonly digestBytes: number;
  /** Envelopes and certificates in one answer. */
  readonly repairBytes: number;
  /** Trust (certificates of registrars, revocations) in one answer. */
  readonly trustBytes: number;
}

export const ANTI_ENTROPY_LIMITS: AntiEntropyLimits = { digestBytes: 192 * 1_024, repairBytes: 256 * 1_024, trustBytes: 256 * 1_024 };

export interface AntiEntropy {
  /** For a push/pull. Who joins is told all trust and as much intel as fits one answer: it can verify nothing before. */
  state(join: boolean, now: UnixMs): Uint8Array;
  /** To somebody of whom nothing is known yet: what it takes to judge us and what we lack, and no words of anybody. */
  introduction(): Uint8Array;
  /** For the answer on a push/pull: as `state`, and what the asker lacks, by its own word. */
  reply(theirs: ExchangeParts, now: UnixMs): Uint8Array;
  /** What the other side lacks, by its own word; null: nothing. */
  answer(theirs: ExchangeParts, now: UnixMs): Uint8Array | null;
}

const NOTHING_HELD: Holdings = { lists: new Map(), registrars: new Set() };
const NOBODY_HEARD: Digest = { partial: false, speakers: new Map() };

export function createAntiEntropy(
  limits: AntiEntropyLimits,
  { roster, book, speakers }: { readonly roster: Roster; readonly book: LiveBook; readonly speakers: Speakers },
): AntiEntropy {
  if (limits.digestBytes + limits.repairBytes + limits.trustBytes + LONGEST_ENVELOPE_BYTES > MOST_EXCHANGE_BYTES)
    throw new RangeError('more than one exchange holds');
  /** Where the next partial digest begins. */
  let turn = 0;
  const listHash = new WeakMap<object, number>();
  const registrarHash = new WeakMap<object, string>();

  function hashOfList(list: { readonly bytes: Uint8Array }): number {
    const known = listHash.get(list) ?? readBytes(sha256(list.bytes)).u32();
    listHash.set(list, known);
    return known;
  }

  function hashOfRegistrar(certificate: { readonly bytes: Uint8Array }): string {
    const known = registrarHash.get(certificate) ?? hexOf(sha256(certificate.bytes).subarray(0, 8));
    registrarHash.set(certificate, known);
    return known;
  }

  function digest(): Digest {
    const keys = speakers.keys();
    const chosen = new Map<KeyId, readonly EpochNumbers[]>();
    let bytes = 1;
    for (let at = 0; at < keys.length; at++) {
      const kid = keys[(turn + at) % keys.length];
      if (kid === undefined) continue;
      const numbers = speakers.numbersOf(kid);
      bytes += speakerBytes(numbers);
      if (bytes > limits.digestBytes) {
        turn = (turn + at) % keys.length;
        return { partial: true, speakers: chosen };
      }
      chosen.set(kid, numbers);
    }
    return { partial: false, speakers: chosen };
  }

  // One byte counts them (a list for each registrar and one of the root; five certificates a registrar): what is beyond is sent again and again, no more.
  const holdings = (): Holdings => ({
    lists: new Map(
      roster
        .revocationLists()
        .slice(0, 255)
        .map(list => [list.issuer, { number: list.number, hash: hashOfList(list) }]),
    ),
    registrars: new Set(roster.registrars().slice(-255).map(hashOfRegistrar)),
  });

  function trustFor(theirs: Holdings): Pick<ExchangeParts, 'certificates' | 'revocations'> {
    let left = limits.trustBytes;
    const fits = (bytes: Uint8Array): boolean => {
      left -= bytes.length + SECTION_HEAD_BYTES;
      return left >= 0;
    };
    const certificates = roster.registrars().filter(one => !theirs.registrars.has(hashOfRegistrar(one)) && fits(one.bytes));
    const revocations = roster.revocationLists().filter(list => {
      const held = theirs.lists.get(list.issuer);
      const newer = held === undefined || held.number < list.number || (held.number === list.number && held.hash !== hashOfList(list));
      return newer && fits(list.bytes);
    });
    return { certificates: certificates.map(one => one.bytes), revocations: revocations.map(list => list.bytes) };
  }

  function intelFor(theirs: Digest, now: UnixMs): Pick<ExchangeParts, 'certificates' | 'envelopes'> {
    const queues: { readonly kid: KeyId; readonly lacking: IterableIterator<Uint8Array> }[] = [];
    for (const kid of book.speakers()) {
      const heard = theirs.speakers.get(kid);
      if (heard === undefined && theirs.partial) continue;
      queues.push({ kid, lacking: lackingOf(kid, heard ?? []) });
    }
    const certificates: Uint8Array[] = [];
    const envelopes: Uint8Array[] = [];
    const introduced = new Set<KeyId>();
    let left = limits.repairBytes;
    for (let round = queues; round.length > 0; ) {
      const next: typeof queues = [];
      for (const queue of round) {
        const { value, done } = queue.lacking.next();
        if (done) continue;
        if (!introduced.has(queue.kid)) {
          introduced.add(queue.kid);
          const certificate = roster.node(queue.kid, now);
          if (certificate.ok) {
            certificates.push(certificate.value.bytes);
            left -= certificate.value.bytes.length + SECTION_HEAD_BYTES;
          }
        }
        left -= value.length + SECTION_HEAD_BYTES;
        if (left < 0) return { certificates, envelopes };
        envelopes.push(value);
        next.push(queue);
      }
      round = next;
    }
    return { certificates, envelopes };
  }

  function* lackingOf(kid: KeyId, heard: readonly EpochNumbers[]): IterableIterator<Uint8Array> {
    const byEpoch = new Map(heard.map(({ epoch, ranges }) => [epoch, ranges]));
    for (const { epoch, seq, bytes } of book.latestOf(kid)) if (!isIn(byEpoch.get(epoch) ?? [], seq)) yield bytes;
  }

  function lackedBy(theirs: ExchangeParts, now: UnixMs): Pick<ExchangeParts, 'certificates' | 'revocations' | 'envelopes'> {
    const trust = theirs.holdings === null ? { certificates: [], revocations: [] } : trustFor(theirs.holdings);
    const intel = theirs.digest === null ? { certificates: [], envelopes: [] } : intelFor(theirs.digest, now);
    return { certificates: [...trust.certificates, ...intel.certificates], revocations: trust.revocations, envelopes: intel.envelopes };
  }

  return {
    introduction: () => encodeExchange({ digest: digest(), holdings: holdings(), envelopes: [], ...trustFor(NOTHING_HELD) }),
    reply: (theirs, now) => encodeExchange({ digest: digest(), holdings: holdings(), ...lackedBy(theirs, now) }),
    state(join, now) {
      const base = { digest: digest(), holdings: holdings(), certificates: [], revocations: [], envelopes: [] };
      if (!join) return encodeExchange(base);
      const trust = trustFor(NOTHING_HELD);
      const intel = intelFor(NOBODY_HEARD, now);
      return encodeExchange({ ...base, ...trust, ...intel, certificates: [...trust.certificates, ...intel.certificates] });
    },
    answer(theirs, now) {
      const lacked = lackedBy(theirs, now);
      if (lacked.certificates.length + lacked.revocations.length + lacked.envelopes.length === 0) return null;
      return encodeExchange({ digest: null, holdings: null, ...lacked });
    },
  };
}

function isIn(ranges: readonly Range[], seq: number): boolean {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ranges[middle]?.[1] ?? 0) < seq) low = middle + 1;
    else high = middle;
  }
  return (ranges[low]?.[0] ?? Number.POSITIVE_INFINITY) <= seq;
}
