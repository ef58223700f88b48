/** Why a source is acted on: a closed list of bits. Names and bit numbers are for good; new ones go at the end. */
export const REASONS = [
  { bit: 0, name: 'syn-scan', techniques: ['T1046', 'T1595.001'] },
  { bit: 1, name: 'slow-scan', techniques: ['T1046', 'T1595.001'] },
  { bit: 2, name: 'flag-scan', techniques: ['T1046'] },
  { bit: 3, name: 'udp-scan', techniques: ['T1046'] },
  { bit: 4, name: 'flood', techniques: ['T1498', 'T1499'] },
  { bit: 5, name: 'malformed', techniques: ['T1595'] },
  { bit: 6, name: 'trap-touch', techniques: ['T1046', 'T1595'] },
  { bit: 7, name: 'brute-force', techniques: ['T1110.001', 'T1110.003'] },
  { bit: 8, name: 'credential-stuffing', techniques: ['T1110.004'] },
  { bit: 9, name: 'default-credentials', techniques: ['T1078.001', 'T1110'] },
  { bit: 10, name: 'exploit', techniques: ['T1190'] },
  { bit: 11, name: 'vulnerability-scan', techniques: ['T1595.002'] },
  { bit: 12, name: 'obfuscated', techniques: ['T1027'] },
  { bit: 13, name: 'command', techniques: ['T1059'] },
  { bit: 14, name: 'tool-transfer', techniques: ['T1105'] },
  { bit: 15, name: 'dashboard-guessing', techniques: ['T1110'] },
  { bit: 16, name: 'actor', techniques: [] },
  { bit: 17, name: 'order', techniques: [] },
] as const;

export type Reason = (typeof REASONS)[number]['name'];
/** A set of reasons as a 32-bit mask, as the kernel maps hold it. */
export type ReasonMask = number & { readonly __brand: 'ReasonMask' };

const BY_NAME = new Map<string, (typeof REASONS)[number]>(REASONS.map(reason => [reason.name, reason]));

export function reasonMask(reasons: readonly Reason[]): ReasonMask {
  let mask = 0;
  for (const name of reasons) mask |= 1 << (BY_NAME.get(name)?.bit ?? 31);
  return (mask >>> 0) as ReasonMask;
}

/** The reasons of a mask in bit order. Bits that this version does not know are left out. */
export function reasonsOf(mask: number): Reason[] {
  return REASONS.filter(reason => (mask >>> reason.bit) & 1).map(reason => reason.name);
}

export function mergeReasons(one: readonly Reason[], other: readonly Reason[]): Reason[] {
  return reasonsOf(reasonMask(one) | reasonMask(other));
}

/** MITRE ATT&CK technique ids of these reasons, sorted, each once. */
export function techniquesOf(reasons: readonly Reason[]): string[] {
  const ids = new Set<string>();
  for (const name of reasons) for (const id of BY_NAME.get(name)?.techniques ?? []) ids.add(id);
  return [...ids].sort();
}
