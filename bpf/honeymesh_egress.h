/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* tc egress: remembers whom this host spoke to, and lets nothing out to whom it banned: what got in before cannot call home. Traps answer whom
 * they may, from the port that was asked.
 * docs/packet-path.md, 11. */
#ifndef HONEYMESH_EGRESS_H
#define HONEYMESH_EGRESS_H

#include "honeymesh_steer.h"

/* A flow that is noted already is only touched: an update would take the LRU's lock for every datagram. */
static __always_inline void note_flow(const struct hm_frame *frame, struct hm_packet *packet, bool with_ports)
{
	struct hm_flow flow = { .protocol = frame->protocol };
	__u64 now = clock(packet), *at;

	__builtin_memcpy(flow.remote, &packet->destination, sizeof(flow.remote));
	if (with_ports) {
		flow.remote_port = packet->port;
		flow.local_port = frame->source_port;
	}
	at = bpf_map_lookup_elem(&flows_out, &flow);
	if (at)
		*at = now;
	else
		bpf_map_update_elem(&flows_out, &flow, &now, BPF_ANY);
}

static __always_inline bool opens_flow(const struct hm_frame *frame)
{
	if (frame->protocol == IPPROTO_UDP)
		return true;
	return frame->protocol == IPPROTO_TCP && !frame->tiny && (frame->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* No socket of this host sent it: it is forwarded, under our address (NAT keeps the port where it can). What answers it finds no socket either, so
 * where neither the port's number nor a published service says so, only this tells it from a stray. Our resets may come without a socket, too. */
static __always_inline bool is_forwarded_tcp(const struct __sk_buff *context, const struct hm_frame *frame, const struct hm_config *config, struct hm_packet *packet)
{
	__u32 row = frame->source_port;
	const __u64 *served_at;

	if (context->sk || frame->protocol != IPPROTO_TCP || frame->tiny || frame->tcp_flags & TCP_RST)
		return false;
	if (row >= config->ephemeral_low && row <= config->ephemeral_high)
		return false;
	served_at = bpf_map_lookup_elem(&served, &row);
	return !served_at || !in_grace(config, packet, *served_at);
}

static __always_inline bool is_sent_by_trap(const struct __sk_buff *context, const struct hm_config *config)
{
	return context->mark && context->mark == config->trap_mark;
}

/* Global functions, here and below, for what is rare: see honeymesh_walks.h. This one must not bring anything into reach: its caller's pointers
 * into the packet stay good. */
__noinline int is_discovery(struct __sk_buff *context)
{
	struct hm_frame frame = { .context = context, .is_xdp = false };
	struct hm_packet packet;

	frame.data = (void *)(long)context->data;
	frame.end = (void *)(long)context->data_end;
	packet.now = 0;
	if (parse_l3(&frame) != HM_UNDECIDED || measure(&frame) != HM_UNDECIDED)
		return false;
	describe(&frame, &packet);
	return parse_l4(&frame, &packet) == HM_PASS && is_neighbour_discovery(&frame);
}

static __always_inline bool is_barred(struct __sk_buff *context, const struct hm_config *config, const struct hm_frame *frame, struct hm_packet *packet)
{
	enum hm_bar bar = bar_to_destination(config, frame, packet);

	if (likely(bar == BAR_NONE))
		return false;
	return bar == BAR_ALL || !(is_sent_by_trap(context, config) || (frame->ipv6 && is_discovery(context)));
}

/* Gives a trap's datagram, whose UDP header begins at `at`, the port that its receiver asked. True: nobody knows it, the packet is to be
 * dropped. No pointer into the packet is good afterwards. */
__noinline int restore_port(struct __sk_buff *context, const struct hm_config *config, const struct hm_packet *packet, __u32 at)
{
	struct hm_udp_peer peer = {};
	const __u16 *asked;
	__be16 from, to;

	if (!config || !packet)
		return true;
	__builtin_memcpy(peer.remote, &packet->destination, sizeof(peer.remote));
	peer.remote_port = packet->port;
	asked = bpf_map_lookup_elem(&udp_replies, &peer);
	if (!asked) {
		bump(HM_COUNT_REPLIES_LOST);
		return true;
	}
	from = bpf_htons(config->trap_udp_port);
	to = bpf_htons(*asked);
	return bpf_l4_csum_replace(context, at + __builtin_offsetof(struct udphdr, check), from, to, BPF_F_MARK_MANGLED_0 | sizeof(to)) ||
	       bpf_skb_store_bytes(context, at + __builtin_offsetof(struct udphdr, source), &to, sizeof(to), 0);
}

/* True: the packet is to be dropped. */
static __always_inline bool judge_egress(struct __sk_buff *context)
{
	const struct hm_config *config = the_config();
	struct hm_packet packet;
	struct hm_frame frame;
	bool opens, forwarded;

	if (unlikely(!config))
		return false;
	frame = frame_of(context);
	packet.now = 0;
	if (parse_l3(&frame) != HM_UNDECIDED)
		return false;
	describe(&frame, &packet);
	if (config->flags & HM_FLAG_EGRESS_DROP && is_barred(context, config, &frame, &packet) && settle(config, &packet, HM_DROP_EGRESS, context->len))
		return true;
	if (measure(&frame) != HM_UNDECIDED || parse_l4(&frame, &packet) != HM_UNDECIDED)
		return false;
	opens = opens_flow(&frame);
	forwarded = is_forwarded_tcp(context, &frame, config, &packet);
	if (!opens && !forwarded)
		return false;
	if (unlikely(frame.protocol == IPPROTO_UDP && config->trap_udp_port && frame.source_port == config->trap_udp_port && is_sent_by_trap(context, config)))
		return restore_port(context, config, &packet, frame.l4 - frame.data);
	if (!is_own(config, &frame, &packet.source))
		return false;
	if (opens)
		note_flow(&frame, &packet, frame.protocol == IPPROTO_UDP);
	if (forwarded)
		note_flow(&frame, &packet, true);
	return false;
}

#endif
