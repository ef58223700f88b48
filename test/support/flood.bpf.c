// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* A SYN flood for tests: live frames of BPF_PROG_TEST_RUN, each with another source and port, with the checksums right. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* What test/support/flood.ts writes before the first frame. Addresses in host order. */
struct flood {
	__u32 framed;		/* a bystander in whose name some of it is sent */
	__u32 banned;		/* the first of `banned_count` neighbouring addresses that are banned */
	__u32 banned_count;
	__u32 scanners;		/* the first of `scanner_count` addresses, each of which comes again and again */
	__u32 scanner_count;
	__u16 served_port;
	__u16 trap_port;
	__u64 sent;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flood);
} flood SEC(".maps");

static __always_inline __u32 below(__u32 limit)
{
	return limit ? bpf_get_prandom_u32() % limit : 0;
}

static __always_inline __u32 next_source(const struct flood *it)
{
	__u32 lot = bpf_get_prandom_u32() & 0xffff;

	if (lot < 16) /* one in 4,096: no more than a regular client may send itself */
		return it->framed;
	if (lot < 0x0800)
		return it->banned + below(it->banned_count);
	if (lot < 0x2800)
		return it->scanners + below(it->scanner_count);
	return bpf_get_prandom_u32();
}

static __always_inline __u16 next_port(const struct flood *it)
{
	__u32 lot = bpf_get_prandom_u32();

	if ((lot & 15) == 0)
		return it->served_port;
	if ((lot & 15) == 1)
		return it->trap_port;
	return lot >> 16;
}

/* The 16-bit words of a header of 20 bytes. */
static __always_inline __u32 words(const void *from)
{
	__u32 sum = 0;

#pragma unroll
	for (int at = 0; at < 10; at++)
		sum += ((const __u16 *)from)[at];
	return sum;
}

static __always_inline __u16 folded(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

SEC("xdp")
int flood_send(struct xdp_md *context)
{
	void *data = (void *)(long)context->data, *end = (void *)(long)context->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);
	struct tcphdr *tcp = (void *)(ip + 1);
	__u32 key = 0;
	struct flood *it = bpf_map_lookup_elem(&flood, &key);

	if (!it || (void *)(tcp + 1) > end)
		return XDP_ABORTED;
	ip->saddr = bpf_htonl(next_source(it));
	ip->check = 0;
	ip->check = folded(words(ip));
	tcp->source = bpf_htons(1024 + below(60000));
	tcp->dest = bpf_htons(next_port(it));
	tcp->seq = bpf_get_prandom_u32();
	tcp->check = 0;
	tcp->check = folded(words(tcp) + (ip->saddr & 0xffff) + (ip->saddr >> 16) + (ip->daddr & 0xffff) + (ip->daddr >> 16) +
			    bpf_htons(IPPROTO_TCP) + bpf_htons(sizeof(*tcp)));
	it->sent++;
	return XDP_TX;
}
