/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* tc ingress: connections to closed ports that are traps go to the trap's listener. Nothing is tracked, so nothing can be stale: the
 * kernel's socket tables are asked for each packet that could open a connection, and no other packet is touched.
 * docs/packet-path.md, 11. */
#ifndef HONEYMESH_STEER_H
#define HONEYMESH_STEER_H

#include <linux/pkt_cls.h>

#include "honeymesh_parse.h"
#include "honeymesh_bans.h"
#include "honeymesh_ports.h"

/* Ethernet, IPv6, TCP with options; what lies in an skb's pages is brought into reach up to here. */
#define LINEAR_BYTES (14 + 40 + 60)
#define LINEAR_BYTES_AT_LEAST (14 + 40 + 20)

static __always_inline struct hm_frame frame_of(struct __sk_buff *context)
{
	struct hm_frame frame = { .context = context, .is_xdp = false };
	__u32 reach = context->data_end - context->data;

	if (unlikely(reach < LINEAR_BYTES_AT_LEAST && context->len > reach))
		bpf_skb_pull_data(context, context->len < LINEAR_BYTES ? context->len : LINEAR_BYTES);
	frame.data = (void *)(long)context->data;
	frame.end = (void *)(long)context->data_end;
	return frame;
}

static __always_inline bool is_trap_port(__u16 port)
{
	__u32 word = port >> 6;
	const __u64 *bits = bpf_map_lookup_elem(&trap_ports, &word);

	return bits && *bits >> (port & 63) & 1;
}

/* A trap process that died or hangs is a closed port, not a connection that nobody answers. */
static __always_inline bool is_trap_alive(const struct hm_config *config, struct hm_packet *packet)
{
	__u32 key = 0;
	const __u64 *beat = bpf_map_lookup_elem(&heartbeat, &key);

	return beat && *beat && *beat + config->heartbeat_ttl_ns > clock(packet);
}

/* The listener's SYN queue overflowed and this ACK brings back one of its cookies. */
static __always_inline bool brings_cookie(const struct hm_frame *frame, struct bpf_sock *listener)
{
	struct tcphdr *tcp = frame->l4;

	if ((void *)(tcp + 1) > frame->end)
		return false;
	if (frame->ipv6) {
		if (frame->l3 + sizeof(struct ipv6hdr) > frame->end)
			return false;
		return !bpf_tcp_check_syncookie(listener, frame->l3, sizeof(struct ipv6hdr), tcp, sizeof(*tcp));
	}
	if (frame->l3 + sizeof(struct iphdr) > frame->end)
		return false;
	return !bpf_tcp_check_syncookie(listener, frame->l3, sizeof(struct iphdr), tcp, sizeof(*tcp));
}

static __always_inline void steer(struct __sk_buff *context)
{
	const struct hm_config *config = the_config();
	struct bpf_sock *listener;
	struct hm_packet packet;
	struct hm_frame frame;
	__u32 key;
	bool is_syn;

	if (unlikely(!config || !config->trap_port))
		return;
	frame = frame_of(context);
	packet.now = 0;
	if (parse_l3(&frame) != HM_UNDECIDED || measure(&frame) != HM_UNDECIDED)
		return;
	describe(&frame, &packet);
	if (parse_l4(&frame, &packet) != HM_UNDECIDED)
		return;
	if (frame.protocol != IPPROTO_TCP || frame.first_fragment || frame.tcp_flags & (TCP_RST | TCP_FIN))
		return;
	is_syn = frame.tcp_flags & TCP_SYN;
	if (is_syn == !!(frame.tcp_flags & TCP_ACK) || !is_trap_port(packet.port) || !is_own(config, &frame, &packet.destination))
		return;
	if (!is_trap_alive(config, &packet) || is_tcp_open(&frame, config, &packet, false))
		return;
	key = frame.ipv6;
	listener = bpf_map_lookup_elem(&trap_listener, &key);
	if (!listener)
		return;
	if ((is_syn || brings_cookie(&frame, listener)) && !bpf_sk_assign(context, listener, 0))
		bump(HM_COUNT_STEERED);
	bpf_sk_release(listener);
}

#endif
