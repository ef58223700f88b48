/** Incarnations of mesh members: what all who judge a claim about one must agree on. */

/** An accusation may be ahead of what we know of its subject by missed refutations, not by more: else one packet could outbid a member for good. */
export const PLAUSIBLE_LEAD = 2 ** 16;
