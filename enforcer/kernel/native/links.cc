/* Pins, links and what sits on an interface. */
#include "addon.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <unistd.h>

#include <cstring>

namespace honeymesh {
namespace {

Napi::Value pin(Call info) { return number(info.Env(), result_of(bpf_obj_pin(int_at(info, 0), text_at(info, 1).c_str()))); }

/* (path) -> fd or -errno. Works without capabilities where the file's owner and mode allow it. */
Napi::Value open_pin(Call info) { return number(info.Env(), result_of(bpf_obj_get(text_at(info, 0).c_str()))); }

Napi::Value close_fd(Call info) { return number(info.Env(), close(int_at(info, 0)) == 0 ? 0 : -errno); }

/* (programFd, ifindex, XDP_FLAGS_...) -> fd of the link, or -errno */
Napi::Value link_xdp(Call info)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = uint_at(info, 2));
	return number(info.Env(), result_of(bpf_link_create(int_at(info, 0), int_at(info, 1), BPF_XDP, &opts)));
}

/* (programFd, cgroupFd) -> fd of the link, or -errno */
Napi::Value link_sock_ops(Call info)
{
	return number(info.Env(), result_of(bpf_link_create(int_at(info, 0), int_at(info, 1), BPF_CGROUP_SOCK_OPS, nullptr)));
}

/* (linkFd, programFd): the new program takes over between two packets */
Napi::Value link_update(Call info) { return number(info.Env(), result_of(bpf_link_update(int_at(info, 0), int_at(info, 1), nullptr))); }

/* (linkFd): off at once, whoever else holds the link */
Napi::Value link_detach(Call info) { return number(info.Env(), result_of(bpf_link_detach(int_at(info, 0)))); }

/* (name) -> ifindex in the caller's network namespace, or -errno. /sys/class/net may belong to another namespace. */
Napi::Value interface_index(Call info)
{
	unsigned int index = if_nametoindex(text_at(info, 0).c_str());
	return number(info.Env(), index == 0 ? -static_cast<double>(errno) : index);
}

/* (linkFd) -> { type, id, programId, ifindex } or -errno; ifindex 0: the interface is gone, or it is no XDP link */
Napi::Value link_info(Call info)
{
	Napi::Env env = info.Env();
	struct bpf_link_info link = {};
	uint32_t length = sizeof(link);
	int error = bpf_obj_get_info_by_fd(int_at(info, 0), &link, &length);
	if (error != 0)
		return number(env, result_of(error));
	auto result = Napi::Object::New(env);
	result.Set("type", number(env, link.type));
	result.Set("id", number(env, link.id));
	result.Set("programId", number(env, link.prog_id));
	result.Set("ifindex", number(env, link.type == BPF_LINK_TYPE_XDP ? link.xdp.ifindex : 0));
	return result;
}

/* (ifindex) -> { programId, mode } or -errno; mode as XDP_ATTACHED_...: 0 none, 1 native, 2 generic, 3 hardware, 4 several */
Napi::Value query_xdp(Call info)
{
	Napi::Env env = info.Env();
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);
	int error = bpf_xdp_query(int_at(info, 0), 0, &opts);
	if (error != 0)
		return number(env, result_of(error));
	uint32_t id = opts.prog_id != 0 ? opts.prog_id : opts.drv_prog_id != 0 ? opts.drv_prog_id : opts.skb_prog_id != 0 ? opts.skb_prog_id : opts.hw_prog_id;
	auto result = Napi::Object::New(env);
	result.Set("programId", number(env, id));
	result.Set("mode", number(env, opts.attach_mode));
	return result;
}

Napi::Value program_value(Napi::Env env, int fd)
{
	uint32_t map_ids[64] = {};
	struct bpf_prog_info program = {};
	uint32_t length = sizeof(program);
	program.nr_map_ids = sizeof(map_ids) / sizeof(map_ids[0]);
	program.map_ids = reinterpret_cast<uintptr_t>(map_ids);
	int error = bpf_obj_get_info_by_fd(fd, &program, &length);
	if (error != 0)
		return number(env, result_of(error));
	auto result = Napi::Object::New(env);
	result.Set("id", number(env, program.id));
	result.Set("type", number(env, program.type));
	result.Set("name", Napi::String::New(env, program.name));
	auto ids = Napi::Array::New(env);
	for (uint32_t at = 0; at < program.nr_map_ids && at < sizeof(map_ids) / sizeof(map_ids[0]); at++)
		ids.Set(at, number(env, map_ids[at]));
	result.Set("mapIds", ids);
	return result;
}

/* (programFd) -> { id, type, name, mapIds } or -errno; the name is cut to 15 characters by the kernel */
Napi::Value program_info(Call info) { return program_value(info.Env(), int_at(info, 0)); }

/* (id): needs CAP_SYS_ADMIN */
Napi::Value program_by_id(Call info)
{
	int fd = bpf_prog_get_fd_by_id(uint_at(info, 0));
	if (fd < 0)
		return number(info.Env(), result_of(fd));
	Napi::Value value = program_value(info.Env(), fd);
	close(fd);
	return value;
}

} // namespace

void export_links(Napi::Env env, Napi::Object exports)
{
	add(env, exports, "pin", pin);
	add(env, exports, "openPin", open_pin);
	add(env, exports, "closeFd", close_fd);
	add(env, exports, "linkXdp", link_xdp);
	add(env, exports, "linkSockOps", link_sock_ops);
	add(env, exports, "linkUpdate", link_update);
	add(env, exports, "linkDetach", link_detach);
	add(env, exports, "linkInfo", link_info);
	add(env, exports, "interfaceIndex", interface_index);
	add(env, exports, "queryXdp", query_xdp);
	add(env, exports, "programInfo", program_info);
	add(env, exports, "programById", program_by_id);
}

} // namespace honeymesh
