/** Many envelopes into few advisories: as many as fit into each, every signer's certificates once. */

import { hexOf } from '@honeymesh/intel/envelope-bytes';
import { ADVISORY_OVERHEAD_BYTES, LONGEST_ADVISORY_BYTES } from '@honeymesh/intel/hub-advisory';
import { sha256 } from './keys.ts';
import type { EnvelopeRef } from './numbers.ts';

/** An envelope on its way out. */
export interface Outgoing {
  readonly ref: EnvelopeRef;
  readonly envelope: Uint8Array;
  /** Its registrar's certificate, then its own. */
  readonly certificates: readonly Uint8Array[];
  readonly expiresAt: number;
}

export interface Parcel {
  readonly certificates: readonly Uint8Array[];
  readonly envelopes: readonly Uint8Array[];
  readonly refs: readonly EnvelopeRef[];
  /** When the last of it ends, ms: nobody asks for it later. */
  readonly expiresAt: number;
}

const LENGTH_BYTES = 2;

/** In the order given; the same input makes the same parcels. */
export function coalesce(outgoing: readonly Outgoing[], longestBytes: number = LONGEST_ADVISORY_BYTES): readonly Parcel[] {
  const parcels: Parcel[] = [];
  let open = emptyDraft();
  for (const one of outgoing) {
    const bytes = bytesWith(open, one);
    if (open.refs.length > 0 && bytes > longestBytes) {
      parcels.push(closed(open));
      open = emptyDraft();
    }
    add(open, one);
  }
  if (open.refs.length > 0) parcels.push(closed(open));
  return parcels;
}

interface Draft {
  readonly certificates: Map<string, Uint8Array>;
  readonly envelopes: Uint8Array[];
  readonly refs: EnvelopeRef[];
  bytes: number;
  expiresAt: number;
}

const emptyDraft = (): Draft => ({ certificates: new Map(), envelopes: [], refs: [], bytes: ADVISORY_OVERHEAD_BYTES, expiresAt: 0 });
const closed = ({ certificates, envelopes, refs, expiresAt }: Draft): Parcel => ({ certificates: [...certificates.values()], envelopes, refs, expiresAt });

const nameOf = (certificate: Uint8Array): string => hexOf(sha256(certificate));

function bytesWith({ certificates, bytes }: Draft, one: Outgoing): number {
  const fresh = one.certificates.filter(each => !certificates.has(nameOf(each)));
  return bytes + LENGTH_BYTES + one.envelope.length + fresh.reduce((sum, each) => sum + LENGTH_BYTES + each.length, 0);
}

function add(draft: Draft, one: Outgoing): void {
  draft.bytes = bytesWith(draft, one);
  for (const each of one.certificates) draft.certificates.set(nameOf(each), each);
  draft.envelopes.push(one.envelope);
  draft.refs.push(one.ref);
  draft.expiresAt = Math.max(draft.expiresAt, one.expiresAt);
}
