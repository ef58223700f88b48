/**
 * What of the base protocol's claims is believed. Alive can be signed (in its meta); suspect and dead cannot, so a foreign word of death is a suspicion
 * until enough signed accusers agree, and a goodbye counts only with its speaker's signature. Pure questions, for the member's hooks.
 */

import type { KeyId, Signatures } from '@honeymesh/intel/envelope';
import { PLAUSIBLE_LEAD } from '@honeymesh/intel/incarnations';
import type { UnixMs } from '@honeymesh/intel/time';
import type { Accusations } from './accusations.ts';
import type { NodeCertificate } from './certificates.ts';
import { isMetaOf, isSignedMeta, readMeta, type SelfClaim } from './meta.ts';
import type { Roster, RosterFailure } from './roster.ts';

export const SIGNATURE_MODES = ['off', 'preferred', 'required'] as const;
/** `preferred`: unsigned members (Go nodes) are members and nothing more. */
export type SignatureMode = (typeof SIGNATURE_MODES)[number];

export interface AliveClaim extends SelfClaim {
  readonly meta: Uint8Array;
}

export type AliveRefusal = 'unsigned' | 'malformed-meta' | 'bad-meta-signature' | 'name-is-certified' | 'old-epoch' | RosterFailure;
export type AliveVerdict = { readonly admitted: true; readonly certificate: NodeCertificate | null } | { readonly admitted: false; readonly why: AliveRefusal };

/** A foreign suspect or dead; `from` equal to `node` is a goodbye. */
export interface ForeignAccusation {
  readonly kind: 'suspect' | 'dead';
  readonly node: string;
  readonly from: string;
  readonly incarnation: number;
}

export type AccusationVerdict = 'accept' | 'as-suspect' | 'refuse';

export interface ClaimsOptions {
  readonly mode: SignatureMode;
  readonly clusterId: Uint8Array;
  /** Distinct signed accusers that make a foreign dead believed at once. */
  readonly accusers: number;
}

export interface Claims {
  alive(claim: AliveClaim, now: UnixMs): AliveVerdict;
  accusation(claim: ForeignAccusation, now: UnixMs): AccusationVerdict;
  /** Whether HM1 bytes go to this member, and whether it counts in the roster of signers. */
  isCertified(node: string, now: UnixMs): boolean;
  /** The highest incarnation that this member has signed, or null. */
  signedIncarnation(node: string): number | null;
  /** Forgets the incarnations of names that are certified no more. */
  prune(): void;
}

export const ACCUSERS = 2;

export function createClaims(
  options: ClaimsOptions,
  { roster, accusations, signatures }: { readonly roster: Roster; readonly accusations: Accusations; readonly signatures: Signatures },
): Claims {
  const incarnations = new Map<string, { readonly kid: KeyId; readonly incarnation: number; readonly epoch: number }>();

  const refused = (why: AliveRefusal): AliveVerdict => ({ admitted: false, why });

  function unsigned(node: string): AliveVerdict {
    if (options.mode === 'required') return refused('unsigned');
    // What is signed once is never taken unsigned: else to leave the signature away would be the attack.
    return roster.wasCertified(node) ? refused('name-is-certified') : { admitted: true, certificate: null };
  }

  function alive(claim: AliveClaim, now: UnixMs): AliveVerdict {
    if (options.mode === 'off') return { admitted: true, certificate: null };
    if (!isSignedMeta(claim.meta)) return unsigned(claim.node);
    const read = readMeta(claim.meta, claim.node, options.clusterId);
    if (!read.ok) return refused('malformed-meta');
    const { certificate, epoch } = read.value;
    const learnt = roster.learn(certificate, now);
    if (!learnt.ok) return refused(learnt.why);
    if (!isMetaOf(claim.meta, certificate, claim, signatures)) return refused('bad-meta-signature');
    const last = incarnations.get(claim.node);
    // Set up anew, with a new key, a host counts from the beginning.
    const known = last?.kid === certificate.kid ? last : undefined;
    // Both counters are kept over restarts: to go back in one and forth in the other is a replay or a broken host.
    if (known !== undefined && claim.incarnation > known.incarnation && epoch < known.epoch) return refused('old-epoch');
    if (known === undefined || claim.incarnation > known.incarnation) {
      incarnations.set(claim.node, { kid: certificate.kid, incarnation: claim.incarnation, epoch: Math.max(epoch, known?.epoch ?? 0) });
    }
    return { admitted: true, certificate };
  }

  const isCertified = (node: string, now: UnixMs): boolean => {
    const certificate = roster.named(node);
    return options.mode !== 'off' && certificate !== null && roster.node(certificate.kid, now).ok;
  };

  return {
    alive,
    accusation({ kind, node, from, incarnation }, now) {
      if (options.mode === 'off') return 'accept';
      const signed = incarnations.get(node)?.incarnation;
      // Nobody but the accused raises its incarnation: an accusation above is made up, and refuting it would only serve who made it up.
      if (signed !== undefined && incarnation > signed) return 'refuse';
      if (kind === 'suspect') return 'accept';
      if (node === from) return !roster.wasCertified(node) || accusations.hasLeft(node, incarnation) ? 'accept' : 'as-suspect';
      return accusations.count(node, { from: incarnation, to: signed ?? incarnation + PLAUSIBLE_LEAD }, now) >= options.accusers ? 'accept' : 'as-suspect';
    },
    isCertified,
    signedIncarnation: node => incarnations.get(node)?.incarnation ?? null,
    prune() {
      for (const node of incarnations.keys()) if (roster.named(node) === null) incarnations.delete(node);
    },
  };
}
