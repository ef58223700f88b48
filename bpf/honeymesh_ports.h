/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Is there a service on this port? The kernel's own socket tables say so at packet time; `served` remembers it for a while, so that
 * the restart of a web server does not make scanners of its customers. docs/packet-path.md, 5 and 7. */
#ifndef HONEYMESH_PORTS_H
#define HONEYMESH_PORTS_H

#include "honeymesh_parse.h"

#define SERVED_ALWAYS (~0ull)
#define SERVED_UDP 65536
#define IDENT_PORT 113
#define PORT_DHCP_SERVER 67
#define PORT_DHCP_CLIENT 68
#define PORT_DHCP6_SERVER 547
#define PORT_DHCP6_CLIENT 546

/* Last seen served at `seen`: does that still hold? */
static __always_inline bool in_grace(const struct hm_config *config, struct hm_packet *packet, __u64 seen)
{
	return seen == SERVED_ALWAYS || (seen && seen + config->grace_ns > clock(packet));
}

/* At most once a second, and never over the daemon's "always". */
static __always_inline void note_served(__u64 *served_at, __u64 seen, __u64 now)
{
	if (seen != SERVED_ALWAYS && seen + HM_SECOND_NS <= now)
		__sync_val_compare_and_swap(served_at, seen, now);
}

static __always_inline void fill_tuple(struct bpf_sock_tuple *tuple, const struct hm_frame *frame, const struct hm_packet *packet)
{
	if (likely(!frame->ipv6)) {
		tuple->ipv4.saddr = packet->source.words[3];
		tuple->ipv4.daddr = packet->destination.words[3];
		tuple->ipv4.sport = bpf_htons(frame->source_port);
		tuple->ipv4.dport = bpf_htons(packet->port);
		return;
	}
	__builtin_memcpy(tuple->ipv6.saddr, &packet->source, sizeof(tuple->ipv6.saddr));
	__builtin_memcpy(tuple->ipv6.daddr, &packet->destination, sizeof(tuple->ipv6.daddr));
	tuple->ipv6.sport = bpf_htons(frame->source_port);
	tuple->ipv6.dport = bpf_htons(packet->port);
}

/* The size of the tuple tells the helper the family. */
static __always_inline struct bpf_sock *find_tcp(const struct hm_frame *frame, const struct hm_packet *packet)
{
	struct bpf_sock_tuple tuple;

	fill_tuple(&tuple, frame, packet);
	if (likely(!frame->ipv6))
		return bpf_skc_lookup_tcp(frame->context, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	return bpf_skc_lookup_tcp(frame->context, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
}

/* The same where the socket's mark matters: a request shows as the listener that it came to, TIME-WAIT as none. */
static __always_inline struct bpf_sock *find_marked_tcp(const struct hm_frame *frame, const struct hm_packet *packet)
{
	struct bpf_sock_tuple tuple;

	fill_tuple(&tuple, frame, packet);
	if (likely(!frame->ipv6))
		return bpf_sk_lookup_tcp(frame->context, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	return bpf_sk_lookup_tcp(frame->context, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
}

static __always_inline struct bpf_sock *find_udp(const struct hm_frame *frame, const struct hm_packet *packet)
{
	struct bpf_sock_tuple tuple;

	fill_tuple(&tuple, frame, packet);
	if (likely(!frame->ipv6))
		return bpf_sk_lookup_udp(frame->context, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	return bpf_sk_lookup_udp(frame->context, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
}

/* `watching`: a SYN also keeps `served` fresh; data segments take its word, and cost no look-up on a port in grace. */
static __always_inline bool is_tcp_open(const struct hm_frame *frame, const struct hm_config *config, struct hm_packet *packet, bool watching)
{
	__u32 row = packet->port;
	__u64 *served_at = bpf_map_lookup_elem(&served, &row), seen, now;
	struct bpf_sock *socket;
	bool open;

	if (unlikely(!served_at))
		return true;
	seen = *served_at;
	open = in_grace(config, packet, seen);
	if (open && (!watching || seen == SERVED_ALWAYS || seen + HM_SECOND_NS > clock(packet)))
		return true;
	socket = find_tcp(frame, packet);
	if (!socket)
		return open;
	now = clock(packet);
	if (socket->state != BPF_TCP_LISTEN) {
		open = true;
	} else if (!config->trap_port || socket->src_port != config->trap_port) {
		open = true;
		note_served(served_at, seen, now);
	}
	bpf_sk_release(socket);
	return open;
}

static __always_inline bool is_udp_served(const struct hm_config *config, struct hm_packet *packet)
{
	__u32 row = SERVED_UDP + packet->port;
	const __u64 *served_at = bpf_map_lookup_elem(&served, &row);

	return served_at && in_grace(config, packet, *served_at);
}

enum hm_udp_state { UDP_CLOSED, UDP_OPEN, UDP_CONNECTED };

static __always_inline enum hm_udp_state udp_state(const struct hm_frame *frame, const struct hm_config *config, struct hm_packet *packet)
{
	__u32 row = SERVED_UDP + packet->port;
	__u64 *served_at = bpf_map_lookup_elem(&served, &row), now = clock(packet);
	struct bpf_sock *socket = find_udp(frame, packet);
	enum hm_udp_state state = UDP_OPEN;

	if (socket) {
		bool is_trap = config->trap_udp_port && socket->src_port == config->trap_udp_port;

		if (socket->dst_port)
			state = UDP_CONNECTED;
		else if (served_at && !is_trap)
			note_served(served_at, *served_at, now);
		bpf_sk_release(socket);
		if (!is_trap)
			return state;
	}
	return is_udp_served(config, packet) ? UDP_OPEN : UDP_CLOSED;
}

static __always_inline bool is_dhcp(const struct hm_frame *frame, const struct hm_packet *packet)
{
	__u16 from = frame->source_port, to = packet->port;

	return (from == PORT_DHCP_SERVER && to == PORT_DHCP_CLIENT) || (from == PORT_DHCP6_SERVER && to == PORT_DHCP6_CLIENT);
}

static __always_inline bool sent_within(struct hm_packet *packet, __u8 protocol, __u16 remote_port, __u16 local_port, __u64 ttl_ns)
{
	struct hm_flow flow = { .remote_port = remote_port, .local_port = local_port, .protocol = protocol };
	const __u64 *at;

	__builtin_memcpy(flow.remote, &packet->source, sizeof(flow.remote));
	at = bpf_map_lookup_elem(&flows_out, &flow);
	return at && *at + ttl_ns > clock(packet);
}

/* Did this host send to that address (and port) lately? */
static __always_inline bool answers_us(const struct hm_config *config, struct hm_packet *packet, __u8 protocol, __u16 remote_port, __u16 local_port)
{
	return sent_within(packet, protocol, remote_port, local_port, config->flow_ttl_ns);
}

/* Of a connection that this host forwards under its own address. */
static __always_inline bool is_forwarded(const struct hm_frame *frame, struct hm_packet *packet)
{
	return sent_within(packet, IPPROTO_TCP, frame->source_port, packet->port, HM_FORWARDED_NS);
}

static __always_inline bool is_ident(const struct hm_config *config, struct hm_packet *packet)
{
	return unlikely(packet->port == IDENT_PORT) && answers_us(config, packet, IPPROTO_TCP, 0, 0);
}

#endif
