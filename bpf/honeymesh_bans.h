/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Bans, prefixes and the allow-list. docs/packet-path.md, 2. */
#ifndef HONEYMESH_BANS_H
#define HONEYMESH_BANS_H

#include "honeymesh_parse.h"
#include "honeymesh_events.h"

static __always_inline bool is_over(__u64 expires_ns, struct hm_packet *packet)
{
	return expires_ns && expires_ns <= clock(packet);
}

/* The hint lies in a cache's reach, the map does not: each source has a line of it to itself. The same hash as in kernel/ban-hint.ts. */
static __always_inline bool is_ban4_hinted(const struct hm_config *config, __be32 address)
{
	__u32 hash = address * 0x9e3779b1u, word;
	const __u64 *bits;

	if (unlikely(!(config->flags & HM_FLAG_HAS_BAN_HINT)))
		return true;
	hash ^= hash >> 15;
	hash = hash * 0x85ebca77u >> (32 - HM_BAN_HINT_BITS);
	word = hash >> 6;
	bits = bpf_map_lookup_elem(&ban4_hint, &word);
	return !bits || *bits >> (hash & 63) & 1;
}

static __always_inline struct hm_ban *find_ban4(const struct hm_config *config, struct hm_packet *packet, __be32 address)
{
	struct hm_ban *ban;

	/* Not that it is unlikely, but the straight way belongs to those who flood. */
	if (unlikely(!is_ban4_hinted(config, address)))
		return NULL;
	ban = bpf_map_lookup_elem(&ban4, &address);
	return ban && !is_over(ban->expires_ns, packet) ? ban : NULL;
}

static __always_inline struct hm_ban *find_ban6(const struct hm_config *config, struct hm_packet *packet, const union hm_address *address)
{
	struct hm_ban *ban = bpf_map_lookup_elem(&ban6, &address->halves[0]);

	if (ban && !is_over(ban->expires_ns, packet))
		return ban;
	if (!(config->flags & HM_FLAG_HAS_BAN6X))
		return NULL;
	ban = bpf_map_lookup_elem(&ban6x, &address->key);
	return ban && !is_over(ban->expires_ns, packet) ? ban : NULL;
}

/* The longest rule that matches. The trie costs more than everything else together: hence the hint. */
static __always_inline struct hm_rule *find_rule4(struct hm_packet *packet, __be32 address)
{
	__u32 host = bpf_ntohl(address), word = host >> 22;
	const __u64 *hints = bpf_map_lookup_elem(&hint, &word);
	struct hm_prefix4 prefix = { .bits = 32 };
	struct hm_rule *rule;

	if (likely(!hints || !(*hints >> (host >> 16 & 63) & 1)))
		return NULL;
	__builtin_memcpy(prefix.bytes, &address, sizeof(prefix.bytes));
	rule = bpf_map_lookup_elem(&pfx4, &prefix);
	return rule && !is_over(rule->expires_ns, packet) ? rule : NULL;
}

static __always_inline struct hm_rule *find_rule6(const struct hm_config *config, struct hm_packet *packet, const union hm_address *address)
{
	struct hm_prefix6 prefix = { .bits = 128 };
	struct hm_rule *rule;

	if (likely(!(config->flags & HM_FLAG_HAS_PFX6)))
		return NULL;
	__builtin_memcpy(prefix.bytes, address, sizeof(prefix.bytes));
	rule = bpf_map_lookup_elem(&pfx6, &prefix);
	return rule && !is_over(rule->expires_ns, packet) ? rule : NULL;
}

static __always_inline __u32 obey_rule(struct hm_rule *rule)
{
	if (rule->action == HM_RULE_ALLOW)
		return HM_PASS_ALLOWED;
	rule->drops++;
	return HM_DROP_PREFIX;
}

/* True for the one packet that was the first. Only that takes an atomic operation: see struct hm_ban. */
static __always_inline bool count_drop(struct hm_ban *ban)
{
	if (likely(ban->drops)) {
		ban->drops++;
		return false;
	}
	return !__sync_fetch_and_add(&ban->drops, 1);
}

/* honeymesh_confined.h */
static __always_inline __u32 judge_confined(const struct hm_frame *frame, const struct hm_config *config, struct hm_packet *packet);

static __always_inline __u32 judge_banned(const struct hm_config *config, const struct hm_frame *frame, struct hm_packet *packet, struct hm_ban *ban)
{
	__u32 verdict = HM_DROP_BAN;

	if (unlikely(ban->flags & HM_BAN_CONFINED)) {
		verdict = judge_confined(frame, config, packet);
		if (verdict != HM_DROP_CONFINED)
			return verdict;
	}
	if (unlikely(count_drop(ban))) {
		struct hm_finding finding = { .kind = HM_EVENT_BAN_HIT, .reasons = ban->reasons, .verdict = verdict };

		describe(frame, packet);
		locate(frame, packet);
		tell_hi(config, packet, &finding);
	}
	return verdict;
}

/* Before fragments, extension headers and L4: nothing that follows can hide a banned source. A rule comes first as it wins over a ban. */
static __always_inline __u32 judge_source(const struct hm_config *config, const struct hm_frame *frame, struct hm_packet *packet)
{
	struct hm_rule *rule;
	struct hm_ban *ban;

	if (likely(!frame->ipv6)) {
		const struct iphdr *ip = frame->l3;

		rule = find_rule4(packet, ip->saddr);
		if (unlikely(rule))
			return obey_rule(rule);
		ban = find_ban4(config, packet, ip->saddr);
	} else {
		const struct ipv6hdr *ip = frame->l3;
		union hm_address source;

		__builtin_memcpy(&source, &ip->saddr, sizeof(source));
		rule = find_rule6(config, packet, &source);
		if (unlikely(rule))
			return obey_rule(rule);
		ban = find_ban6(config, packet, &source);
	}
	return ban ? judge_banned(config, frame, packet, ban) : HM_UNDECIDED;
}

enum hm_bar { BAR_NONE, BAR_ALL, BAR_BUT_TRAPS };

/* For egress: whoever is banned gets no answer from here, unless an ALLOW rule says so. */
static __always_inline enum hm_bar bar_to_destination(const struct hm_config *config, const struct hm_frame *frame, struct hm_packet *packet)
{
	const struct hm_rule *rule;
	const struct hm_ban *ban;

	if (likely(!frame->ipv6)) {
		rule = find_rule4(packet, packet->destination.words[3]);
		ban = find_ban4(config, packet, packet->destination.words[3]);
	} else {
		rule = find_rule6(config, packet, &packet->destination);
		ban = find_ban6(config, packet, &packet->destination);
	}
	if (rule)
		return rule->action == HM_RULE_DENY ? BAR_ALL : BAR_NONE;
	if (!ban)
		return BAR_NONE;
	return ban->flags & HM_BAN_CONFINED ? BAR_BUT_TRAPS : BAR_ALL;
}

static __always_inline bool is_own(const struct hm_config *config, const struct hm_frame *frame, const union hm_address *address)
{
	__be32 ipv4 = address->words[3];

	if (likely(!frame->ipv6 && ipv4)) {
#pragma unroll
		for (int at = 0; at < HM_OWN4; at++)
			if (config->own4[at] == ipv4)
				return true;
	}
	return bpf_map_lookup_elem(&own, &address->key);
}

#endif
