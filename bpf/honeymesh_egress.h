/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* tc egress: remembers whom this host spoke to, and lets nothing out to whom it banned: what got in before cannot call home.
 * docs/packet-path.md, 11. */
#ifndef HONEYMESH_EGRESS_H
#define HONEYMESH_EGRESS_H

#include "honeymesh_steer.h"

/* A flow that is noted already is only touched: an update would take the LRU's lock for every datagram. */
static __always_inline void note_flow(const struct hm_frame *frame, struct hm_packet *packet)
{
	struct hm_flow flow = { .protocol = frame->protocol };
	__u64 now = clock(packet), *at;

	__builtin_memcpy(flow.remote, &packet->destination, sizeof(flow.remote));
	if (frame->protocol == IPPROTO_UDP) {
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

/* True: the packet is to be dropped. */
static __always_inline bool judge_egress(struct __sk_buff *context)
{
	const struct hm_config *config = the_config();
	struct hm_packet packet;
	struct hm_frame frame;

	if (unlikely(!config))
		return false;
	frame = frame_of(context);
	packet.now = 0;
	if (parse_l3(&frame) != HM_UNDECIDED)
		return false;
	describe(&frame, &packet);
	if (config->flags & HM_FLAG_EGRESS_DROP && is_barred(config, &frame, &packet) && settle(config, &packet, HM_DROP_EGRESS, context->len))
		return true;
	if (measure(&frame) == HM_UNDECIDED && parse_l4(&frame, &packet) == HM_UNDECIDED && opens_flow(&frame) && is_own(config, &frame, &packet.source))
		note_flow(&frame, &packet);
	return false;
}

#endif
