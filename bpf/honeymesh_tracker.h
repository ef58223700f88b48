/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Who probes: distinct closed ports and rates of a source, and the shun that follows at once. docs/packet-path.md, 9.
 *
 * CPUs share the entries, as receive-side scaling spreads one scan over all of them. A port takes the first slot that was never
 * used, else the oldest, by compare-and-exchange on the one word that holds port, kind and time; which slot that is depends on
 * the slots alone and not on a CPU's clock, so two CPUs that bring the same port meet in the same word, and only one counts. */
#ifndef HONEYMESH_TRACKER_H
#define HONEYMESH_TRACKER_H

#include "honeymesh_parse.h"
#include "honeymesh_events.h"
#include "honeymesh_shuns.h"

#define SLOT_PORT_MASK 0xffff
#define SLOT_KIND_BITS 16
#define SLOT_KIND_MASK 0xf
#define SLOT_TIME_BITS 20
#define SLOT_TRIES 4 /* each failure is another CPU's success on the same source */

static __always_inline void raise_guard(const struct hm_config *config, struct hm_packet *packet, struct hm_guard *shared, __u32 made)
{
	struct hm_finding finding = { .kind = HM_EVENT_GUARD, .rate = made };

	if (not_said_lately(&shared->guard_said_ns, clock(packet)))
		tell_hi(config, packet, &finding);
}

/* An entry for a source that has none. Under a flood of (spoofed) sources only a sample gets one: else they would flush the rest. */
__noinline int make_tracker(const struct hm_config *config, struct hm_packet *packet)
{
	const struct hm_tracker *empty;
	struct hm_guard *shared;
	__u32 key = 0, made;
	__u64 at_ms;
	long error;

	shared = bpf_map_lookup_elem(&guard, &key);
	empty = bpf_map_lookup_elem(&blank, &key);
	if (!config || !packet || !shared || !empty)
		return 0;
	at_ms = clock_ms(packet);
	made = read_window(&shared->new_sources, at_ms);
	if (config->new_sources_per_second && made > config->new_sources_per_second) {
		raise_guard(config, packet, shared, made);
		if (bpf_get_prandom_u32() % HM_GUARD_SAMPLE) {
			bump(HM_COUNT_GUARDED);
			return 0;
		}
	}
	error = bpf_map_update_elem(&trackers, &packet->source_key, empty, BPF_NOEXIST);
	if (!error) {
		count_in_window(&shared->new_sources, at_ms);
		bump(HM_COUNT_NEW_SOURCES);
	} else if (error != -EEXIST /* another CPU was first */) {
		bump(HM_COUNT_TRACKER_FULL);
	}
	return 0;
}

static __always_inline struct hm_tracker *find_tracker(const struct hm_frame *frame, const struct hm_config *config, struct hm_packet *packet)
{
	struct hm_tracker *tracker;

	if (config->flags & HM_FLAG_HAS_WATCH) {
		tracker = bpf_map_lookup_elem(&watch, &packet->source_key);
		if (tracker)
			return tracker;
	}
	tracker = bpf_map_lookup_elem(&trackers, &packet->source_key);
	if (likely(tracker))
		return tracker;
	locate(frame, packet);
	make_tracker(config, packet);
	return bpf_map_lookup_elem(&trackers, &packet->source_key);
}

/* Arithmetic, not a table: a table would become a map of its own. */
static __always_inline __u32 reasons_of(__u32 probes)
{
	__u32 reasons = 0;

	if (probes & 1u << HM_PROBE_SYN)
		reasons |= HM_REASON_SYN_SCAN;
	if (probes & 1u << HM_PROBE_FLAG)
		reasons |= HM_REASON_FLAG_SCAN;
	if (probes & 1u << HM_PROBE_MALFORMED)
		reasons |= HM_REASON_MALFORMED;
	if (probes & 1u << HM_PROBE_UDP)
		reasons |= HM_REASON_UDP_SCAN;
	return reasons;
}

static __always_inline bool is_same_port(__u64 slot, __u64 word)
{
	bool slot_is_udp = (slot >> SLOT_KIND_BITS & SLOT_KIND_MASK) == HM_PROBE_UDP;
	bool word_is_udp = (word >> SLOT_KIND_BITS & SLOT_KIND_MASK) == HM_PROBE_UDP;

	return (slot & SLOT_PORT_MASK) == (word & SLOT_PORT_MASK) && slot_is_udp == word_is_udp;
}

/* Exactly the window's age is outside. A slot from the future is another CPU's, a tick ahead. */
static __always_inline bool is_within(__u64 slot, __u64 at_ms, __u64 window_ns)
{
	__s64 age_ms = at_ms - (slot >> SLOT_TIME_BITS);

	return age_ms <= 0 || (__u64)age_ms * NS_PER_MS < window_ns;
}

static __always_inline __u64 slot_word(struct hm_packet *packet, __u32 probe)
{
	return clock_ms(packet) << SLOT_TIME_BITS | (__u64)probe << SLOT_KIND_BITS | packet->port;
}

enum hm_slot_outcome { SLOT_KNOWN, SLOT_TAKEN, SLOT_CONTENDED, SLOT_FULL };

static __always_inline int renew_slot(__u64 *slot, __u64 old, __u64 word, __u64 at_ms, __u64 slow_window_ns)
{
	bool known = is_within(old, at_ms, slow_window_ns);

	/* nothing to write within the same millisecond, nor over another CPU's later one */
	if (known && (old == word || old >> SLOT_TIME_BITS > at_ms))
		return SLOT_KNOWN;
	if (__sync_val_compare_and_swap(slot, old, word) == old)
		return known ? SLOT_KNOWN : SLOT_TAKEN;
	return known ? SLOT_KNOWN : SLOT_CONTENDED;
}

/* The port's own slot is refreshed; a port that has none takes the first that was never used. SLOT_FULL: there is none. */
__noinline int take_slot(struct hm_tracker *tracker, __u64 word, __u64 at_ms, __u64 slow_window_ns)
{
	if (!tracker)
		return SLOT_KNOWN;
	for (__u32 at = 0; at < HM_SLOTS; at++) {
		__u64 slot = tracker->slots[at];

		if (!slot) {
			slot = __sync_val_compare_and_swap(&tracker->slots[at], 0, word);
			if (!slot)
				return SLOT_TAKEN;
		}
		if (is_same_port(slot, word))
			return renew_slot(&tracker->slots[at], slot, word, at_ms, slow_window_ns);
	}
	return SLOT_FULL;
}

/* The word of the oldest slot, its index in the bits above the time (which reach beyond 17 years of uptime). */
#define OLDEST_INDEX_SHIFT 59

__noinline __u64 oldest_slot(struct hm_tracker *tracker)
{
	__u64 oldest = ~0ull, found = 0;

	if (!tracker)
		return 0;
	for (__u64 at = 0; at < HM_SLOTS; at++) {
		__u64 slot = tracker->slots[at];

		if (slot >> SLOT_TIME_BITS < oldest >> SLOT_TIME_BITS) {
			oldest = slot;
			found = at;
		}
	}
	return found << OLDEST_INDEX_SHIFT | oldest;
}

#define TALLY_SLOW_SHIFT 8
#define TALLY_FAST_PROBES_SHIFT 16
#define TALLY_SLOW_PROBES_SHIFT 24

/* Ports and kinds of probe within both windows, in one word. Called when the own slot is written: of CPUs that write at the same
 * time, at least the last one sees all slots. */
__noinline __u32 tally(struct hm_tracker *tracker, __u64 at_ms, __u64 fast_window_ns, __u64 slow_window_ns)
{
	__u32 fast = 0, slow = 0, fast_probes = 0, slow_probes = 0;

	if (!tracker)
		return 0;
	for (__u32 at = 0; at < HM_SLOTS; at++) {
		__u64 slot = tracker->slots[at];
		__u32 probe = slot >> SLOT_KIND_BITS & SLOT_KIND_MASK;

		if (!slot)
			break;
		if (is_within(slot, at_ms, slow_window_ns)) {
			slow++;
			slow_probes |= 1u << probe;
		}
		if (is_within(slot, at_ms, fast_window_ns)) {
			fast++;
			fast_probes |= 1u << probe;
		}
	}
	return fast | slow << TALLY_SLOW_SHIFT | (fast_probes & 0xff) << TALLY_FAST_PROBES_SHIFT | slow_probes << TALLY_SLOW_PROBES_SHIFT;
}

static __always_inline int replace_oldest(struct hm_tracker *tracker, __u64 word)
{
	__u64 oldest = oldest_slot(tracker), old = oldest & ((1ull << OLDEST_INDEX_SHIFT) - 1);

	return __sync_val_compare_and_swap(&tracker->slots[oldest >> OLDEST_INDEX_SHIFT], old, word) == old ? SLOT_TAKEN : SLOT_CONTENDED;
}

/* The port is new, or its slot is to be fought for. Where each try met another CPU, it counts as new: better once too often than never. */
__noinline __u32 judge_new_port(const struct hm_config *config, struct hm_packet *packet, struct hm_tracker *tracker, __u32 probe, __u32 otherwise_and_outcome)
{
	__u32 otherwise = otherwise_and_outcome & 0xff, ports;
	int outcome = otherwise_and_outcome >> 8, made;
	struct hm_finding finding = {};
	bool fast_crossed, slow_crossed;
	__u64 ttl_ns = 0, at_ms;

	if (!config || !packet || !tracker)
		return otherwise;
	at_ms = clock_ms(packet);
	for (int tries = 1; tries < SLOT_TRIES && outcome != SLOT_TAKEN; tries++) {
		outcome = outcome == SLOT_FULL ? replace_oldest(tracker, slot_word(packet, probe)) : take_slot(tracker, slot_word(packet, probe), at_ms, config->slow_window_ns);
		if (outcome == SLOT_KNOWN)
			return otherwise;
	}
	ports = tally(tracker, at_ms, config->fast_window_ns, config->slow_window_ns);
	finding.kind = HM_EVENT_TOUCH;
	finding.port = packet->port;
	finding.reasons = reasons_of(1u << probe);
	finding.verdict = otherwise;
	finding.fast = ports;
	finding.slow = ports >> TALLY_SLOW_SHIFT;
	fast_crossed = config->fast_ports && finding.fast >= config->fast_ports;
	slow_crossed = config->slow_ports && finding.slow >= config->slow_ports;
	if (!fast_crossed && !slow_crossed) {
		tell_lo(config, packet, &finding);
		if (finding.slow == HM_SUSPECT_PORTS) {
			finding.kind = HM_EVENT_SUSPECT;
			tell_lo(config, packet, &finding);
		}
		return otherwise;
	}
	finding.verdict = packet->confined ? otherwise : is_proven(config, packet) ? HM_DROP_POLICED : HM_DROP_SCAN;
	tell_lo(config, packet, &finding);
	finding.kind = HM_EVENT_SCAN;
	if (fast_crossed)
		finding.reasons = reasons_of(ports >> TALLY_FAST_PROBES_SHIFT);
	else
		finding.reasons = reasons_of(ports >> TALLY_SLOW_PROBES_SHIFT) | HM_REASON_SLOW_SCAN;
	made = make_shun(config, packet, shun_kind_of(probe), finding.reasons, &ttl_ns);
	if (made == SHUN_NEW_BUT_FULL)
		say_full(config, packet);
	if (made != SHUN_OLD) {
		finding.shun_ms = ttl_ns / NS_PER_MS;
		tell_lo(config, packet, &finding);
	}
	return finding.verdict;
}

/* `count` of the specification: what the probe of a closed port leads to. `otherwise` is the verdict where it leads to nothing, as for a
 * port that is known already: nearly always, as scanners and clients repeat their SYNs. */
static __always_inline __u32 count_probe(const struct hm_frame *frame, const struct hm_config *config, struct hm_packet *packet, struct hm_tracker *tracker,
					 __u32 probe, __u32 otherwise)
{
	int outcome = take_slot(tracker, slot_word(packet, probe), clock_ms(packet), config->slow_window_ns);

	if (likely(outcome == SLOT_KNOWN))
		return otherwise;
	locate(frame, packet);
	return judge_new_port(config, packet, tracker, probe, otherwise | outcome << 8);
}

/* Counts the packet in a rate window: 0, or the count where it is over the limit. */
static __always_inline __u32 over_rate(struct hm_packet *packet, struct hm_tracker *tracker, enum hm_window window, __u32 limit)
{
	__u32 count;

	if (!limit)
		return 0;
	count = count_in_window(&tracker->windows[window], clock_ms(packet));
	return unlikely(count > limit) ? count : 0;
}

#endif
