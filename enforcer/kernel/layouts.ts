/**
 * What bpf/honeymesh_consts.h and bpf/honeymesh_structs.h say, for this side: a test compares the numbers with the headers and the layouts with
 * the object's BTF. All hosts that we run on are little-endian.
 */

export const LAYOUT_VERSION = 2;

export const SLOTS = 32;
export const WINDOWS = 4;
/** Bits of the hash by which `ban4_hint` knows an address. */
export const BAN_HINT_BITS = 18;
/** Own IPv4 addresses that the kernel compares before it asks the map `own`. */
export const OWN4 = 4;
export const BANKS = ['enforced', 'would', 'paused'] as const;
/** Rows that `stats` has room for after the verdicts. */
export const COUNTER_ROWS = 16;

/** hm_ban.flags */
export const BAN_FLAG = { confined: 1 } as const;
export const RULE_ACTION = { deny: 0, allow: 1 } as const;
export const SHUN_KINDS = ['tcp', 'udp', 'echo'] as const; // by bit
export const PROBES = ['syn', 'flag', 'malformed', 'udp'] as const; // by number
export const EVENT_KINDS = { touch: 1, suspect: 2, scan: 3, flood: 4, 'ban-hit': 5, 'map-full': 6, guard: 7 } as const;
export const CONFIG_FLAG = { hasBan6x: 1, hasPfx6: 2, hasWatch: 4, egressDrop: 8, hasBanHint: 16 } as const;

export const SERVED_UDP = 65_536;
/** Words of `trap_ports`; those of UDP are the upper half. */
export const TRAP_WORDS = 2_048;
export const SERVED_ALWAYS = 0xffff_ffff_ffff_ffffn;

type Field = readonly [offset: number, size: number];
interface Layout {
  readonly size: number;
  readonly fields: Readonly<Record<string, Field>>;
}

export const LAYOUTS = {
  hm_ban: {
    size: 24,
    fields: { expires_ns: [0, 8], drops: [8, 8], reasons: [16, 4], tier: [20, 1], flags: [21, 1], pad: [22, 2] },
  },
  hm_address6: { size: 16, fields: { bytes: [0, 16] } },
  hm_prefix4: { size: 8, fields: { bits: [0, 4], bytes: [4, 4] } },
  hm_prefix6: { size: 20, fields: { bits: [0, 4], bytes: [4, 16] } },
  hm_rule: {
    size: 24,
    fields: { expires_ns: [0, 8], drops: [8, 8], reasons: [16, 4], action: [20, 1], tier: [21, 1], pad: [22, 2] },
  },
  hm_tracker: { size: 288, fields: { windows: [0, 8 * WINDOWS], slots: [8 * WINDOWS, 8 * SLOTS] } },
  hm_shun: {
    size: 24,
    fields: { expires_ns: [0, 8], drops: [8, 8], reasons: [16, 4], repeats: [20, 2], kinds: [22, 1], pad: [23, 1] },
  },
  hm_flow: { size: 24, fields: { remote: [0, 16], remote_port: [16, 2], local_port: [18, 2], protocol: [20, 1], pad: [21, 3] } },
  hm_udp_peer: { size: 20, fields: { remote: [0, 16], remote_port: [16, 2], pad: [18, 2] } },
  hm_event: {
    size: 64,
    fields: {
      at_ns: [0, 8],
      source: [8, 16],
      reasons: [24, 4],
      ifindex: [28, 4],
      port: [32, 2],
      kind: [34, 1],
      protocol: [35, 1],
      fast_ports: [36, 1],
      slow_ports: [37, 1],
      proven: [38, 1],
      verdict: [39, 1],
      rate: [40, 4],
      shun_ms: [44, 4],
      pad: [48, 16],
    },
  },
  hm_config: {
    size: 152,
    fields: {
      paused_until_ns: [0, 8],
      netns_cookie: [8, 8],
      fast_window_ns: [16, 8],
      slow_window_ns: [24, 8],
      shun_ttl_ns: [32, 8],
      shun_ttl_max_ns: [40, 8],
      proven_ttl_ns: [48, 8],
      flow_ttl_ns: [56, 8],
      grace_ns: [64, 8],
      heartbeat_ttl_ns: [72, 8],
      flags: [80, 4],
      mode: [84, 4],
      fast_ports: [88, 4],
      slow_ports: [92, 4],
      syn_per_second: [96, 4],
      udp_per_second: [100, 4],
      echo_per_second: [104, 4],
      open_udp_per_second: [108, 4],
      new_sources_per_second: [112, 4],
      events_per_second: [116, 4],
      trap_mark: [120, 4],
      trap_port: [124, 2],
      ephemeral_low: [126, 2],
      ephemeral_high: [128, 2],
      layout_version: [130, 2],
      own4: [132, 4 * OWN4],
      trap_udp_port: [148, 2],
      pad: [150, 2],
    },
  },
  hm_guard: {
    size: 88,
    fields: { shuns_until_ns: [0, 8], pad: [8, 56], new_sources: [64, 8], map_full_said_ns: [72, 8], guard_said_ns: [80, 8] },
  },
  hm_count: { size: 16, fields: { packets: [0, 8], bytes: [8, 8] } },
} as const satisfies Readonly<Record<string, Layout>>;

/** Maps of the object by the size of their keys and values: what a pinned map must have to be used. */
export const MAPS = {
  ban4: { keySize: 4, valueSize: LAYOUTS.hm_ban.size },
  ban4_hint: { keySize: 4, valueSize: 8 },
  ban6: { keySize: 8, valueSize: LAYOUTS.hm_ban.size },
  ban6x: { keySize: 16, valueSize: LAYOUTS.hm_ban.size },
  pfx4: { keySize: LAYOUTS.hm_prefix4.size, valueSize: LAYOUTS.hm_rule.size },
  pfx6: { keySize: LAYOUTS.hm_prefix6.size, valueSize: LAYOUTS.hm_rule.size },
  hint: { keySize: 4, valueSize: 8 },
  own: { keySize: 16, valueSize: 1 },
  served: { keySize: 4, valueSize: 8 },
  trackers: { keySize: 8, valueSize: LAYOUTS.hm_tracker.size },
  watch: { keySize: 8, valueSize: LAYOUTS.hm_tracker.size },
  shuns: { keySize: 8, valueSize: LAYOUTS.hm_shun.size },
  proven: { keySize: 8, valueSize: 8 },
  flows_out: { keySize: LAYOUTS.hm_flow.size, valueSize: 8 },
  trap_ports: { keySize: 4, valueSize: 8 },
  udp_replies: { keySize: LAYOUTS.hm_udp_peer.size, valueSize: 2 },
  trap_listener: { keySize: 4, valueSize: 8 },
  heartbeat: { keySize: 4, valueSize: 8 },
  config: { keySize: 4, valueSize: LAYOUTS.hm_config.size },
  guard: { keySize: 4, valueSize: LAYOUTS.hm_guard.size },
  stats: { keySize: 4, valueSize: LAYOUTS.hm_count.size },
  events_hi: { keySize: 0, valueSize: 0 },
  events_lo: { keySize: 0, valueSize: 0 },
} as const;
export type MapName = keyof typeof MAPS;
export const MAP_NAMES = Object.keys(MAPS) as readonly MapName[];
