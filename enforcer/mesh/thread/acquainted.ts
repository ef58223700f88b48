/**
 * Members are regular clients of this host: whoever answered a probe of ours holds the group's key and lives where it says, which is as good as a handshake.
 * So a forged scan in a member's name does not cut it off, and in mode lockdown members still reach each other. Whom the operator named in `mesh.join` by its
 * address is one from the start, or two hosts in lockdown would never meet. It is no pass: a member that touches a trap is banned like anybody. Pure.
 */
import { type Address, parseAddress } from '@honeymesh/intel/address';
import { MINUTE_MS, SECOND_MS, type UnixMs } from '@honeymesh/intel/time';
import { readPlace } from '../../config/mesh-fields.ts';
import type { MeshView } from '../port.ts';
import { addressOf } from './surroundings.ts';

export interface Acquainted {
  /** Whose time to be marked as proven (again) has come. */
  due(view: MeshView | null, join: readonly string[], now: UnixMs): readonly Address[];
}

/** Well below any sensible `detect.proven`. */
const AGAIN_MS = 10 * SECOND_MS;
const ANSWERED_MS = MINUTE_MS;

export function createAcquainted(): Acquainted {
  let told = new Map<Address, UnixMs>();
  return {
    due(view, join, now) {
      const due: Address[] = [];
      const standing = new Map<Address, UnixMs>();
      const mark = (address: Address | null): void => {
        if (address === null || standing.has(address)) return;
        const before = told.get(address);
        const waits = before !== undefined && before <= now && now - before < AGAIN_MS;
        standing.set(address, waits ? before : now);
        if (!waits) due.push(address);
      };
      for (const place of join) mark(literal(place));
      for (const peer of view?.peers ?? []) if (peer.answeredAt !== null && now - peer.answeredAt < ANSWERED_MS && peer.state !== 'dead') mark(addressOf(peer));
      told = standing;
      return due;
    },
  };
}

function literal(place: string): Address | null {
  const read = parseAddress(readPlace(place, 1)?.host ?? '');
  return read.ok ? read.value : null;
}
