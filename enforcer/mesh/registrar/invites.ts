/**
 * The invitations of a registrar: of each secret only a hash is kept, each works so many times (once, as a rule) and for so long. Ended ones are remembered
 * for a day, so that whoever comes with one is told why it is refused. Pure: the caller owns clock and disk.
 */
import { hash } from 'node:crypto';
import { hexOf, latin1Bytes, writeBytes } from '@honeymesh/intel/envelope-bytes';
import { DAY_MS, HOUR_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';

export interface Invite {
  /** The first eight hex digits of the secret's hash. */
  readonly id: string;
  /** In hex. */
  readonly secretHash: string;
  readonly site: string;
  readonly createdAt: UnixMs;
  readonly expiresAt: UnixMs;
  readonly uses: number;
  /** Who came with it: key ids of hosts. */
  readonly usedBy: readonly string[];
  readonly cancelled: boolean;
}

export type InviteRefusal = 'unknown-token' | 'expired-token' | 'used-token' | 'cancelled-token';

export interface Invites {
  /** Null: MOST_OPEN are open already. */
  open(order: { readonly secret: Uint8Array; readonly site: string; readonly ttlMs: number; readonly uses: number }, now: UnixMs): Invite | null;
  /** What holds for this secret; takes nothing. */
  look(secret: Uint8Array, now: UnixMs): Invite | InviteRefusal;
  /** A used one, for the same host again whose answer was lost on the way: until it expires. */
  reuse(secret: Uint8Array, by: string, now: UnixMs): Invite | null;
  /** One use of it is gone. On disk before anything is handed out for it. */
  use(id: string, by: string): void;
  /** Of an open one; false: there is none of this id. */
  cancel(id: string, now: UnixMs): boolean;
  openOnes(now: UnixMs): readonly Invite[];
  /** All that is remembered, to be written down. */
  kept(): readonly Invite[];
}

export const MOST_OPEN = 64;
export const LONGEST_TTL_MS = HOUR_MS;
export const MOST_USES = 64;
/** Open and ended ones together. */
export const MOST_REMEMBERED = 512;
const REMEMBERED_MS = DAY_MS;

const DOMAIN = latin1Bytes('HoneyMesh join secret\0');

/** The secret has 128 bits: a plain hash is as good as a slow one, and a look-up by it tells nothing by its time. */
export const secretHashOf = (secret: Uint8Array): string => hexOf(hash('sha256', writeBytes().bytes(DOMAIN).bytes(secret).take(), 'buffer'));

const isOpen = (invite: Invite, now: UnixMs): boolean => !invite.cancelled && invite.usedBy.length < invite.uses && invite.expiresAt > now;

export function createInvites(kept: readonly Invite[]): Invites {
  const invites = new Map(kept.map(invite => [invite.secretHash, invite]));
  const byId = (id: string): Invite | undefined => [...invites.values()].find(invite => invite.id === id);

  function forgetOld(now: UnixMs): void {
    for (const [secretHash, invite] of invites) if (invite.expiresAt + REMEMBERED_MS <= now) invites.delete(secretHash);
    for (const [secretHash, invite] of invites) {
      if (invites.size < MOST_REMEMBERED) break;
      if (!isOpen(invite, now)) invites.delete(secretHash);
    }
  }

  return {
    open({ secret, site, ttlMs, uses }, now) {
      forgetOld(now);
      if ([...invites.values()].filter(invite => isOpen(invite, now)).length >= MOST_OPEN) return null;
      const secretHash = secretHashOf(secret);
      const expiresAt = unixMs(now + Math.min(ttlMs, LONGEST_TTL_MS));
      const invite = { id: secretHash.slice(0, 8), secretHash, site, createdAt: now, expiresAt, uses, usedBy: [], cancelled: false };
      invites.set(secretHash, invite);
      return invite;
    },
    look(secret, now) {
      const invite = invites.get(secretHashOf(secret));
      if (invite === undefined) return 'unknown-token';
      if (invite.cancelled) return 'cancelled-token';
      if (invite.usedBy.length >= invite.uses) return 'used-token';
      return invite.expiresAt <= now ? 'expired-token' : invite;
    },
    reuse(secret, by, now) {
      const invite = invites.get(secretHashOf(secret));
      return invite?.usedBy.includes(by) === true && !invite.cancelled && invite.expiresAt > now ? invite : null;
    },
    use(id, by) {
      const invite = byId(id);
      if (invite !== undefined) invites.set(invite.secretHash, { ...invite, usedBy: [...invite.usedBy, by] });
    },
    cancel(id, now) {
      const invite = byId(id);
      if (invite === undefined || !isOpen(invite, now)) return false;
      invites.set(invite.secretHash, { ...invite, cancelled: true });
      return true;
    },
    openOnes: now => [...invites.values()].filter(invite => isOpen(invite, now)),
    kept: () => [...invites.values()],
  };
}
