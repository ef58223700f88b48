/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Numbers that user space shares: enforcer/intel and enforcer/kernel hold the same tables, and a test compares them. */
#ifndef HONEYMESH_CONSTS_H
#define HONEYMESH_CONSTS_H

/* Bumped when a struct below changes its layout: a pinned map of another version is refused or migrated, never reused. */
#define HM_LAYOUT_VERSION 2

/* Map sizes; `-D` overrides them at build time, the loader at load time (bans.capacity). */
#ifndef HM_BANS
#define HM_BANS 65536
#endif
#ifndef HM_BANS_EXACT6
#define HM_BANS_EXACT6 16384
#endif
#ifndef HM_RULES
#define HM_RULES 1024
#endif
#ifndef HM_TRACKERS
#define HM_TRACKERS 65536
#endif
#ifndef HM_WATCHED
#define HM_WATCHED 8192
#endif
#ifndef HM_SHUNS
#define HM_SHUNS 32768
#endif
#ifndef HM_PROVEN
#define HM_PROVEN 65536
#endif
#ifndef HM_FLOWS_OUT
#define HM_FLOWS_OUT 16384
#endif
#ifndef HM_UDP_REPLIES
#define HM_UDP_REPLIES 16384
#endif
#define HM_BAN_HINT_BITS 18 /* of the hash of an address: four times as many as bans by default */
#define HM_OWN 1024
#define HM_OWN4 4 /* own IPv4 addresses that are compared before the map is asked */
#define HM_EVENTS_HI_BYTES (256 * 1024)
#define HM_EVENTS_LO_BYTES (1024 * 1024)

/* Bounds of the parser. */
#define HM_VLAN_TAGS_MAX 4
#define HM_EXT_HEADERS_MAX 10 /* RFC 8200 sets none; more than this is an evasion */

#define HM_SLOTS 32 /* distinct ports that a tracker remembers exactly; thresholds are at most this */
#define HM_SUSPECT_PORTS 3
#define HM_GUARD_SAMPLE 16
#define HM_SECOND_NS 1000000000ull
#define HM_FORWARDED_NS (9000 * HM_SECOND_NS) /* silence of a forwarded connection that may go on: keepalives come every two hours */

/* enforcer/intel/reasons.ts */
enum hm_reason {
	HM_REASON_SYN_SCAN = 1u << 0,
	HM_REASON_SLOW_SCAN = 1u << 1,
	HM_REASON_FLAG_SCAN = 1u << 2,
	HM_REASON_UDP_SCAN = 1u << 3,
	HM_REASON_FLOOD = 1u << 4,
	HM_REASON_MALFORMED = 1u << 5,
};

/* enforcer/intel/evidence.ts */
enum hm_tier { HM_TIER_E0 = 0, HM_TIER_E1 = 1, HM_TIER_E2 = 2, HM_TIER_OPERATOR = 3 };
enum hm_mode { HM_MODE_OBSERVE = 0, HM_MODE_ENFORCE = 1, HM_MODE_LOCKDOWN = 2 };

/* enforcer/kernel/verdicts.ts: index into `stats`, in this order for good; new ones at the end. */
enum hm_verdict {
	HM_PASS = 0,
	HM_PASS_ALLOWED = 1,
	HM_PASS_NOT_IP = 2,
	HM_DROP_BAN = 3,
	HM_DROP_PREFIX = 4,
	HM_DROP_MALFORMED = 5,
	HM_DROP_ANOMALY = 6,
	HM_DROP_SHUN = 7,
	HM_DROP_SCAN = 8,
	HM_DROP_FLOOD = 9,
	HM_DROP_POLICED = 10,
	HM_DROP_LOCKDOWN = 11,
	HM_DROP_UDP_EXCESS = 12,
	HM_DROP_EGRESS = 13,
	HM_DROP_CONFINED = 14,
	HM_VERDICTS = 15,
};

/* Counters that are not verdicts: they follow the verdicts in `stats`. */
enum hm_counter {
	HM_COUNT_SHUN_FULL = 0,
	HM_COUNT_EVENTS_LIMITED = 1, /* over a CPU's event budget */
	HM_COUNT_EVENTS_LOST = 2,    /* ring buffer full */
	HM_COUNT_NEW_SOURCES = 3,
	HM_COUNT_GUARDED = 4,        /* judged without a tracker: the flood guard was up */
	HM_COUNT_STEERED = 5,
	HM_COUNT_TRACKER_FULL = 6,   /* the LRU had no room for an entry */
	HM_COUNT_STEERED_UDP = 7,
	HM_COUNT_REPLIES_LOST = 8,   /* of traps, over UDP: nobody knew the port that they answer for */
	HM_COUNTERS = 16,
};

/* What a stats row was counted as: enforced, or only decided. */
enum hm_stats_bank { HM_BANK_ENFORCED = 0, HM_BANK_WOULD = 1, HM_BANK_PAUSED = 2, HM_BANKS = 3 };
#define HM_STATS (HM_VERDICTS * HM_BANKS + HM_COUNTERS)

/* hm_ban.flags. CONFINED: only what leads to a trap passes. */
enum hm_ban_flag { HM_BAN_CONFINED = 1u << 0 };

enum hm_rule_action { HM_RULE_DENY = 0, HM_RULE_ALLOW = 1 };

enum hm_shun_kind { HM_SHUN_TCP = 1u << 0, HM_SHUN_UDP = 1u << 1, HM_SHUN_ECHO = 1u << 2 };

/* The kind of a probe, in a tracker's slot. */
enum hm_probe { HM_PROBE_SYN = 0, HM_PROBE_FLAG = 1, HM_PROBE_MALFORMED = 2, HM_PROBE_UDP = 3 };

/* Rate windows of a tracker. */
enum hm_window { HM_WINDOW_SYN = 0, HM_WINDOW_UDP_CLOSED = 1, HM_WINDOW_UDP_OPEN = 2, HM_WINDOW_ECHO = 3, HM_WINDOWS = 4 };

enum hm_event_kind {
	HM_EVENT_TOUCH = 1,
	HM_EVENT_SUSPECT = 2,
	HM_EVENT_SCAN = 3,
	HM_EVENT_FLOOD = 4,
	HM_EVENT_BAN_HIT = 5,
	HM_EVENT_MAP_FULL = 6,
	HM_EVENT_GUARD = 7,
};

/* hm_config.flags */
enum hm_config_flag {
	HM_FLAG_HAS_BAN6X = 1u << 0,
	HM_FLAG_HAS_PFX6 = 1u << 1,
	HM_FLAG_HAS_WATCH = 1u << 2,
	HM_FLAG_EGRESS_DROP = 1u << 3,
	HM_FLAG_HAS_BAN_HINT = 1u << 4,
};

#endif
