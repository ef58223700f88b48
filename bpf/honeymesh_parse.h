/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* From a frame to addresses, ports and flags. Everything read here was written by an attacker. docs/packet-path.md, 1 and 4. */
#ifndef HONEYMESH_PARSE_H
#define HONEYMESH_PARSE_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "honeymesh_walks.h"

#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_OFFSET_MASK 0x1fff
#define ICMP4_ECHO_REQUEST 8
#define ICMP6_ECHO_REQUEST 128
#define ICMP6_NEIGHBOUR_SOLICITATION 135
#define ICMP6_NEIGHBOUR_ADVERTISEMENT 136

#define TCP_HEADER_BYTES 20
#define UDP_HEADER_BYTES 8
#define ECHO_HEADER_BYTES 8
#define NEIGHBOUR_HEADER_BYTES 8
#define PORTS_BYTES 4

#define TCP_FIN 1
#define TCP_SYN 2
#define TCP_RST 4
#define TCP_ACK 16
#define TCP_FLAGS 63

static __always_inline __u32 parse_ipv4(struct hm_frame *frame)
{
	const struct iphdr *ip = frame->l3;

	if (frame->l3 + sizeof(*ip) > frame->end)
		return HM_DROP_MALFORMED;
	frame->header = ip->ihl * 4;
	if (ip->version != 4 || frame->header < sizeof(*ip) || frame->l3 + frame->header > frame->end)
		return HM_DROP_MALFORMED;
	frame->ipv6 = false;
	return HM_UNDECIDED;
}

static __always_inline __u32 parse_ipv6(struct hm_frame *frame)
{
	const struct ipv6hdr *ip = frame->l3;

	if (frame->l3 + sizeof(*ip) > frame->end || ip->version != 6)
		return HM_DROP_MALFORMED;
	frame->header = sizeof(*ip);
	frame->ipv6 = true;
	return HM_UNDECIDED;
}

/* Up to the IP header: all that a ban needs, so that nothing behind it can hide a banned source. */
static __always_inline __u32 parse_l3(struct hm_frame *frame)
{
	__be16 ethertype;

	if (frame->data + sizeof(struct ethhdr) > frame->end)
		return HM_PASS_NOT_IP;
	frame->l3 = frame->data + sizeof(struct ethhdr);
	ethertype = *(__be16 *)(frame->data + 2 * ETH_ALEN);
	if (unlikely(ethertype != bpf_htons(ETH_P_IP) && is_vlan(ethertype))) {
		__u32 found = frame->is_xdp ? walk_tags_xdp(frame->context) : walk_tags_skb(frame->context);

		ethertype = found;
		frame->l3 = frame->data + (found >> TAGS_OFFSET_SHIFT & TAGS_OFFSET_MASK);
	}
	if (likely(ethertype == bpf_htons(ETH_P_IP)))
		return parse_ipv4(frame);
	if (ethertype == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(frame);
	return HM_PASS_NOT_IP;
}

static __always_inline void map_ipv4(union hm_address *address, __be32 ipv4)
{
	address->halves[0] = 0;
	address->words[2] = bpf_htonl(0xffff);
	address->words[3] = ipv4;
}

/* The addresses, and what else a report says. Not part of parse_l3: most packets of a flood never come this far. */
static __always_inline void describe(const struct hm_frame *frame, struct hm_packet *packet)
{
	if (likely(!frame->ipv6)) {
		const struct iphdr *ip = frame->l3;

		map_ipv4(&packet->source, ip->saddr);
		map_ipv4(&packet->destination, ip->daddr);
		packet->source_key = 0xffff00000000ull | bpf_ntohl(ip->saddr);
		packet->protocol = ip->protocol;
	} else {
		const struct ipv6hdr *ip = frame->l3;

		__builtin_memcpy(&packet->source, &ip->saddr, sizeof(packet->source));
		__builtin_memcpy(&packet->destination, &ip->daddr, sizeof(packet->destination));
		packet->source_key = bpf_be64_to_cpu(packet->source.halves[0]);
		packet->protocol = ip->nexthdr;
	}
	packet->now_ms = 0;
	packet->ifindex = 0;
	packet->port = 0;
	packet->confined = false;
}

/* Before a report: three dependent loads, which packets without one do not pay. */
static __always_inline void locate(const struct hm_frame *frame, struct hm_packet *packet)
{
	packet->ifindex = frame->is_xdp ? ((struct xdp_md *)frame->context)->ingress_ifindex : ((struct __sk_buff *)frame->context)->ifindex;
}

/* Where L4 starts and where it has to end. A length of 0 means the frame's end: big TCP, longer than 16 bits can say. */
static __always_inline __u32 measure(struct hm_frame *frame)
{
	__u32 left = frame->end - frame->l3, length;

	if (likely(!frame->ipv6)) {
		const struct iphdr *ip = frame->l3;

		length = bpf_ntohs(ip->tot_len);
		frame->protocol = ip->protocol;
	} else {
		const struct ipv6hdr *ip = frame->l3;

		length = bpf_ntohs(ip->payload_len);
		if (length)
			length += sizeof(*ip);
		frame->protocol = ip->nexthdr;
	}
	if (length && length < left)
		left = length;
	if (unlikely(left < frame->header))
		return HM_DROP_MALFORMED;
	frame->left = left - frame->header;
	frame->l4 = frame->l3 + frame->header;
	return HM_UNDECIDED;
}

static __always_inline __u32 parse_extensions(struct hm_frame *frame, struct hm_packet *packet)
{
	__u32 at = frame->l4 - frame->data, limit = at + frame->left, found;

	if (frame->is_xdp)
		found = walk_extensions_xdp(frame->context, at, limit, frame->protocol);
	else
		found = walk_extensions_skb(frame->context, at, limit, frame->protocol);
	if (found & WALK_MALFORMED)
		return HM_DROP_MALFORMED;
	frame->later_fragment = found & WALK_LATER_FRAGMENT;
	frame->first_fragment = found & WALK_FIRST_FRAGMENT;
	frame->protocol = packet->protocol = found >> 16;
	at = found & WALK_OFFSET_MASK;
	frame->left = limit - at;
	frame->l4 = frame->data + at;
	return HM_UNDECIDED;
}

static __always_inline void parse_fragment(struct hm_frame *frame)
{
	const struct iphdr *ip = frame->l3;
	__u16 fragment = bpf_ntohs(ip->frag_off) & (IPV4_OFFSET_MASK | IPV4_MORE_FRAGMENTS);

	if (likely(!fragment))
		return;
	frame->first_fragment = fragment == IPV4_MORE_FRAGMENTS;
	frame->later_fragment = fragment & IPV4_OFFSET_MASK;
	frame->evasive_fragment = (fragment & IPV4_OFFSET_MASK) == 1 && frame->protocol == IPPROTO_TCP;
}

/* L4 of a packet that was measured. HM_UNDECIDED: TCP, UDP or an echo request, whole; or a tiny first fragment. */
static __always_inline __u32 parse_l4(struct hm_frame *frame, struct hm_packet *packet)
{
	frame->first_fragment = frame->later_fragment = frame->evasive_fragment = frame->tiny = false;
	if (likely(!frame->ipv6)) {
		parse_fragment(frame);
	} else if (unlikely(is_extension(frame->protocol))) {
		__u32 verdict = parse_extensions(frame, packet);

		if (verdict != HM_UNDECIDED)
			return verdict;
	}
	if (unlikely(frame->later_fragment))
		return frame->evasive_fragment ? HM_DROP_MALFORMED : HM_PASS;

	if (frame->protocol == IPPROTO_TCP) {
		const struct tcphdr *tcp = frame->l4;
		const __u8 *bytes = frame->l4;

		if (unlikely(frame->left < PORTS_BYTES || frame->l4 + PORTS_BYTES > frame->end))
			return HM_DROP_MALFORMED;
		frame->source_port = bpf_ntohs(tcp->source);
		packet->port = bpf_ntohs(tcp->dest);
		if (likely(frame->left >= TCP_HEADER_BYTES && frame->l4 + TCP_HEADER_BYTES <= frame->end)) {
			__u32 header = (bytes[12] >> 4) * 4;

			if (likely(header >= TCP_HEADER_BYTES && header <= frame->left)) {
				frame->tcp_flags = bytes[13] & TCP_FLAGS;
				return HM_UNDECIDED;
			}
		}
		frame->tiny = true;
		return frame->first_fragment ? HM_UNDECIDED : HM_DROP_MALFORMED;
	}
	if (frame->protocol == IPPROTO_UDP) {
		const struct udphdr *udp = frame->l4;

		if (frame->left < UDP_HEADER_BYTES || frame->l4 + UDP_HEADER_BYTES > frame->end)
			return HM_DROP_MALFORMED;
		frame->source_port = bpf_ntohs(udp->source);
		packet->port = bpf_ntohs(udp->dest);
		return HM_UNDECIDED;
	}
	if (frame->protocol == (frame->ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)) {
		const __u8 *type = frame->l4;

		if (frame->left >= ECHO_HEADER_BYTES && frame->l4 + ECHO_HEADER_BYTES <= frame->end && *type == (frame->ipv6 ? ICMP6_ECHO_REQUEST : ICMP4_ECHO_REQUEST))
			return HM_UNDECIDED;
	}
	return HM_PASS;
}

/* Of a packet that parse_l4 let pass. Not in fragments, which RFC 6980 forbids. */
static __always_inline bool is_neighbour_discovery(const struct hm_frame *frame)
{
	const __u8 *type = frame->l4;

	if (!frame->ipv6 || frame->protocol != IPPROTO_ICMPV6 || frame->first_fragment || frame->later_fragment)
		return false;
	if (frame->left < NEIGHBOUR_HEADER_BYTES || frame->l4 + NEIGHBOUR_HEADER_BYTES > frame->end)
		return false;
	return *type == ICMP6_NEIGHBOUR_SOLICITATION || *type == ICMP6_NEIGHBOUR_ADVERTISEMENT;
}

/* Without one of SYN, ACK, RST, or SYN together with FIN or RST: no stack sends it. */
static __always_inline bool is_anomaly(__u8 flags)
{
	return !(flags & (TCP_SYN | TCP_ACK | TCP_RST)) || (flags & TCP_SYN && flags & (TCP_FIN | TCP_RST));
}

#endif
