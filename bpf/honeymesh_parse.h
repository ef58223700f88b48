/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* From a frame to addresses, ports and flags. Everything read here was written by an attacker. docs/packet-path.md, 1 and 4. */
#ifndef HONEYMESH_PARSE_H
#define HONEYMESH_PARSE_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "honeymesh_packet.h"

#define ETHERTYPE_QINQ_OLD 0x9100
#define ETHERTYPE_QINQ_OLDER 0x9200
#define VLAN_TAG_BYTES 4

#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_OFFSET_MASK 0x1fff
#define IPV6_MORE_FRAGMENTS 0x0001
#define IPV6_OFFSET_MASK 0xfff8

#define PROTOCOL_MOBILITY 135
#define PROTOCOL_HIP 139
#define PROTOCOL_SHIM6 140
#define ICMP4_ECHO_REQUEST 8
#define ICMP6_ECHO_REQUEST 128

#define TCP_HEADER_BYTES 20
#define UDP_HEADER_BYTES 8
#define ECHO_HEADER_BYTES 8
#define PORTS_BYTES 4

#define TCP_FIN 1
#define TCP_SYN 2
#define TCP_RST 4
#define TCP_ACK 16
#define TCP_FLAGS 63

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

static __always_inline __u32 parse_ipv4(struct hm_frame *frame, struct hm_packet *packet)
{
	const struct iphdr *ip = frame->l3;
	__u32 left, header, total;
	__u16 fragment;

	if (frame->l3 + sizeof(*ip) > frame->end)
		return HM_DROP_MALFORMED;
	header = ip->ihl * 4;
	if (ip->version != 4 || header < sizeof(*ip) || frame->l3 + header > frame->end)
		return HM_DROP_MALFORMED;
	left = frame->end - frame->l3;
	total = bpf_ntohs(ip->tot_len);
	if (total && total < left) /* 0: big TCP, longer than 16 bits can say */
		left = total;
	packet->clipped = left < header;
	packet->left = left - header;
	frame->l4 = frame->l3 + header;
	packet->protocol = ip->protocol;
	packet->ipv6 = false;
	fragment = bpf_ntohs(ip->frag_off);
	packet->later_fragment = fragment & IPV4_OFFSET_MASK;
	packet->first_fragment = (fragment & (IPV4_OFFSET_MASK | IPV4_MORE_FRAGMENTS)) == IPV4_MORE_FRAGMENTS;
	packet->evasive_fragment = (fragment & IPV4_OFFSET_MASK) == 1 && ip->protocol == IPPROTO_TCP;
	packet->source.halves[0] = 0;
	packet->source.words[2] = bpf_htonl(0xffff);
	packet->source.words[3] = ip->saddr;
	packet->destination.halves[0] = 0;
	packet->destination.words[2] = bpf_htonl(0xffff);
	packet->destination.words[3] = ip->daddr;
	packet->source_key = 0xffff00000000ull | bpf_ntohl(ip->saddr);
	return HM_UNDECIDED;
}

static __always_inline __u32 parse_ipv6(struct hm_frame *frame, struct hm_packet *packet)
{
	const struct ipv6hdr *ip = frame->l3;
	__u32 left, payload;

	if (frame->l3 + sizeof(*ip) > frame->end || ip->version != 6)
		return HM_DROP_MALFORMED;
	left = frame->end - frame->l3 - sizeof(*ip);
	payload = bpf_ntohs(ip->payload_len);
	if (payload && payload < left)
		left = payload;
	packet->left = left;
	frame->l4 = frame->l3 + sizeof(*ip);
	packet->protocol = ip->nexthdr;
	packet->ipv6 = true;
	packet->clipped = false;
	packet->first_fragment = packet->later_fragment = packet->evasive_fragment = false;
	__builtin_memcpy(&packet->source, &ip->saddr, sizeof(packet->source));
	__builtin_memcpy(&packet->destination, &ip->daddr, sizeof(packet->destination));
	packet->source_key = bpf_be64_to_cpu(packet->source.halves[0]);
	return HM_UNDECIDED;
}

/* Up to the source address: all that a ban needs, so that nothing behind it can hide a banned source. */
static __always_inline __u32 parse_l3(struct hm_frame *frame, struct hm_packet *packet)
{
	const struct ethhdr *ethernet = frame->data;
	__be16 ethertype;

	packet->now = 0;
	packet->source_port = packet->port = 0;
	packet->tcp_flags = 0;
	packet->tiny = false;
	*(__u32 *)packet->pad = 0;
	if (frame->data + sizeof(*ethernet) > frame->end)
		return HM_PASS_NOT_IP;
	frame->l3 = frame->data + sizeof(*ethernet);
	ethertype = ethernet->h_proto;
	if (unlikely(is_vlan(ethertype))) {
		__u32 found = frame->is_xdp ? walk_tags_xdp(frame->context) : walk_tags_skb(frame->context);

		ethertype = found;
		frame->l3 = frame->data + (found >> TAGS_OFFSET_SHIFT & TAGS_OFFSET_MASK);
	}
	if (likely(ethertype == bpf_htons(ETH_P_IP)))
		return parse_ipv4(frame, packet);
	if (ethertype == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(frame, packet);
	return HM_PASS_NOT_IP;
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

static __always_inline __u32 parse_extensions(struct hm_frame *frame, struct hm_packet *packet)
{
	__u32 at = frame->l4 - frame->data, limit = at + packet->left, found;

	if (frame->is_xdp)
		found = walk_extensions_xdp(frame->context, at, limit, packet->protocol);
	else
		found = walk_extensions_skb(frame->context, at, limit, packet->protocol);
	if (found & WALK_MALFORMED)
		return HM_DROP_MALFORMED;
	packet->later_fragment = found & WALK_LATER_FRAGMENT;
	packet->first_fragment = found & WALK_FIRST_FRAGMENT;
	packet->protocol = found >> 16;
	at = found & WALK_OFFSET_MASK;
	packet->left = limit - at;
	frame->l4 = frame->data + at;
	return HM_UNDECIDED;
}

/* L4 of a packet whose L3 is sound. HM_UNDECIDED: TCP, UDP or an echo request, whole; or a tiny first fragment. */
static __always_inline __u32 parse_l4(struct hm_frame *frame, struct hm_packet *packet)
{
	if (unlikely(packet->ipv6 && is_extension(packet->protocol))) {
		__u32 verdict = parse_extensions(frame, packet);

		if (verdict != HM_UNDECIDED)
			return verdict;
	}
	if (unlikely(packet->later_fragment))
		return packet->evasive_fragment ? HM_DROP_MALFORMED : HM_PASS;

	if (packet->protocol == IPPROTO_TCP) {
		const struct tcphdr *tcp = frame->l4;
		const __u8 *bytes = frame->l4;

		if (unlikely(packet->left < PORTS_BYTES || frame->l4 + PORTS_BYTES > frame->end))
			return HM_DROP_MALFORMED;
		packet->source_port = bpf_ntohs(tcp->source);
		packet->port = bpf_ntohs(tcp->dest);
		if (likely(packet->left >= TCP_HEADER_BYTES && frame->l4 + TCP_HEADER_BYTES <= frame->end)) {
			__u32 header = (bytes[12] >> 4) * 4;

			if (likely(header >= TCP_HEADER_BYTES && header <= packet->left)) {
				packet->tcp_flags = bytes[13] & TCP_FLAGS;
				return HM_UNDECIDED;
			}
		}
		packet->tiny = true;
		return packet->first_fragment ? HM_UNDECIDED : HM_DROP_MALFORMED;
	}
	if (packet->protocol == IPPROTO_UDP) {
		const struct udphdr *udp = frame->l4;

		if (packet->left < UDP_HEADER_BYTES || frame->l4 + UDP_HEADER_BYTES > frame->end)
			return HM_DROP_MALFORMED;
		packet->source_port = bpf_ntohs(udp->source);
		packet->port = bpf_ntohs(udp->dest);
		return HM_UNDECIDED;
	}
	if (packet->protocol == (packet->ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)) {
		const __u8 *type = frame->l4;

		if (packet->left >= ECHO_HEADER_BYTES && frame->l4 + ECHO_HEADER_BYTES <= frame->end && *type == (packet->ipv6 ? ICMP6_ECHO_REQUEST : ICMP4_ECHO_REQUEST))
			return HM_UNDECIDED;
	}
	return HM_PASS;
}

#endif
