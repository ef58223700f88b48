/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* tc ingress: connections to closed ports that are traps go to the trap's listener, datagrams to its UDP socket. Nothing is tracked, so nothing can be stale: the
 * kernel's socket tables are asked for each packet that could open a session, and no other packet is touched.
 * docs/packet-path.md, 11. */
#ifndef HONEYMESH_STEER_H
#define HONEYMESH_STEER_H

#include <linux/pkt_cls.h>

#include "honeymesh_parse.h"
#include "honeymesh_bans.h"
#include "honeymesh_traps.h"

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

static __always_inline void steer_tcp(struct __sk_buff *context, const struct hm_frame *frame, const struct hm_config *config, struct hm_packet *packet)
{
	bool opens = is_syn(frame->tcp_flags);
	struct bpf_sock *listener;
	__u32 key = frame->ipv6;

	if ((!opens && !is_ack(frame->tcp_flags)) || !is_tcp_trap_port(config, packet->port) || !is_own(config, frame, &packet->destination))
		return;
	if (!is_trap_alive(config, packet) || is_tcp_open(frame, config, packet, false) || is_ident(config, packet))
		return;
	listener = bpf_map_lookup_elem(&trap_listener, &key);
	if (!listener)
		return;
	if ((opens || brings_cookie(frame, listener)) && !bpf_sk_assign(context, listener, 0))
		bump(HM_COUNT_STEERED);
	bpf_sk_release(listener);
}

/* The traps' one socket learns the port that was asked from the datagram itself: nothing is noted. */
static __always_inline void steer_udp(struct __sk_buff *context, const struct hm_frame *frame, const struct hm_config *config, struct hm_packet *packet)
{
	__u16 asked = packet->port;
	struct bpf_sock *socket;
	bool is_real = false;

	if (!may_steer_udp(frame, config, packet) || !is_own(config, frame, &packet->destination) || !is_trap_alive(config, packet))
		return;
	socket = find_udp(frame, packet);
	if (socket) {
		is_real = socket->src_port != config->trap_udp_port;
		bpf_sk_release(socket);
	}
	if (is_real)
		return;
	packet->port = config->trap_udp_port;
	socket = find_udp(frame, packet);
	packet->port = asked;
	if (!socket)
		return;
	if (is_of_traps(config, socket) && !bpf_sk_assign(context, socket, 0))
		bump(HM_COUNT_STEERED_UDP);
	bpf_sk_release(socket);
}

static __always_inline void steer(struct __sk_buff *context)
{
	const struct hm_config *config = the_config();
	struct hm_packet packet;
	struct hm_frame frame;

	if (unlikely(!config || (!config->trap_port && !config->trap_udp_port)))
		return;
	frame = frame_of(context);
	packet.now = 0;
	if (parse_l3(&frame) != HM_UNDECIDED || measure(&frame) != HM_UNDECIDED)
		return;
	describe(&frame, &packet);
	if (parse_l4(&frame, &packet) != HM_UNDECIDED || frame.first_fragment)
		return;
	if (frame.protocol == IPPROTO_TCP)
		steer_tcp(context, &frame, config, &packet);
	else if (frame.protocol == IPPROTO_UDP)
		steer_udp(context, &frame, config, &packet);
}

#endif
