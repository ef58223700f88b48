/* Loading an object file: maps sized and pinned (or taken from their pins), programs verified; and the layouts that its BTF tells. */
#include "addon.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>

namespace honeymesh {
namespace {

constexpr size_t LOG_BYTES = 256 * 1024;

/* libbpf has one print function for the process; each thread keeps what was said during its own load. */
thread_local std::string *said = nullptr;

int hear(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_DEBUG || said == nullptr || said->size() > LOG_BYTES)
		return 0;
	char line[8192];
	int length = vsnprintf(line, sizeof(line), format, args);
	if (length > 0)
		said->append(line, std::min<size_t>(length, sizeof(line) - 1));
	return length;
}

/* A descriptor of our own, so that the object can be closed at once. */
int own(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 3); }

Napi::Value failure(Napi::Env env, int error, const std::string &log)
{
	auto result = Napi::Object::New(env);
	result.Set("errno", number(env, error));
	result.Set("log", Napi::String::New(env, log));
	return result;
}

/* (path, [[map, maxEntries]], [[map, pinPath]], programFlags) -> { maps, programs } or { errno, log } */
Napi::Value load(Call info)
{
	Napi::Env env = info.Env();
	std::string path = text_at(info, 0), log;
	auto sizes = info[1].As<Napi::Array>();
	auto pins = info[2].As<Napi::Array>();
	uint32_t xdp_flags = uint_at(info, 3);

	said = &log;
	bpf_object *object = bpf_object__open_file(path.c_str(), nullptr);
	int error = object == nullptr ? -errno : 0;
	for (uint32_t at = 0; error == 0 && at < sizes.Length(); at++) {
		auto row = sizes.Get(at).As<Napi::Array>();
		std::string name = row.Get(0u).As<Napi::String>().Utf8Value();
		bpf_map *map = bpf_object__find_map_by_name(object, name.c_str());
		error = map == nullptr ? -ENOENT : bpf_map__set_max_entries(map, row.Get(1u).As<Napi::Number>().Uint32Value());
		if (map == nullptr)
			log += "no map of the name " + name + "\n";
	}
	for (uint32_t at = 0; error == 0 && at < pins.Length(); at++) {
		auto row = pins.Get(at).As<Napi::Array>();
		std::string name = row.Get(0u).As<Napi::String>().Utf8Value();
		bpf_map *map = bpf_object__find_map_by_name(object, name.c_str());
		error = map == nullptr ? -ENOENT : bpf_map__set_pin_path(map, row.Get(1u).As<Napi::String>().Utf8Value().c_str());
	}
	bpf_program *program = nullptr;
	if (error == 0)
		bpf_object__for_each_program(program, object)
			if (bpf_program__type(program) == BPF_PROG_TYPE_XDP)
				bpf_program__set_flags(program, bpf_program__flags(program) | xdp_flags);
	if (error == 0)
		error = bpf_object__load(object);
	said = nullptr;
	if (error != 0) {
		if (object != nullptr)
			bpf_object__close(object);
		return failure(env, error, log);
	}

	auto result = Napi::Object::New(env);
	auto maps = Napi::Object::New(env);
	auto programs = Napi::Array::New(env);
	bpf_map *map = nullptr;
	bpf_object__for_each_map(map, object)
		if (!bpf_map__is_internal(map))
			maps.Set(bpf_map__name(map), number(env, own(bpf_map__fd(map))));
	uint32_t count = 0;
	bpf_object__for_each_program(program, object) {
		auto one = Napi::Object::New(env);
		one.Set("name", Napi::String::New(env, bpf_program__name(program)));
		one.Set("section", Napi::String::New(env, bpf_program__section_name(program)));
		one.Set("type", number(env, bpf_program__type(program)));
		one.Set("fd", number(env, own(bpf_program__fd(program))));
		programs.Set(count++, one);
	}
	result.Set("maps", maps);
	result.Set("programs", programs);
	bpf_object__close(object);
	return result;
}

/* (path) -> [{ name, type, keySize, valueSize, maxEntries, flags }], without loading */
Napi::Value object_maps(Call info)
{
	Napi::Env env = info.Env();
	std::string log;
	said = &log;
	bpf_object *object = bpf_object__open_file(text_at(info, 0).c_str(), nullptr);
	int error = object == nullptr ? -errno : 0;
	said = nullptr;
	if (error != 0)
		return number(env, error);
	auto list = Napi::Array::New(env);
	uint32_t count = 0;
	bpf_map *map = nullptr;
	bpf_object__for_each_map(map, object) {
		if (bpf_map__is_internal(map))
			continue;
		auto one = Napi::Object::New(env);
		one.Set("name", Napi::String::New(env, bpf_map__name(map)));
		one.Set("type", number(env, bpf_map__type(map)));
		one.Set("keySize", number(env, bpf_map__key_size(map)));
		one.Set("valueSize", number(env, bpf_map__value_size(map)));
		one.Set("maxEntries", number(env, bpf_map__max_entries(map)));
		one.Set("flags", number(env, bpf_map__map_flags(map)));
		list.Set(count++, one);
	}
	bpf_object__close(object);
	return list;
}

/* (path, struct) -> { size, fields: [{ name, offset, size }] } or -errno; offsets and sizes in bytes */
Napi::Value struct_layout(Call info)
{
	Napi::Env env = info.Env();
	struct btf *types = btf__parse(text_at(info, 0).c_str(), nullptr);
	if (types == nullptr)
		return number(env, -errno);
	int id = btf__find_by_name_kind(types, text_at(info, 1).c_str(), BTF_KIND_STRUCT);
	if (id < 0) {
		btf__free(types);
		return number(env, id);
	}
	const struct btf_type *type = btf__type_by_id(types, id);
	auto result = Napi::Object::New(env);
	auto fields = Napi::Array::New(env);
	const struct btf_member *members = btf_members(type);
	for (uint32_t at = 0; at < btf_vlen(type); at++) {
		auto one = Napi::Object::New(env);
		one.Set("name", Napi::String::New(env, btf__name_by_offset(types, members[at].name_off)));
		one.Set("offset", number(env, btf_member_bit_offset(type, at) / 8));
		one.Set("size", number(env, btf__resolve_size(types, members[at].type)));
		fields.Set(at, one);
	}
	result.Set("size", number(env, type->size));
	result.Set("fields", fields);
	btf__free(types);
	return result;
}

} // namespace

void export_objects(Napi::Env env, Napi::Object exports)
{
	libbpf_set_print(hear); /* else it writes to stderr by itself */
	add(env, exports, "load", load);
	add(env, exports, "objectMaps", object_maps);
	add(env, exports, "structLayout", struct_layout);
}

} // namespace honeymesh
