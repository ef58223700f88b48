/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The rules for packets to this host's own addresses, one function a protocol. docs/packet-path.md, 5 to 8. */
#ifndef HONEYMESH_RULES_H
#define HONEYMESH_RULES_H

#include "honeymesh_parse.h"
#include "honeymesh_bans.h"
#include "honeymesh_ports.h"
#include "honeymesh_tracker.h"

#define PORT_NETBIOS 137
#define PORT_SSDP 1900
#define PORT_MDNS 5353

static __always_inline __u32 count_closed(const struct hm_frame *frame, const struct hm_config *config, struct hm_packet *packet, enum hm_probe probe, __u32 otherwise)
{
	struct hm_tracker *tracker = find_tracker(frame, config, packet);

	return tracker ? count_probe(frame, config, packet, tracker, probe, otherwise) : otherwise;
}

static __always_inline __u32 flooded(const struct hm_frame *frame, const struct hm_config *config, struct hm_packet *packet, __u32 kind, __u32 rate)
{
	locate(frame, packet);
	return answer_flood(config, packet, kind, rate);
}

static __always_inline __u32 drop_shunned(struct hm_shun *shun)
{
	__sync_fetch_and_add(&shun->drops, 1);
	return HM_DROP_SHUN;
}

static __always_inline bool is_locked_out(const struct hm_config *config, struct hm_packet *packet)
{
	return unlikely(config->mode == HM_MODE_LOCKDOWN) && !is_proven(config, packet);
}

static __always_inline __u32 judge_syn(const struct hm_frame *frame, const struct hm_config *config, struct hm_packet *packet)
{
	struct hm_tracker *tracker;
	struct hm_shun *shun;
	__u32 rate;

	if (is_locked_out(config, packet))
		return HM_DROP_LOCKDOWN;
	if (is_ident(config, packet))
		return HM_PASS;
	shun = find_shun(packet, HM_SHUN_TCP);
	if (unlikely(shun)) {
		if (!is_proven(config, packet))
			return drop_shunned(shun);
		if (!is_tcp_open(frame, config, packet, true))
			return HM_DROP_POLICED;
		tracker = find_tracker(frame, config, packet);
		return tracker && over_rate(packet, tracker, HM_WINDOW_SYN, config->syn_per_second) ? HM_DROP_POLICED : HM_PASS;
	}
	tracker = find_tracker(frame, config, packet);
	if (unlikely(!tracker))
		return HM_PASS;
	rate = over_rate(packet, tracker, HM_WINDOW_SYN, config->syn_per_second);
	if (unlikely(rate))
		return flooded(frame, config, packet, HM_SHUN_TCP, rate);
	if (is_tcp_open(frame, config, packet, true))
		return HM_PASS;
	return count_probe(frame, config, packet, tracker, HM_PROBE_SYN, HM_PASS);
}

/* ACK, FIN+ACK, data: nearly every packet. A stray belongs to no connection and asks a closed port. */
static __always_inline __u32 judge_segment(const struct hm_frame *frame, const struct hm_config *config, struct hm_packet *packet)
{
	struct hm_shun *shun;

	if (packet->port >= config->ephemeral_low && packet->port <= config->ephemeral_high)
		return HM_PASS;
	if (likely(is_tcp_open(frame, config, packet, false)) || is_ident(config, packet) || is_forwarded(frame, packet))
		return HM_PASS;
	shun = find_shun(packet, HM_SHUN_TCP);
	if (shun)
		return drop_shunned(shun);
	return count_closed(frame, config, packet, HM_PROBE_FLAG, HM_PASS);
}

static __always_inline __u32 judge_tcp(const struct hm_frame *frame, const struct hm_config *config, struct hm_packet *packet)
{
	__u8 flags = frame->tcp_flags;

	if (unlikely(frame->tiny))
		return count_closed(frame, config, packet, HM_PROBE_MALFORMED, HM_DROP_MALFORMED);
	if (unlikely(is_anomaly(flags)))
		return is_tcp_open(frame, config, packet, true) ? HM_DROP_ANOMALY : count_closed(frame, config, packet, HM_PROBE_FLAG, HM_DROP_ANOMALY);
	if (flags & TCP_RST)
		return HM_PASS;
	if (flags & TCP_SYN)
		return flags & TCP_ACK ? HM_PASS : judge_syn(frame, config, packet);
	return judge_segment(frame, config, packet);
}

static __always_inline bool is_lan_noise(const struct hm_frame *frame, const struct hm_packet *packet)
{
	__u16 to = packet->port;

	return is_dhcp(frame, packet) || to == PORT_NETBIOS || to == PORT_SSDP || to == PORT_MDNS;
}

static __always_inline __u32 judge_open_udp(const struct hm_frame *frame, const struct hm_config *config, struct hm_packet *packet)
{
	struct hm_tracker *tracker;

	if (likely(!config->open_udp_per_second))
		return HM_PASS;
	tracker = find_tracker(frame, config, packet);
	return tracker && over_rate(packet, tracker, HM_WINDOW_UDP_OPEN, config->open_udp_per_second) ? HM_DROP_UDP_EXCESS : HM_PASS;
}

static __always_inline __u32 judge_udp(const struct hm_frame *frame, const struct hm_config *config, struct hm_packet *packet)
{
	enum hm_udp_state state;
	struct hm_tracker *tracker;
	struct hm_shun *shun;
	__u32 rate;

	if (is_lan_noise(frame, packet))
		return HM_PASS;
	/* what a service of ours answered looks like a flow of our own: it must not lift the service's limit */
	if (answers_us(config, packet, IPPROTO_UDP, frame->source_port, packet->port))
		return likely(!config->open_udp_per_second) || !is_udp_served(config, packet) ? HM_PASS : judge_open_udp(frame, config, packet);
	state = udp_state(frame, config, packet);
	if (state == UDP_CONNECTED)
		return HM_PASS;
	if (is_locked_out(config, packet))
		return HM_DROP_LOCKDOWN;
	shun = find_shun(packet, HM_SHUN_UDP);
	if (unlikely(shun)) {
		if (!is_proven(config, packet))
			return drop_shunned(shun);
		if (state == UDP_CLOSED)
			return HM_DROP_POLICED;
	}
	if (state == UDP_OPEN)
		return judge_open_udp(frame, config, packet);
	tracker = find_tracker(frame, config, packet);
	if (!tracker)
		return HM_PASS;
	rate = over_rate(packet, tracker, HM_WINDOW_UDP_CLOSED, config->udp_per_second);
	if (unlikely(rate))
		return flooded(frame, config, packet, HM_SHUN_UDP, rate);
	return count_probe(frame, config, packet, tracker, HM_PROBE_UDP, HM_PASS);
}

static __always_inline __u32 judge_echo(const struct hm_frame *frame, const struct hm_config *config, struct hm_packet *packet)
{
	struct hm_shun *shun = find_shun(packet, HM_SHUN_ECHO);
	struct hm_tracker *tracker;
	__u32 rate;

	if (unlikely(shun) && !is_proven(config, packet))
		return drop_shunned(shun);
	tracker = find_tracker(frame, config, packet);
	if (!tracker)
		return HM_PASS;
	rate = over_rate(packet, tracker, HM_WINDOW_ECHO, config->echo_per_second);
	return unlikely(rate) ? flooded(frame, config, packet, HM_SHUN_ECHO, rate) : HM_PASS;
}

/* Whether, why and how: the order of docs/packet-path.md. */
static __always_inline __u32 judge(struct hm_frame *frame, const struct hm_config *config, struct hm_packet *packet)
{
	__u32 verdict = parse_l3(frame);

	if (unlikely(verdict != HM_UNDECIDED))
		return verdict;
	verdict = judge_source(config, frame, packet);
	if (verdict != HM_UNDECIDED)
		return verdict;
	verdict = measure(frame);
	if (unlikely(verdict != HM_UNDECIDED))
		return verdict;
	describe(frame, packet);
	if (!is_own(config, frame, &packet->destination))
		return HM_PASS;
	verdict = parse_l4(frame, packet);
	if (verdict != HM_UNDECIDED)
		return verdict;
	if (likely(frame->protocol == IPPROTO_TCP))
		return judge_tcp(frame, config, packet);
	if (frame->protocol == IPPROTO_UDP)
		return judge_udp(frame, config, packet);
	return judge_echo(frame, config, packet);
}

#endif
