/**
 * Evidence tiers and origins. E0 can be spoofed (a lone SYN, UDP, flags), E1 is a completed handshake with a trap, E2 is what
 * the source said in one; an operator's order needs no evidence. Numbers are those of the kernel maps and of the wire.
 */
export const TIERS = ['E0', 'E1', 'E2', 'operator'] as const;
export type Tier = (typeof TIERS)[number];

export const tierNumber = (tier: Tier): number => TIERS.indexOf(tier);
export const tierOf = (number: number): Tier | undefined => TIERS[number];
export const strongerTier = (one: Tier, other: Tier): Tier => (tierNumber(one) >= tierNumber(other) ? one : other);

export const ORIGINS = ['kernel', 'trap', 'peer', 'hub', 'operator'] as const;
export type Origin = (typeof ORIGINS)[number];

export const MODES = ['observe', 'enforce', 'lockdown'] as const;
export type Mode = (typeof MODES)[number];
export const modeNumber = (mode: Mode): number => MODES.indexOf(mode);
