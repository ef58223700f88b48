/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Which closed ports are traps, whether anybody minds them, and which sockets are theirs. docs/packet-path.md, 5, 11 and 12. */
#ifndef HONEYMESH_TRAPS_H
#define HONEYMESH_TRAPS_H

#include "honeymesh_ports.h"

#define TRAP_PORTS_UDP 1024 /* the word at which those of UDP begin */

static __always_inline bool has_trap(__u32 first_word, __u16 port)
{
	__u32 word = first_word + (port >> 6);
	const __u64 *bits = bpf_map_lookup_elem(&trap_ports, &word);

	return bits && port && *bits >> (port & 63) & 1;
}

static __always_inline bool is_tcp_trap_port(const struct hm_config *config, __u16 port)
{
	return config->trap_port && has_trap(0, port);
}

static __always_inline bool is_udp_trap_port(const struct hm_config *config, __u16 port)
{
	return config->trap_udp_port && has_trap(TRAP_PORTS_UDP, port);
}

/* A trap process that died or hangs is a closed port, not a connection that nobody answers. */
static __always_inline bool is_trap_alive(const struct hm_config *config, struct hm_packet *packet)
{
	__u32 key = 0;
	const __u64 *beat = bpf_map_lookup_elem(&heartbeat, &key);

	return beat && *beat && *beat + config->heartbeat_ttl_ns > clock(packet);
}

static __always_inline bool is_syn(__u8 flags)
{
	return (flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

static __always_inline bool is_ack(__u8 flags)
{
	return (flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_ACK;
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

static __always_inline bool is_of_traps(const struct hm_config *config, const struct bpf_sock *socket)
{
	return config->trap_mark && socket->mark == config->trap_mark;
}

/* A datagram to a trap port, as far as everything but sockets says. */
static __always_inline bool may_steer_udp(const struct hm_frame *frame, const struct hm_config *config, struct hm_packet *packet)
{
	return is_udp_trap_port(config, packet->port) && !is_dhcp(frame, packet) && !is_udp_served(config, packet) &&
	       !answers_us(config, packet, IPPROTO_UDP, frame->source_port, packet->port);
}

#endif
