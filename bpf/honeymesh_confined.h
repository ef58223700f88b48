/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Whoever is confined talks to traps and to nothing else: not to a service, not on connections that were open before. Whose a connection is
 * says the mark of its socket, which those of traps inherit. docs/packet-path.md, 12. */
#ifndef HONEYMESH_CONFINED_H
#define HONEYMESH_CONFINED_H

#include "honeymesh_rules.h"
#include "honeymesh_traps.h"

/* What `confine` decides beyond verdicts: an opening, which is counted and then passes, unless there are too many of them. */
#define OPENING_PROBE (HM_VERDICTS + 1)
#define OPENING_KNOWN (HM_VERDICTS + 2) /* of a connection that is there already: no probe */

static __always_inline __u32 confine_tcp(const struct hm_frame *frame, const struct hm_config *config, struct hm_packet *packet)
{
	bool opens = is_syn(frame->tcp_flags), listens, trapped;
	__u32 key = frame->ipv6, verdict = HM_DROP_CONFINED;
	struct bpf_sock *socket;

	if (frame->tiny || is_anomaly(frame->tcp_flags))
		return HM_DROP_CONFINED;
	socket = find_marked_tcp(frame, packet);
	if (likely(socket)) {
		trapped = is_of_traps(config, socket);
		listens = socket->state == BPF_TCP_LISTEN && socket->src_port == packet->port;
		bpf_sk_release(socket);
		if (!trapped)
			return HM_DROP_CONFINED;
		return likely(!opens) ? HM_PASS : listens ? OPENING_PROBE : OPENING_KNOWN;
	}
	if ((!opens && !is_ack(frame->tcp_flags)) || !is_tcp_trap_port(config, packet->port) || is_tcp_open(frame, config, packet, false))
		return HM_DROP_CONFINED;
	if (opens)
		return OPENING_PROBE;
	socket = bpf_map_lookup_elem(&trap_listener, &key);
	if (!socket)
		return HM_DROP_CONFINED;
	if (brings_cookie(frame, socket))
		verdict = HM_PASS;
	bpf_sk_release(socket);
	return verdict;
}

static __always_inline __u32 confine_udp(const struct hm_frame *frame, const struct hm_config *config, struct hm_packet *packet)
{
	struct bpf_sock *socket = find_udp(frame, packet);
	bool trapped;

	if (socket) {
		trapped = is_of_traps(config, socket);
		bpf_sk_release(socket);
	} else {
		trapped = may_steer_udp(frame, config, packet);
	}
	return trapped ? OPENING_PROBE : HM_DROP_CONFINED;
}

static __always_inline __u32 confine(struct hm_frame *frame, const struct hm_config *config, struct hm_packet *packet)
{
	__u32 verdict;

	if (parse_l3(frame) != HM_UNDECIDED || measure(frame) != HM_UNDECIDED)
		return HM_DROP_CONFINED;
	verdict = parse_l4(frame, packet);
	if (verdict == HM_PASS && is_neighbour_discovery(frame))
		return HM_PASS;
	if (verdict != HM_UNDECIDED || frame->first_fragment || !config->trap_mark)
		return HM_DROP_CONFINED;
	if (!is_own(config, frame, &packet->destination) || !is_trap_alive(config, packet))
		return HM_DROP_CONFINED;
	if (frame->protocol == IPPROTO_TCP)
		return confine_tcp(frame, config, packet);
	return frame->protocol == IPPROTO_UDP ? confine_udp(frame, config, packet) : HM_DROP_CONFINED;
}

/* Global functions, for what is rare: the way of everybody else keeps its registers, and the verifier follows these once. Two, as their
 * stacks would not fit on each other. */
__noinline __u32 look_confined(struct xdp_md *context, const struct hm_config *config, struct hm_packet *packet)
{
	struct hm_frame frame = { .context = context, .is_xdp = true };

	if (!config || !packet)
		return HM_DROP_CONFINED;
	frame.data = (void *)(long)context->data;
	frame.end = (void *)(long)context->data_end;
	return confine(&frame, config, packet);
}

/* An opening that is let through, up to the rate: it counts and is reported as any other, but the shun that may follow does not keep it out.
 * Once there is a shun the flood is known, and is dropped without prolonging it for each packet. */
__noinline __u32 open_confined(struct xdp_md *context, const struct hm_config *config, struct hm_packet *packet, __u32 opening)
{
	struct hm_frame frame = { .context = context, .is_xdp = true };
	struct hm_tracker *tracker;
	__u32 rate, kind;
	bool tcp;

	if (!config || !packet)
		return HM_DROP_CONFINED;
	tracker = find_tracker(&frame, config, packet);
	if (!tracker)
		return HM_PASS;
	tcp = packet->protocol == IPPROTO_TCP;
	kind = tcp ? HM_SHUN_TCP : HM_SHUN_UDP;
	rate = tcp ? over_rate(packet, tracker, HM_WINDOW_SYN, config->syn_per_second) :
		     over_rate(packet, tracker, HM_WINDOW_UDP_CLOSED, config->udp_per_second);
	if (unlikely(rate)) {
		if (!find_shun(packet, kind))
			return flooded(&frame, config, packet, kind, rate);
		return is_proven(config, packet) ? HM_DROP_POLICED : HM_DROP_FLOOD;
	}
	if (opening == OPENING_KNOWN)
		return HM_PASS;
	packet->confined = true;
	return count_probe(&frame, config, packet, tracker, tcp ? HM_PROBE_SYN : HM_PROBE_UDP, HM_PASS);
}

static __always_inline __u32 judge_confined(const struct hm_frame *frame, const struct hm_config *config, struct hm_packet *packet)
{
	__u32 verdict;

	describe(frame, packet);
	verdict = look_confined(frame->context, config, packet);
	return verdict > HM_VERDICTS ? open_confined(frame->context, config, packet, verdict) : verdict;
}

#endif
