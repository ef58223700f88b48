/* The tc filters: a clsact qdisc and one filter of fixed handle and priority each way. libbpf 1.1 has no tcx links. */
#include "addon.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

namespace honeymesh {
namespace {

bpf_tc_attach_point point_at(Call info, size_t at) { return info[at].As<Napi::Boolean>().Value() ? BPF_TC_EGRESS : BPF_TC_INGRESS; }

/* (ifindex) -> 1: made, 0: was there, or -errno */
Napi::Value make_clsact(Call info)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = int_at(info, 0), .attach_point = BPF_TC_INGRESS);
	int error = bpf_tc_hook_create(&hook);
	return number(info.Env(), error == 0 ? 1 : error == -EEXIST ? 0 : error);
}

/* (ifindex): removes the clsact qdisc with every filter in it */
Napi::Value remove_clsact(Call info)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = int_at(info, 0),
		    .attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS));
	return number(info.Env(), bpf_tc_hook_destroy(&hook));
}

/* (ifindex, egress, programFd, handle, priority): puts or replaces our filter */
Napi::Value attach_tc(Call info)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = int_at(info, 0), .attach_point = point_at(info, 1));
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = int_at(info, 2), .flags = BPF_TC_F_REPLACE, .handle = uint_at(info, 3), .priority = uint_at(info, 4));
	return number(info.Env(), bpf_tc_attach(&hook, &opts));
}

Napi::Value detach_tc(Call info)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = int_at(info, 0), .attach_point = point_at(info, 1));
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = uint_at(info, 2), .priority = uint_at(info, 3));
	return number(info.Env(), bpf_tc_detach(&hook, &opts));
}

/* (ifindex, egress, handle, priority) -> id of the program in that filter, or -errno */
Napi::Value query_tc(Call info)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = int_at(info, 0), .attach_point = point_at(info, 1));
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = uint_at(info, 2), .priority = uint_at(info, 3));
	int error = bpf_tc_query(&hook, &opts);
	return number(info.Env(), error == 0 ? static_cast<double>(opts.prog_id) : error);
}

/* (ifindex, egress) -> how many filters hang there, anybody's; or -errno. A clsact qdisc is only removed when none is left. */
Napi::Value count_filters(Call info)
{
	Napi::Env env = info.Env();
	bool egress = info[1].As<Napi::Boolean>().Value();
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		return number(env, -errno);
	struct timeval patience = { 2, 0 };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	struct {
		struct nlmsghdr header;
		struct tcmsg message;
	} request = {};
	request.header.nlmsg_len = sizeof(request);
	request.header.nlmsg_type = RTM_GETTFILTER;
	request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request.message.tcm_family = AF_UNSPEC;
	request.message.tcm_ifindex = int_at(info, 0);
	request.message.tcm_parent = TC_H_MAKE(TC_H_CLSACT, egress ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS);
	int error = send(fd, &request, sizeof(request), 0) < 0 ? -errno : 0, filters = 0;
	alignas(struct nlmsghdr) char buffer[32768];
	for (bool done = error != 0; !done;) {
		ssize_t length = recv(fd, buffer, sizeof(buffer), 0);
		if (length <= 0) {
			error = length < 0 ? -errno : -EPIPE;
			break;
		}
		unsigned int left = length;
		for (auto *header = reinterpret_cast<struct nlmsghdr *>(buffer); NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
			if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) {
				if (header->nlmsg_type == NLMSG_ERROR)
					error = static_cast<struct nlmsgerr *>(NLMSG_DATA(header))->error;
				done = true;
				break;
			}
			/* A classifier's own row has handle 0, its filters follow. */
			if (header->nlmsg_type == RTM_NEWTFILTER && static_cast<struct tcmsg *>(NLMSG_DATA(header))->tcm_handle != 0)
				filters++;
		}
	}
	close(fd);
	return number(env, error != 0 ? error : filters);
}

} // namespace

void export_tc(Napi::Env env, Napi::Object exports)
{
	add(env, exports, "makeClsact", make_clsact);
	add(env, exports, "removeClsact", remove_clsact);
	add(env, exports, "attachTc", attach_tc);
	add(env, exports, "detachTc", detach_tc);
	add(env, exports, "queryTc", query_tc);
	add(env, exports, "countFilters", count_filters);
}

} // namespace honeymesh
