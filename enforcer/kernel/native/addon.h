/* What the addon's parts share. Arguments are checked in native.ts: here they are taken as they come. A call that the kernel refused returns
 * a negative errno; nothing here throws into JavaScript, and no C++ exception crosses the boundary (-fno-exceptions). */
#ifndef HONEYMESH_ADDON_H
#define HONEYMESH_ADDON_H

#include <napi.h>

#include <cerrno>
#include <cstdint>
#include <string>

namespace honeymesh {

void export_objects(Napi::Env env, Napi::Object exports);
void export_maps(Napi::Env env, Napi::Object exports);
void export_links(Napi::Env env, Napi::Object exports);
void export_tc(Napi::Env env, Napi::Object exports);
void export_runs(Napi::Env env, Napi::Object exports);
void export_ring(Napi::Env env, Napi::Object exports);
void export_sockets(Napi::Env env, Napi::Object exports);
void export_connections(Napi::Env env, Napi::Object exports);
void export_datagrams(Napi::Env env, Napi::Object exports);
void export_turns(Napi::Env env, Napi::Object exports);

using Call = const Napi::CallbackInfo &;

inline int int_at(Call info, size_t at) { return info[at].As<Napi::Number>().Int32Value(); }
inline uint32_t uint_at(Call info, size_t at) { return info[at].As<Napi::Number>().Uint32Value(); }
inline std::string text_at(Call info, size_t at) { return info[at].As<Napi::String>().Utf8Value(); }
inline Napi::Value number(Napi::Env env, double value) { return Napi::Number::New(env, value); }

/* The bytes of a Uint8Array, or none where the argument is null or absent. */
struct Bytes {
	uint8_t *data = nullptr;
	size_t length = 0;
};

inline Bytes bytes_of(Napi::Value value)
{
	if (!value.IsTypedArray())
		return {};
	auto array = value.As<Napi::Uint8Array>();
	return { array.Data(), array.ByteLength() };
}

inline Bytes bytes_at(Call info, size_t at) { return at < info.Length() ? bytes_of(info[at]) : Bytes{}; }

/* libbpf 1.x returns -errno, its raw system calls too; a few set errno only. */
inline int result_of(int returned) { return returned == -1 && errno != 0 ? -errno : returned; }

template <typename Function>
void add(Napi::Env env, Napi::Object exports, const char *name, Function function)
{
	exports.Set(name, Napi::Function::New(env, function, name));
}

} // namespace honeymesh

#endif
