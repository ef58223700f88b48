/** Enrolment by claim: a host proves with a one-time code that the operator wants it, at a site, so many times. The template's parameters are the host's. */
import { isNodeName, isSiteName } from '@honeymesh/intel/certificates';
import { hexOf, latin1Bytes } from '@honeymesh/intel/envelope-bytes';
import { object, type Shape, text } from '@honeymesh/intel/json-shape';
import type { UnixMs } from '@honeymesh/intel/time';
import { sha256 } from './keys.ts';

export interface Claim {
  readonly thing: string;
  readonly site: string;
  readonly kid: string;
  readonly code: string;
}

const parameters = object({
  ThingName: text(63, /^.+$/),
  Site: text(31, /^.+$/),
  Kid: text(16, /^[0-9a-f]{16}$/),
  /** 128 bits, base64url. */
  Code: text(22, /^[A-Za-z0-9_-]{22}$/),
});

/** The event of a pre-provisioning hook: of what IoT adds to the parameters nothing is used. */
export const claimShape: Shape<Claim> = event => {
  if (typeof event !== 'object' || event === null) return undefined;
  const { parameters: said } = event as Record<string, unknown>;
  if (typeof said !== 'object' || said === null) return undefined;
  // IoT adds parameters of its own, and what else a host says the overrides replace.
  const { ThingName, Site, Kid, Code } = said as Record<string, unknown>;
  const given = parameters({ ThingName, Site, Kid, Code });
  if (given === undefined || !isNodeName(given.ThingName) || !isSiteName(given.Site)) return undefined;
  return { thing: given.ThingName, site: given.Site, kid: given.Kid, code: given.Code };
};

/** Only the hash of a code is kept. */
export const codeName = (code: string): string => hexOf(sha256(latin1Bytes(`HoneyMesh enrolment code\0${code}`)));

export interface EnrolmentCode {
  readonly site: string;
  /** Hosts that it still lets in. */
  readonly left: number;
  readonly expiresAt: number;
}

export type ClaimRefusal = 'unknown-code' | 'other-site' | 'used-up' | 'thing-exists';

export function claimRefusal(claim: Claim, code: EnrolmentCode | null, thingExists: boolean): ClaimRefusal | null {
  if (code === null) return 'unknown-code';
  if (code.site !== claim.site) return 'other-site';
  if (code.left < 1) return 'used-up';
  // Else whoever has a code takes the place of a host that is there.
  return thingExists ? 'thing-exists' : null;
}

/** What the template writes beside the parameters: such a host's advice has no vote for a day. */
export const claimOverrides = (claim: Claim, now: UnixMs): Readonly<Record<string, string>> => ({
  ThingName: claim.thing,
  Site: claim.site,
  Kid: claim.kid,
  EnrolledBy: 'claim',
  EnrolledAt: String(now),
});
