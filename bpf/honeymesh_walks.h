/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Walks over what a frame may hold any number of: VLAN tags, IPv6 extension headers. Bounded; docs/packet-path.md, 1 and 4. */
#ifndef HONEYMESH_WALKS_H
#define HONEYMESH_WALKS_H

#include "honeymesh_packet.h"

#define ETHERTYPE_QINQ_OLD 0x9100
#define ETHERTYPE_QINQ_OLDER 0x9200

#define IPV6_MORE_FRAGMENTS 0x0001
#define IPV6_OFFSET_MASK 0xfff8

#define PROTOCOL_MOBILITY 135
#define PROTOCOL_HIP 139
#define PROTOCOL_SHIM6 140

static __always_inline bool is_vlan(__be16 ethertype)
{
	return ethertype == bpf_htons(ETH_P_8021Q) || ethertype == bpf_htons(ETH_P_8021AD) ||
	       ethertype == bpf_htons(ETHERTYPE_QINQ_OLD) || ethertype == bpf_htons(ETHERTYPE_QINQ_OLDER);
}

static __always_inline long load_bytes(void *context, bool is_xdp, __u32 at, void *to, __u32 length)
{
	return is_xdp ? bpf_xdp_load_bytes(context, at, to, length) : bpf_skb_load_bytes(context, at, to, length);
}

/* The walks below are global functions, which the verifier follows once for themselves and not once for each state of their callers,
 * and load through helpers: with packet pointers it would follow each way through the tags and headers into all the rules behind. They
 * return one word, as such functions must. */
#define TAGS_NOT_IP 0
#define TAGS_OFFSET_SHIFT 16
#define TAGS_OFFSET_MASK 0x1f

/* Ethertype (network order) and offset of what follows the VLAN tags. */
static __always_inline __u32 walk_tags(void *context, bool is_xdp)
{
	__u32 at = sizeof(struct ethhdr);

	for (int tag = 0; tag < HM_VLAN_TAGS_MAX; tag++) {
		__be16 words[2];

		if (load_bytes(context, is_xdp, at, words, sizeof(words)))
			return TAGS_NOT_IP;
		at += sizeof(words);
		if (!is_vlan(words[1]))
			return at << TAGS_OFFSET_SHIFT | words[1];
	}
	return TAGS_NOT_IP;
}

__noinline __u32 walk_tags_xdp(struct xdp_md *context)
{
	return walk_tags(context, true);
}

__noinline __u32 walk_tags_skb(struct __sk_buff *context)
{
	return walk_tags(context, false);
}

static __always_inline bool is_extension(__u32 protocol)
{
	switch (protocol) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_FRAGMENT:
	case IPPROTO_DSTOPTS:
	case IPPROTO_AH:
	case PROTOCOL_MOBILITY:
	case PROTOCOL_HIP:
	case PROTOCOL_SHIM6:
		return true;
	default:
		return false;
	}
}

/* The offset of L4, its protocol above, and these. */
#define WALK_FIRST_FRAGMENT (1u << 24)
#define WALK_LATER_FRAGMENT (1u << 25)
#define WALK_MALFORMED (1u << 26)
#define WALK_OFFSET_MASK 0x7fff /* ten headers of 2 KiB end before */

/* `at` and `limit` count from the start of the frame. */
static __always_inline __u32 walk_extensions(void *context, bool is_xdp, __u32 at, __u32 limit, __u32 protocol)
{
	__u32 found = 0;

	for (int headers = 0; is_extension(protocol); headers++) {
		__u8 header[8];
		__u32 bytes;

		if (headers == HM_EXT_HEADERS_MAX || at + sizeof(header) > limit)
			return WALK_MALFORMED;
		if (load_bytes(context, is_xdp, at, header, sizeof(header)))
			return WALK_MALFORMED;
		if (protocol == IPPROTO_FRAGMENT) {
			__u16 fragment = header[2] << 8 | header[3];

			bytes = 8;
			if (fragment & IPV6_OFFSET_MASK)
				return WALK_LATER_FRAGMENT;
			if (fragment & IPV6_MORE_FRAGMENTS)
				found = WALK_FIRST_FRAGMENT;
		} else if (protocol == IPPROTO_AH) {
			bytes = (header[1] + 2) * 4;
		} else {
			bytes = (header[1] + 1) * 8;
		}
		if (bytes > limit - at)
			return WALK_MALFORMED;
		at += bytes;
		protocol = header[0];
	}
	if (at > WALK_OFFSET_MASK) /* a frame with much before its IP header */
		return WALK_MALFORMED;
	return found | protocol << 16 | at;
}

__noinline __u32 walk_extensions_xdp(struct xdp_md *context, __u32 at, __u32 limit, __u32 protocol)
{
	return walk_extensions(context, true, at, limit, protocol);
}

__noinline __u32 walk_extensions_skb(struct __sk_buff *context, __u32 at, __u32 limit, __u32 protocol)
{
	return walk_extensions(context, false, at, limit, protocol);
}

#endif
