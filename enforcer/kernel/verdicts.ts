/** What the packet path decided, by its index in the kernel's `stats` map (bpf/honeymesh_consts.h, enum hm_verdict). */
export const VERDICTS = [
  'pass',
  'pass-allowed',
  'pass-not-ip',
  'drop-ban',
  'drop-prefix',
  'drop-malformed',
  'drop-anomaly',
  'drop-shun',
  'drop-scan',
  'drop-flood',
  'drop-policed',
  'drop-lockdown',
  'drop-udp-excess',
  'drop-egress',
  'drop-confined',
] as const;
export type Verdict = (typeof VERDICTS)[number];

/** Counters behind the verdicts (enum hm_counter). */
export const COUNTERS = [
  'shun-full',
  'events-limited',
  'events-lost',
  'new-sources',
  'guarded',
  'steered',
  'tracker-full',
  'steered-udp',
  'replies-lost',
] as const;
export type Counter = (typeof COUNTERS)[number];
