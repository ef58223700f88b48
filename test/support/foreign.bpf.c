// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Somebody else's programs, and a map that bears one of our names: what the loader must not touch or use. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 16);
} ban4 SEC(".maps");

SEC("xdp")
int foreign_xdp(struct xdp_md *context)
{
	return XDP_PASS;
}

SEC("tc")
int foreign_tc(struct __sk_buff *context)
{
	__u32 key = 0;

	bpf_map_lookup_elem(&ban4, &key);
	return -1; /* TC_ACT_UNSPEC: what comes after it decides */
}
