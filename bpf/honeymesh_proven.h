/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* sock_ops: who completed a handshake with a real service cannot be spoofed, and is policed instead of shunned.
 * docs/packet-path.md, 11. */
#ifndef HONEYMESH_PROVEN_H
#define HONEYMESH_PROVEN_H

#include "honeymesh_packet.h"

/* The cgroup holds other network namespaces too; a trap's mark is inherited by its connections. */
static __always_inline bool is_real(const struct hm_config *config, struct bpf_sock_ops *context)
{
	struct bpf_sock *socket = context->sk;

	return config && socket && bpf_get_netns_cookie(context) == config->netns_cookie && (!config->trap_mark || socket->mark != config->trap_mark);
}

static __always_inline void note_proven(struct bpf_sock_ops *context)
{
	__be32 high = context->remote_ip6[0], low = context->remote_ip6[1];
	__u64 key, now;

	if (!is_real(the_config(), context))
		return;
	/* an IPv4 peer of an IPv6 socket shows as ::ffff:a.b.c.d */
	if (context->family == 2 /* AF_INET */ || (!high && !low && context->remote_ip6[2] == bpf_htonl(0xffff)))
		key = 0xffff00000000ull | bpf_ntohl(context->remote_ip4);
	else
		key = (__u64)bpf_ntohl(high) << 32 | bpf_ntohl(low);
	now = bpf_ktime_get_coarse_ns();
	bpf_map_update_elem(&proven, &key, &now, BPF_ANY);
}

#endif
