// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* The kernel's part of HoneyMesh: what each packet meets, in and out. docs/packet-path.md says what is decided, and why in that order. */
#include "honeymesh_rules.h"
#include "honeymesh_confined.h"
#include "honeymesh_steer.h"
#include "honeymesh_egress.h"
#include "honeymesh_listeners.h"
#include "honeymesh_proven.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("xdp")
int hm_xdp(struct xdp_md *context)
{
	struct hm_frame frame = {
		.context = context,
		.data = (void *)(long)context->data,
		.end = (void *)(long)context->data_end,
		.is_xdp = true,
	};
	const struct hm_config *config = the_config();
	struct hm_packet packet;
	__u32 verdict;

	if (unlikely(!config))
		return XDP_PASS;
	packet.now = 0;
	verdict = judge(&frame, config, &packet);
	return settle(config, &packet, verdict, frame.end - frame.data) ? XDP_DROP : XDP_PASS;
}

SEC("tc")
int hm_steer(struct __sk_buff *context)
{
	steer(context);
	return TC_ACT_OK;
}

SEC("tc")
int hm_egress(struct __sk_buff *context)
{
	return judge_egress(context) ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("sockops")
int hm_sockops(struct bpf_sock_ops *context)
{
	if (context->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		note_proven(context);
	else if (context->op == BPF_SOCK_OPS_TCP_LISTEN_CB)
		note_listener(context);
	return 1;
}
