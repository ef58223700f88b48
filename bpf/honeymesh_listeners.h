/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* sock_ops: a service is known from its listen(2) on. Were it known from the first packet that finds it only, one that stops before would
 * leave a trap for those who come for it. docs/packet-path.md, 11. */
#ifndef HONEYMESH_LISTENERS_H
#define HONEYMESH_LISTENERS_H

#include "honeymesh_ports.h"
#include "honeymesh_proven.h"

#define FAMILY_IPV4 2
#define LOOPBACK_NET 127

static __always_inline bool is_loopback_v4(__be32 address)
{
	return bpf_ntohl(address) >> 24 == LOOPBACK_NET;
}

/* Whom a listener on loopback serves comes over no interface that is judged. */
static __always_inline bool listens_on_loopback(struct bpf_sock_ops *context)
{
	__be32 high = context->local_ip6[0], low = context->local_ip6[1], third = context->local_ip6[2], last = context->local_ip6[3];

	if (context->family == FAMILY_IPV4)
		return is_loopback_v4(context->local_ip4);
	if (high || low)
		return false;
	return third == bpf_htonl(0xffff) ? is_loopback_v4(last) : !third && last == bpf_htonl(1);
}

static __always_inline void note_listener(struct bpf_sock_ops *context)
{
	__u32 row = context->local_port;
	__u64 *served_at;

	if (!is_real(the_config(), context) || listens_on_loopback(context))
		return;
	served_at = bpf_map_lookup_elem(&served, &row);
	if (served_at && row < SERVED_UDP)
		note_served(served_at, *served_at, bpf_ktime_get_coarse_ns());
}

#endif
