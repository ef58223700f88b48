/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What the kernel and user space both read. Sizes are asserted here, offsets against BTF in test/kernel/layout.test.ts. */
#ifndef HONEYMESH_STRUCTS_H
#define HONEYMESH_STRUCTS_H

#include <linux/types.h>

#include "honeymesh_consts.h"

/* Value of ban4, ban6, ban6x.
 * drops: the first one is counted atomically, as it is told, the others plainly: where two CPUs drop the same source at the same moment,
 * one of the two may go uncounted here. The totals are in stats, a row for each CPU, and exact. */
struct hm_ban {
	__u64 expires_ns; /* CLOCK_MONOTONIC; 0: no end */
	__u64 drops;
	__u32 reasons;
	__u8 tier;
	__u8 flags; /* enum hm_ban_flag */
	__u16 pad;
};
_Static_assert(sizeof(struct hm_ban) == 24, "hm_ban");

struct hm_address6 {
	__u8 bytes[16]; /* network order */
};

/* Key of pfx4, pfx6 (BPF_MAP_TYPE_LPM_TRIE). */
struct hm_prefix4 {
	__u32 bits;
	__u8 bytes[4];
};
struct hm_prefix6 {
	__u32 bits;
	__u8 bytes[16];
};

/* Value of pfx4, pfx6. drops: counted plainly, as in hm_ban; in pfx4 the value lies at a multiple of 4 bytes only, where not every CPU has
 * atomic operations on 8. */
struct hm_rule {
	__u64 expires_ns; /* 0: no end */
	__u64 drops;
	__u32 reasons;
	__u8 action; /* enum hm_rule_action */
	__u8 tier;
	__u16 pad;
};
_Static_assert(sizeof(struct hm_rule) == 24, "hm_rule");

/* Value of trackers and watch, by source key.
 * windows: start in ms << 24 | count (saturating). One word each, so that two CPUs cannot tear them.
 * slots: time in ms << 20 | probe kind << 16 | port; 0: never used.
 * What nearly every SYN reads lies together, the windows and the first slots behind the key. */
struct hm_tracker {
	__u64 windows[HM_WINDOWS];
	__u64 slots[HM_SLOTS];
};
_Static_assert(sizeof(struct hm_tracker) == 288, "hm_tracker");

/* Value of shuns, by source key. */
struct hm_shun {
	__u64 expires_ns;
	__u64 drops;
	__u32 reasons;
	__u16 repeats; /* how often it was prolonged while it was in the map */
	__u8 kinds;    /* enum hm_shun_kind */
	__u8 pad;
};
_Static_assert(sizeof(struct hm_shun) == 24, "hm_shun");

/* Key of flows_out; the value is the time of the last packet out, ns. For TCP (ident) both ports are 0. */
struct hm_flow {
	__u8 remote[16]; /* IPv4 as ::ffff:a.b.c.d */
	__u16 remote_port;
	__u16 local_port; /* both in host order */
	__u8 protocol;
	__u8 pad[3];
};
_Static_assert(sizeof(struct hm_flow) == 24, "hm_flow");

/* Key of udp_replies; the value is the port that was asked, host order. */
struct hm_udp_peer {
	__u8 remote[16]; /* IPv4 as ::ffff:a.b.c.d */
	__u16 remote_port; /* host order */
	__u16 pad;
};
_Static_assert(sizeof(struct hm_udp_peer) == 20, "hm_udp_peer");

/* One record of events_hi and events_lo. */
struct hm_event {
	__u64 at_ns; /* CLOCK_MONOTONIC (coarse) */
	__u8 source[16]; /* IPv4 as ::ffff:a.b.c.d */
	__u32 reasons;
	__u32 ifindex;
	__u16 port; /* host order; 0: none */
	__u8 kind;  /* enum hm_event_kind */
	__u8 protocol; /* IP protocol number */
	__u8 fast_ports; /* distinct ports in the fast window, this one included */
	__u8 slow_ports;
	__u8 proven;
	__u8 verdict; /* enum hm_verdict of the packet that made the event */
	__u32 rate; /* packets in the running second, for a flood */
	__u32 shun_ms; /* how long the shun lasts, 0: none */
	__u64 pad[2];
};
_Static_assert(sizeof(struct hm_event) == 64, "hm_event");

/* The one entry of config: user space writes it whole. */
struct hm_config {
	__u64 paused_until_ns;
	__u64 netns_cookie;
	__u64 fast_window_ns;
	__u64 slow_window_ns;
	__u64 shun_ttl_ns;
	__u64 shun_ttl_max_ns;
	__u64 proven_ttl_ns;
	__u64 flow_ttl_ns;
	__u64 grace_ns;
	__u64 heartbeat_ttl_ns;
	__u32 flags; /* enum hm_config_flag */
	__u32 mode;  /* enum hm_mode */
	__u32 fast_ports;
	__u32 slow_ports;
	__u32 syn_per_second;
	__u32 udp_per_second;
	__u32 echo_per_second;
	__u32 open_udp_per_second;
	__u32 new_sources_per_second;
	__u32 events_per_second;
	__u32 trap_mark;
	__u16 trap_port; /* host order; 0: no trap listens */
	__u16 ephemeral_low;
	__u16 ephemeral_high;
	__u16 layout_version;
	__be32 own4[HM_OWN4]; /* the first IPv4 addresses of own, for a quick look; 0: unused */
	__u16 trap_udp_port; /* host order; 0: no trap takes datagrams */
	__u16 pad;
};
_Static_assert(sizeof(struct hm_config) == 152, "hm_config");

/* What all CPUs share about shuns, floods and alarms: the entry of guard.
 * shuns_until_ns: no shun lives then or later. Raised before the shun that needs it, by up to SHUNS_UNTIL_STEP_NS too far, and never lowered.
 * 0: nobody has kept it since the first shun, so it says nothing; the loader writes 1 where it makes the map of shuns.
 * Nearly every packet reads it: hence on a cache line without the words that are written often. */
struct hm_guard {
	__u64 shuns_until_ns;
	__u64 pad[7];
	__u64 new_sources; /* window word as in hm_tracker */
	__u64 map_full_said_ns;
	__u64 guard_said_ns;
};
_Static_assert(sizeof(struct hm_guard) == 88, "hm_guard");

/* A row of stats (per CPU). */
struct hm_count {
	__u64 packets;
	__u64 bytes;
};

#endif
