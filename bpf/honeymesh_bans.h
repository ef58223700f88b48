/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Bans, prefixes and the allow-list. docs/packet-path.md, 2. */
#ifndef HONEYMESH_BANS_H
#define HONEYMESH_BANS_H

#include "honeymesh_events.h"

static __always_inline bool is_over(__u64 expires_ns, struct hm_packet *packet)
{
	return expires_ns && expires_ns <= clock(packet);
}

static __always_inline struct hm_ban *find_ban(const struct hm_config *config, struct hm_packet *packet, union hm_address *address)
{
	struct hm_ban *ban;

	if (likely(!packet->ipv6)) {
		ban = bpf_map_lookup_elem(&ban4, &address->words[3]);
		return ban && !is_over(ban->expires_ns, packet) ? ban : NULL;
	}
	ban = bpf_map_lookup_elem(&ban6, &address->halves[0]);
	if (ban && !is_over(ban->expires_ns, packet))
		return ban;
	if (!(config->flags & HM_FLAG_HAS_BAN6X))
		return NULL;
	ban = bpf_map_lookup_elem(&ban6x, &address->key);
	return ban && !is_over(ban->expires_ns, packet) ? ban : NULL;
}

/* The longest rule that matches. The trie costs more than everything else together: hence the hint. */
static __always_inline struct hm_rule *find_rule(const struct hm_config *config, struct hm_packet *packet, union hm_address *address)
{
	struct hm_rule *rule;

	if (likely(!packet->ipv6)) {
		struct hm_prefix4 prefix = { .bits = 32 };
		__u32 host = bpf_ntohl(address->words[3]), word = host >> 22;
		const __u64 *hints = bpf_map_lookup_elem(&hint, &word);

		if (likely(!hints || !(*hints >> (host >> 16 & 63) & 1)))
			return NULL;
		__builtin_memcpy(prefix.bytes, &address->words[3], sizeof(prefix.bytes));
		rule = bpf_map_lookup_elem(&pfx4, &prefix);
	} else {
		struct hm_prefix6 prefix = { .bits = 128 };

		if (likely(!(config->flags & HM_FLAG_HAS_PFX6)))
			return NULL;
		__builtin_memcpy(prefix.bytes, address, sizeof(prefix.bytes));
		rule = bpf_map_lookup_elem(&pfx6, &prefix);
	}
	return rule && !is_over(rule->expires_ns, packet) ? rule : NULL;
}

/* Before fragments, extension headers and L4: nothing that follows can hide a banned source. */
static __always_inline __u32 judge_source(const struct hm_config *config, struct hm_packet *packet)
{
	struct hm_ban *ban = find_ban(config, packet, &packet->source);
	struct hm_rule *rule = find_rule(config, packet, &packet->source);

	if (unlikely(rule)) {
		if (rule->action == HM_RULE_ALLOW)
			return HM_PASS_ALLOWED;
		__sync_fetch_and_add(&rule->drops, 1);
		return HM_DROP_PREFIX;
	}
	if (ban) {
		if (unlikely(!__sync_fetch_and_add(&ban->drops, 1))) {
			struct hm_finding finding = { .kind = HM_EVENT_BAN_HIT, .reasons = ban->reasons, .verdict = HM_DROP_BAN };

			tell_hi(config, packet, &finding);
		}
		return HM_DROP_BAN;
	}
	return packet->clipped ? HM_DROP_MALFORMED : HM_UNDECIDED;
}

/* For egress: whoever is fully banned gets no answer from here, unless an ALLOW rule says so. */
static __always_inline bool is_barred(const struct hm_config *config, struct hm_packet *packet, union hm_address *address)
{
	const struct hm_rule *rule = find_rule(config, packet, address);

	if (rule)
		return rule->action == HM_RULE_DENY;
	return find_ban(config, packet, address);
}

static __always_inline bool is_own(union hm_address *address)
{
	return bpf_map_lookup_elem(&own, &address->key);
}

#endif
