/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What user space is told: two rings, so that the noise of scans cannot starve what concerns bans. docs/packet-path.md, 9. */
#ifndef HONEYMESH_EVENTS_H
#define HONEYMESH_EVENTS_H

#include "honeymesh_packet.h"

/* Windows hold their start in ms above a saturating count, in one word that two CPUs cannot tear. */
#define WINDOW_COUNT_BITS 24
#define WINDOW_COUNT_MASK ((1u << WINDOW_COUNT_BITS) - 1)
#define WINDOW_MS 1000
/* Counting stops here, far enough below the mask that no number of CPUs in between can carry into the time. */
#define WINDOW_COUNT_MAX (WINDOW_COUNT_MASK - 0xffff)

/* What an event says beyond its packet. */
struct hm_finding {
	__u32 reasons;
	__u32 rate;
	__u32 shun_ms;
	__u16 port;
	__u8 kind;
	__u8 fast;
	__u8 slow;
	__u8 verdict;
	__u16 pad; /* written, as global functions get this: see struct hm_packet */
};

static __always_inline bool is_proven(const struct hm_config *config, struct hm_packet *packet)
{
	const __u64 *at = bpf_map_lookup_elem(&proven, &packet->source_key);

	return at && *at + config->proven_ttl_ns > clock(packet);
}

/* Counts one in the running second and returns the count. A start in the future is another CPU's, a tick ahead. */
static __always_inline __u32 count_in_window(__u64 *window, __u64 at_ms)
{
	__u64 old = *window;

	if ((__s64)(at_ms - (old >> WINDOW_COUNT_BITS)) >= WINDOW_MS) {
		if (__sync_val_compare_and_swap(window, old, at_ms << WINDOW_COUNT_BITS | 1) == old)
			return 1;
		/* another CPU opened the second: this packet is counted in it */
	} else if ((old & WINDOW_COUNT_MASK) >= WINDOW_COUNT_MAX) {
		return old & WINDOW_COUNT_MASK;
	}
	return (__sync_fetch_and_add(window, 1) & WINDOW_COUNT_MASK) + 1;
}

/* How many were counted in the running second so far. */
static __always_inline __u32 read_window(const __u64 *window, __u64 at_ms)
{
	__u64 word = *window;

	return (__s64)(at_ms - (word >> WINDOW_COUNT_BITS)) >= WINDOW_MS ? 0 : word & WINDOW_COUNT_MASK;
}

/* Not inlined: a function's arguments are what brings struct hm_event into the BTF, against which user space checks its codec. */
static __noinline int fill(struct hm_event *event, const struct hm_config *config, struct hm_packet *packet, const struct hm_finding *finding)
{
	event->at_ns = clock(packet);
	__builtin_memcpy(event->source, &packet->source, sizeof(event->source));
	event->reasons = finding->reasons;
	event->ifindex = packet->ifindex;
	event->port = finding->port;
	event->kind = finding->kind;
	event->protocol = packet->protocol;
	event->fast_ports = finding->fast;
	event->slow_ports = finding->slow;
	event->proven = is_proven(config, packet);
	event->verdict = finding->verdict;
	event->rate = finding->rate;
	event->shun_ms = finding->shun_ms;
	event->pad[0] = event->pad[1] = 0;
	return 0;
}

/* Global functions, here and below, are for what is rare: the verifier follows them once, not once for each way that leads to them. */
__noinline int tell_hi(const struct hm_config *config, struct hm_packet *packet, const struct hm_finding *finding)
{
	struct hm_event *event;

	if (!config || !packet || !finding)
		return 0;
	event = bpf_ringbuf_reserve(&events_hi, sizeof(*event), 0);
	if (!event) {
		bump(HM_COUNT_EVENTS_LOST);
		return 0;
	}
	fill(event, config, packet, finding);
	bpf_ringbuf_submit(event, 0);
	return 0;
}

/* A CPU's share of the second: touches and suspects leave a quarter of it to scans and floods. */
static __always_inline bool within_budget(const struct hm_config *config, struct hm_packet *packet, __u8 kind)
{
	__u32 key = 0, limit = config->events_per_second, said;
	__u64 at_ms = clock_ms(packet), *window;

	if (!limit)
		return true;
	window = bpf_map_lookup_elem(&budget, &key);
	if (!window)
		return false;
	if (kind == HM_EVENT_TOUCH || kind == HM_EVENT_SUSPECT)
		limit -= (limit + 3) / 4;
	said = read_window(window, at_ms);
	if (said >= limit)
		return false;
	count_in_window(window, at_ms);
	return true;
}

__noinline int tell_lo(const struct hm_config *config, struct hm_packet *packet, const struct hm_finding *finding)
{
	struct hm_event *event;

	if (!config || !packet || !finding)
		return 0;
	if (!within_budget(config, packet, finding->kind)) {
		bump(HM_COUNT_EVENTS_LIMITED);
		return 0;
	}
	event = bpf_ringbuf_reserve(&events_lo, sizeof(*event), 0);
	if (!event) {
		bump(HM_COUNT_EVENTS_LOST);
		return 0;
	}
	fill(event, config, packet, finding);
	bpf_ringbuf_submit(event, 0);
	return 0;
}

/* True for one CPU, once a second: an alarm that repeats itself is noise. */
static __always_inline bool not_said_lately(__u64 *said_ns, __u64 now)
{
	__u64 old = *said_ns;

	return (!old || old + HM_SECOND_NS <= now) && __sync_val_compare_and_swap(said_ns, old, now) == old;
}

#endif
