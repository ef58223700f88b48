/* Map operations by descriptor: one entry, or many with one call. Keys and values are rows in Uint8Arrays. */
#include "addon.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace honeymesh {
namespace {

constexpr uint32_t BATCH = 4096;
constexpr int KERNEL_ENOTSUPP = 524; /* what the kernel says where a map type has no batch operations */

bool has_no_batch(int error) { return error == -KERNEL_ENOTSUPP || error == -EOPNOTSUPP || error == -EINVAL; }

/* (fd) -> { type, keySize, valueSize, maxEntries, flags, id, name } or -errno */
Napi::Value map_info(Call info)
{
	Napi::Env env = info.Env();
	struct bpf_map_info map = {};
	uint32_t length = sizeof(map);
	int error = bpf_obj_get_info_by_fd(int_at(info, 0), &map, &length);
	if (error != 0)
		return number(env, result_of(error));
	auto result = Napi::Object::New(env);
	result.Set("type", number(env, map.type));
	result.Set("keySize", number(env, map.key_size));
	result.Set("valueSize", number(env, map.value_size));
	result.Set("maxEntries", number(env, map.max_entries));
	result.Set("flags", number(env, map.map_flags));
	result.Set("id", number(env, map.id));
	result.Set("name", Napi::String::New(env, map.name));
	return result;
}

Napi::Value map_lookup(Call info)
{
	return number(info.Env(), result_of(bpf_map_lookup_elem(int_at(info, 0), bytes_at(info, 1).data, bytes_at(info, 2).data)));
}

Napi::Value map_update(Call info)
{
	return number(info.Env(), result_of(bpf_map_update_elem(int_at(info, 0), bytes_at(info, 1).data, bytes_at(info, 2).data, uint_at(info, 3))));
}

Napi::Value map_delete(Call info) { return number(info.Env(), result_of(bpf_map_delete_elem(int_at(info, 0), bytes_at(info, 1).data))); }

/* (fd, key or null, nextKey) */
Napi::Value map_next_key(Call info)
{
	return number(info.Env(), result_of(bpf_map_get_next_key(int_at(info, 0), bytes_at(info, 1).data, bytes_at(info, 2).data)));
}

/* (fd, keys, values, keySize, valueSize, results Int32Array): 0 or -errno for each row; the value of a missing row is left as it was */
Napi::Value map_lookup_many(Call info)
{
	int fd = int_at(info, 0);
	Bytes keys = bytes_at(info, 1), values = bytes_at(info, 2);
	uint32_t key_size = uint_at(info, 3), value_size = uint_at(info, 4);
	int32_t *results = info[5].As<Napi::Int32Array>().Data();
	size_t rows = keys.length / key_size;
	for (size_t at = 0; at < rows; at++)
		results[at] = result_of(bpf_map_lookup_elem(fd, keys.data + at * key_size, values.data + at * value_size));
	return number(info.Env(), 0);
}

/* (fd, keys, values, keySize, valueSize, flags, results): writes all rows, in batches where the map type has them. A row that the map refuses
 * does not stop the rest. */
Napi::Value map_update_many(Call info)
{
	int fd = int_at(info, 0);
	Bytes keys = bytes_at(info, 1), values = bytes_at(info, 2);
	uint32_t key_size = uint_at(info, 3), value_size = uint_at(info, 4), flags = uint_at(info, 5);
	int32_t *results = info[6].As<Napi::Int32Array>().Data();
	size_t rows = keys.length / key_size, at = 0;
	LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = flags);
	bool batched = true;
	while (at < rows) {
		uint32_t count = std::min<size_t>(rows - at, BATCH), wanted = count;
		int error = -KERNEL_ENOTSUPP;
		if (batched && wanted > 1) {
			error = result_of(bpf_map_update_batch(fd, keys.data + at * key_size, values.data + at * value_size, &count, &opts));
			if (error == 0)
				count = wanted;
			else if (has_no_batch(error) || count >= wanted)
				batched = false, count = 0;
			memset(results + at, 0, count * sizeof(*results));
			at += count;
			if (error == 0 || !batched)
				continue;
		}
		/* The row at which a batch stopped, or any row of a map without batches. */
		results[at] = result_of(bpf_map_update_elem(fd, keys.data + at * key_size, values.data + at * value_size, flags));
		at++;
	}
	return number(info.Env(), 0);
}

/* (fd, keys, keySize, results) */
Napi::Value map_delete_many(Call info)
{
	int fd = int_at(info, 0);
	Bytes keys = bytes_at(info, 1);
	uint32_t key_size = uint_at(info, 2);
	int32_t *results = info[3].As<Napi::Int32Array>().Data();
	size_t rows = keys.length / key_size, at = 0;
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	bool batched = true;
	while (at < rows) {
		uint32_t count = std::min<size_t>(rows - at, BATCH), wanted = count;
		if (batched && wanted > 1) {
			int error = result_of(bpf_map_delete_batch(fd, keys.data + at * key_size, &count, &opts));
			if (error == 0)
				count = wanted;
			else if (has_no_batch(error) || count >= wanted)
				batched = false, count = 0;
			memset(results + at, 0, count * sizeof(*results));
			at += count;
			if (error == 0 || !batched)
				continue;
		}
		results[at] = result_of(bpf_map_delete_elem(fd, keys.data + at * key_size));
		at++;
	}
	return number(info.Env(), 0);
}

Napi::Value rows_of(Napi::Env env, const std::vector<uint8_t> &keys, const std::vector<uint8_t> &values, size_t count)
{
	auto result = Napi::Object::New(env);
	auto key_bytes = Napi::Uint8Array::New(env, keys.size()), value_bytes = Napi::Uint8Array::New(env, values.size());
	if (!keys.empty())
		memcpy(key_bytes.Data(), keys.data(), keys.size());
	if (!values.empty())
		memcpy(value_bytes.Data(), values.data(), values.size());
	result.Set("count", number(env, count));
	result.Set("keys", key_bytes);
	result.Set("values", value_bytes);
	return result;
}

/* Key by key: tries, and kernels whose map type has no batches. Bounded: a map that grows while it is read does not hold us. */
int dump_slowly(int fd, uint32_t key_size, uint32_t value_size, size_t limit, std::vector<uint8_t> &keys, std::vector<uint8_t> &values, size_t &total)
{
	std::vector<uint8_t> key(key_size), next(key_size), value(value_size);
	bool first = true;
	for (size_t steps = 0; steps < 2 * limit && total < limit; steps++) {
		int error = result_of(bpf_map_get_next_key(fd, first ? nullptr : key.data(), next.data()));
		if (error != 0)
			return error == -ENOENT ? 0 : error;
		first = false;
		key = next;
		if (bpf_map_lookup_elem(fd, key.data(), value.data()) != 0)
			continue; /* gone since */
		keys.insert(keys.end(), key.begin(), key.end());
		values.insert(values.end(), value.begin(), value.end());
		total++;
	}
	return 0;
}

/* (fd, keySize, valueSize, limit) -> { count, keys, values } or -errno: all entries, at most `limit` */
Napi::Value map_dump(Call info)
{
	Napi::Env env = info.Env();
	int fd = int_at(info, 0);
	uint32_t key_size = uint_at(info, 1), value_size = uint_at(info, 2), chunk = BATCH;
	size_t limit = uint_at(info, 3), total = 0;
	std::vector<uint8_t> keys, values, cursor(std::max<uint32_t>(key_size, 8));
	bool first = true;
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	while (total < limit) {
		uint32_t count = std::min<size_t>(chunk, limit - total);
		keys.resize((total + count) * key_size);
		values.resize((total + count) * value_size);
		int error = result_of(bpf_map_lookup_batch(fd, first ? nullptr : cursor.data(), cursor.data(), keys.data() + total * key_size,
							   values.data() + total * value_size, &count, &opts));
		if (error == -ENOSPC && chunk < (1u << 20)) { /* a bucket holds more than a chunk: none of it was copied */
			chunk *= 2;
			if (count == 0 && limit - total < chunk)
				limit = total + chunk;
			continue;
		}
		if (first && has_no_batch(error)) {
			keys.clear();
			values.clear();
			error = dump_slowly(fd, key_size, value_size, limit, keys, values, total);
			return error == 0 ? rows_of(env, keys, values, total) : number(env, error);
		}
		if (error != 0 && error != -ENOENT)
			return number(env, error);
		first = false;
		total += count;
		if (error == -ENOENT)
			break; /* the end */
	}
	keys.resize(total * key_size);
	values.resize(total * value_size);
	return rows_of(env, keys, values, total);
}

Napi::Value possible_cpus(Call info) { return number(info.Env(), libbpf_num_possible_cpus()); }

} // namespace

void export_maps(Napi::Env env, Napi::Object exports)
{
	add(env, exports, "mapInfo", map_info);
	add(env, exports, "mapLookup", map_lookup);
	add(env, exports, "mapUpdate", map_update);
	add(env, exports, "mapDelete", map_delete);
	add(env, exports, "mapNextKey", map_next_key);
	add(env, exports, "mapLookupMany", map_lookup_many);
	add(env, exports, "mapUpdateMany", map_update_many);
	add(env, exports, "mapDeleteMany", map_delete_many);
	add(env, exports, "mapDump", map_dump);
	add(env, exports, "possibleCpus", possible_cpus);
}

} // namespace honeymesh
