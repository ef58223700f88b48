/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Each map: who writes, who reads, what happens when it is full. All are pinned by their names under the instance's folder. */
#ifndef HONEYMESH_MAPS_H
#define HONEYMESH_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "honeymesh_structs.h"

#define HM_MAP(name, map_type, key_type, value_type, entries, flags)      \
	struct {                                                           \
		__uint(type, map_type);                                    \
		__type(key, key_type);                                     \
		__type(value, value_type);                                 \
		__uint(max_entries, entries);                              \
		__uint(map_flags, flags);                                  \
	} name SEC(".maps")

/* Bans by address. Written by the daemon, read by XDP and tc egress. Full: the ledger evicts by decision, the map never does. */
HM_MAP(ban4, BPF_MAP_TYPE_HASH, __u32, struct hm_ban, HM_BANS, 0);  /* network order, as in the packet */
HM_MAP(ban6, BPF_MAP_TYPE_HASH, __u64, struct hm_ban, HM_BANS, 0);  /* the first 8 bytes of the address, as in the packet */
HM_MAP(ban6x, BPF_MAP_TYPE_HASH, struct hm_address6, struct hm_ban, HM_BANS_EXACT6, 0);

/* A bit for each ban of ban4, by a hash of its address: spares ban4 to nearly everybody else. Written by the daemon before a ban is added
 * and after some were removed; asked only while config flag HAS_BAN_HINT says that every ban has its bit. */
HM_MAP(ban4_hint, BPF_MAP_TYPE_ARRAY, __u32, __u64, 1 << (HM_BAN_HINT_BITS - 6), 0);

/* Allow-list and wider bans. Written by the daemon, which resolves nesting; read by XDP and tc egress. */
HM_MAP(pfx4, BPF_MAP_TYPE_LPM_TRIE, struct hm_prefix4, struct hm_rule, HM_RULES, BPF_F_NO_PREALLOC);
HM_MAP(pfx6, BPF_MAP_TYPE_LPM_TRIE, struct hm_prefix6, struct hm_rule, HM_RULES, BPF_F_NO_PREALLOC);

/* One bit for each IPv4 /16 that a rule touches: spares the trie to nearly every packet. Written by the daemon before a rule is added
 * and after one is removed. Word (address >> 22), bit (address >> 16) & 63, address in host order. */
HM_MAP(hint, BPF_MAP_TYPE_ARRAY, __u32, __u64, 1024, 0);

/* Addresses of this host, 16 bytes each (IPv4 as ::ffff:a.b.c.d). Written by the daemon. Full: the daemon says so. */
HM_MAP(own, BPF_MAP_TYPE_HASH, struct hm_address6, __u8, HM_OWN, 0);

/* When a real service was last seen on a port, ns; UINT64_MAX: always served. Index: port, UDP at 65536 + port. Written by XDP and the daemon. */
HM_MAP(served, BPF_MAP_TYPE_ARRAY, __u32, __u64, 131072, 0);

/* Scan state by source key. Written by XDP; an LRU on purpose: a flood may evict it, the flood guard and watch make up for that. */
HM_MAP(trackers, BPF_MAP_TYPE_LRU_HASH, __u64, struct hm_tracker, HM_TRACKERS, 0);

/* A tracker's zeroes, for new entries: cheaper than 288 bytes of stack. Never written. */
HM_MAP(blank, BPF_MAP_TYPE_ARRAY, __u32, struct hm_tracker, 1, 0);

/* Suspects that a flood must not evict. Written by the daemon on `suspect`, updated by XDP in place. Full: the oldest go, by the daemon. */
HM_MAP(watch, BPF_MAP_TYPE_HASH, __u64, struct hm_tracker, HM_WATCHED, 0);

/* E0 drops, written by XDP alone, swept by the daemon. Full: counted, reported, this packet's verdict stands. */
HM_MAP(shuns, BPF_MAP_TYPE_HASH, __u64, struct hm_shun, HM_SHUNS, 0);

/* Sources that completed a handshake with a real service: time of the last one, ns. Written by sock_ops. */
HM_MAP(proven, BPF_MAP_TYPE_LRU_HASH, __u64, __u64, HM_PROVEN, 0);

/* Flows that this host opened: time of the last packet out, ns. Written by tc egress. */
HM_MAP(flows_out, BPF_MAP_TYPE_LRU_HASH, struct hm_flow, __u64, HM_FLOWS_OUT, 0);

/* Ports that traps answer, a bit each: TCP, then UDP at 65536 + port. Written by the daemon. */
HM_MAP(trap_ports, BPF_MAP_TYPE_ARRAY, __u32, __u64, 2048, 0);

/* Which port a source asked over UDP, so that the answer of the traps' one socket comes from there. Written by the trap process right before it
 * answers, read by tc egress. An LRU: of askers who were answered long ago nothing is needed. */
HM_MAP(udp_replies, BPF_MAP_TYPE_LRU_HASH, struct hm_udp_peer, __u16, HM_UDP_REPLIES, 0);

/* The trap's listeners (0 IPv4, 1 IPv6). Written by the launcher. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(key_size, 4);
	__uint(value_size, 8);
	__uint(max_entries, 2);
} trap_listener SEC(".maps");

/* When the trap process last said that it lives, CLOCK_MONOTONIC ns. Written by the trap process. */
HM_MAP(heartbeat, BPF_MAP_TYPE_ARRAY, __u32, __u64, 1, 0);

HM_MAP(config, BPF_MAP_TYPE_ARRAY, __u32, struct hm_config, 1, 0);
HM_MAP(guard, BPF_MAP_TYPE_ARRAY, __u32, struct hm_guard, 1, 0);
HM_MAP(stats, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct hm_count, HM_STATS, 0);

/* A CPU's event budget: window word as in hm_tracker. */
HM_MAP(budget, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, __u64, 1, 0);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, HM_EVENTS_HI_BYTES);
} events_hi SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, HM_EVENTS_LO_BYTES);
} events_lo SEC(".maps");

#endif
