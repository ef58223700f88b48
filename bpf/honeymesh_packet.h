/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What the programs know of one packet, and the three things that nearly every rule needs: the clock, the config, a counter. */
#ifndef HONEYMESH_PACKET_H
#define HONEYMESH_PACKET_H

#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/if_ether.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "honeymesh_maps.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Not a verdict: the rules that follow decide. */
#define HM_UNDECIDED HM_VERDICTS

union hm_address {
	struct hm_address6 key;
	__be32 words[4]; /* IPv4: ::ffff:a.b.c.d, the address itself in the last word */
	__be64 halves[2];
};

/* The frame as it is parsed: where the bytes are and what they say. Stays in registers, as no function of its own gets it. */
struct hm_frame {
	void *context; /* of the program: struct xdp_md or struct __sk_buff */
	void *data;
	void *end;
	void *l3;
	void *l4;
	__u32 header; /* bytes of the IP header, without extensions */
	__u32 left; /* bytes from l4 up to the limit that the IP header sets */
	__u16 source_port; /* host order */
	__u8 tcp_flags;
	__u8 protocol;
	bool is_xdp;
	bool ipv6;
	bool first_fragment;
	bool later_fragment;
	bool evasive_fragment; /* IPv4: offset 8, which would rewrite the TCP flags of the first */
	bool tiny; /* TCP header incomplete: in a first fragment, the rest hides in the next one */
};

/* What counts and reports need of it. Written late (a banned source's packet has none of it but the clock) and wholly: kernels before
 * 6.3 want every byte of what a global function gets to be written. */
struct hm_packet {
	union hm_address source;
	union hm_address destination;
	__u64 source_key;
	__u64 now;    /* CLOCK_MONOTONIC_COARSE, 0: not read yet */
	__u64 now_ms; /* 0: not divided yet */
	__u32 ifindex;
	__u16 port; /* the destination's, host order; 0: none */
	__u8 protocol;
	bool confined; /* its source is, and may open this: what it leads to does not keep it out */
};
_Static_assert(sizeof(struct hm_packet) == 64, "hm_packet");

#define NS_PER_MS 1000000

/* One reading a packet, and none for a packet that no time matters to. */
static __always_inline __u64 clock(struct hm_packet *packet)
{
	if (!packet->now)
		packet->now = bpf_ktime_get_coarse_ns();
	return packet->now;
}

static __always_inline __u64 clock_ms(struct hm_packet *packet)
{
	if (!packet->now_ms)
		packet->now_ms = clock(packet) / NS_PER_MS;
	return packet->now_ms;
}

static __always_inline const struct hm_config *the_config(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&config, &key);
}

static __always_inline void bump(enum hm_counter counter)
{
	__u32 row = HM_VERDICTS * HM_BANKS + counter;
	struct hm_count *count = bpf_map_lookup_elem(&stats, &row);

	if (count)
		count->packets++;
}

static __always_inline bool is_paused(const struct hm_config *config, struct hm_packet *packet)
{
	return unlikely(config->paused_until_ns) && config->paused_until_ns > clock(packet);
}

/* The one exit: counts what was decided in the bank of the mode, and says whether the packet is to be dropped. */
static __always_inline bool settle(const struct hm_config *config, struct hm_packet *packet, __u32 verdict, __u32 bytes)
{
	__u32 bank = config->mode == HM_MODE_OBSERVE ? HM_BANK_WOULD : HM_BANK_ENFORCED;
	struct hm_count *count;
	__u32 row;

	if (is_paused(config, packet))
		bank = HM_BANK_PAUSED;
	row = bank * HM_VERDICTS + verdict;
	count = bpf_map_lookup_elem(&stats, &row);
	if (likely(count)) {
		count->packets++;
		count->bytes += bytes;
	}
	return verdict >= HM_DROP_BAN && bank == HM_BANK_ENFORCED;
}

#endif
