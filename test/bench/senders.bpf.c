// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* What `npm run bench:kernel` measures with, and the floor under every figure: a program that drops and does nothing else. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define SOURCES 10000
/* Prime to SOURCES: each comes up once a round, and no prefetcher guesses the next one, whose entry was written right after. */
#define STRIDE 7919

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target SEC(".maps");

/* One CPU sends, so nobody contends for it. */
__u32 place;

/* The frame's own /16, with the next of 10,000 hosts. */
static __always_inline __be32 next_source(__be32 source)
{
	__u32 at = place + STRIDE;

	if (at >= SOURCES)
		at -= SOURCES;
	place = at;
	return bpf_htonl((bpf_ntohl(source) & 0xffff0000) | at);
}

static __always_inline struct iphdr *ip_of(struct xdp_md *context)
{
	void *data = (void *)(long)context->data, *end = (void *)(long)context->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);

	return (void *)(ip + 1) > end ? NULL : ip;
}

SEC("xdp")
int bench_floor(struct xdp_md *context)
{
	return XDP_DROP;
}

/* For BPF_PROG_TEST_RUN, which repeats one frame: gives it the next source and goes on in the program that is measured. */
SEC("xdp")
int bench_in_turn(struct xdp_md *context)
{
	struct iphdr *ip = ip_of(context);

	if (!ip)
		return XDP_ABORTED;
	ip->saddr = next_source(ip->saddr);
	bpf_tail_call(context, &target, 0);
	return XDP_ABORTED;
}

/* For live frames: out of the device that they came from, to the other end of the pair. The header checksum stays right (RFC 1624),
 * as the kernel's IP stack looks at it before any firewall does. */
SEC("xdp")
int bench_send(struct xdp_md *context)
{
	struct iphdr *ip = ip_of(context);
	__be32 before, after;
	__u32 sum;

	if (!ip)
		return XDP_ABORTED;
	before = ip->saddr;
	after = next_source(before);
	sum = (__u16)~ip->check + (__u16)~before + (__u16)(~before >> 16) + (__u16)after + (after >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip->saddr = after;
	ip->check = ~sum;
	return XDP_TX;
}
