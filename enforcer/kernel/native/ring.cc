/* The ring buffers on the libuv loop: the loop wakes us on the rings' epoll descriptor; some milliseconds later the records are copied into one buffer that
 * JavaScript handed over, and JavaScript is called once a batch. Nothing that is decided waits for them: the kernel has acted already. But the SYN to a trap
 * is told here just when the touch that bans is on its way from the trap process, and the two must not want the processor at once. */
#include "addon.h"

#include <bpf/libbpf.h>
#include <uv.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace honeymesh {
namespace {

constexpr int BATCH_FULL = -ENOBUFS;
constexpr uint64_t GATHER_MS = 5;

class Reader {
public:
	/* Returns 0 or -errno; after a failure give_up() is due. */
	int start(Napi::Env env, Napi::Array fds, Napi::Uint8Array buffer, size_t record, Napi::Function on_batch)
	{
		env_ = env;
		record_ = record;
		room_ = buffer.ByteLength() / record;
		data_ = buffer.Data();
		for (uint32_t at = 0; at < fds.Length(); at++) {
			int fd = fds.Get(at).As<Napi::Number>().Int32Value();
			if (rings_ == nullptr) {
				rings_ = ring_buffer__new(fd, take, this, nullptr);
				if (rings_ == nullptr)
					return -errno;
			} else if (int error = ring_buffer__add(rings_, fd, take, this); error != 0) {
				return error;
			}
		}
		uv_loop_t *loop = nullptr;
		if (rings_ == nullptr || napi_get_uv_event_loop(env, &loop) != napi_ok)
			return -EINVAL;
		if (int error = uv_poll_init(loop, &poll_, ring_buffer__epoll_fd(rings_)); error != 0)
			return error;
		uv_timer_init(loop, &timer_);
		poll_.data = timer_.data = this;
		buffer_ = Napi::Persistent(buffer);
		on_batch_ = Napi::Persistent(on_batch);
		context_ = new Napi::AsyncContext(env, "honeymesh:ring");
		napi_add_async_cleanup_hook(env, tear_down, this, &hook_);
		open_ = true;
		return uv_poll_start(&poll_, UV_READABLE, wake);
	}

	/* Stops at once; the memory is given back when the loop has closed the handle. */
	void stop()
	{
		if (!open_)
			return;
		open_ = false;
		uv_poll_stop(&poll_);
		uv_timer_stop(&timer_);
		uv_close(reinterpret_cast<uv_handle_t *>(&timer_), [](uv_handle_t *handle) {
			auto *reader = static_cast<Reader *>(handle->data);
			uv_close(reinterpret_cast<uv_handle_t *>(&reader->poll_), [](uv_handle_t *poll) { delete static_cast<Reader *>(poll->data); });
		});
	}

	/* After a start that failed half-way: a handle that the loop knows must be closed before its memory goes. */
	void give_up()
	{
		if (open_)
			stop();
		else
			delete this;
	}

	/* Takes what is there now, without waiting for the loop. Returns the number of records, or -errno. */
	int drain()
	{
		count_ = 0;
		if (!open_)
			return 0;
		int error = ring_buffer__consume(rings_);
		return error < 0 && error != BATCH_FULL ? error : static_cast<int>(count_);
	}

	~Reader()
	{
		if (rings_ != nullptr)
			ring_buffer__free(rings_);
		delete context_;
		if (hook_ != nullptr)
			napi_remove_async_cleanup_hook(hook_);
	}

private:
	static int take(void *self, void *data, size_t size)
	{
		auto *reader = static_cast<Reader *>(self);
		uint8_t *slot = reader->data_ + reader->count_ * reader->record_;
		memcpy(slot, data, std::min(size, reader->record_));
		/* A negative answer stops the reading after this record; what is left wakes us in the next turn of the loop. */
		return ++reader->count_ >= reader->room_ ? BATCH_FULL : 0;
	}

	static void wake(uv_poll_t *poll, int status, int)
	{
		auto *reader = static_cast<Reader *>(poll->data);
		if (status < 0)
			return reader->hand_over(status);
		uv_poll_stop(poll);
		uv_timer_start(&reader->timer_, gathered, GATHER_MS, 0);
	}

	static void gathered(uv_timer_t *timer)
	{
		auto *reader = static_cast<Reader *>(timer->data);
		uv_poll_start(&reader->poll_, UV_READABLE, wake);
		reader->hand_over(reader->drain());
	}

	void hand_over(int count)
	{
		if (count == 0)
			return;
		Napi::Env env(env_);
		Napi::HandleScope scope(env);
		/* May stop the reader, whose memory lives until the loop has closed the handle. */
		on_batch_.MakeCallback(env.Global(), { Napi::Number::New(env, count) }, *context_);
		napi_value thrown;
		bool pending = false;
		if (napi_is_exception_pending(env, &pending) == napi_ok && pending && napi_get_and_clear_last_exception(env, &thrown) == napi_ok)
			napi_fatal_exception(env, thrown);
	}

	static void tear_down(napi_async_cleanup_hook_handle, void *self) { static_cast<Reader *>(self)->stop(); }

	napi_env env_ = nullptr;
	ring_buffer *rings_ = nullptr;
	uv_poll_t poll_ = {};
	uv_timer_t timer_ = {};
	bool open_ = false;
	uint8_t *data_ = nullptr;
	size_t record_ = 0, room_ = 0, count_ = 0;
	Napi::Reference<Napi::Uint8Array> buffer_;
	Napi::FunctionReference on_batch_;
	Napi::AsyncContext *context_ = nullptr;
	napi_async_cleanup_hook_handle hook_ = nullptr;
};

/* ([fd], buffer, recordSize, onBatch(count)) -> { drain(), stop() } or -errno. onBatch gets -errno where the loop could not poll. */
Napi::Value start_ring(Call info)
{
	Napi::Env env = info.Env();
	auto *reader = new Reader();
	int error = reader->start(env, info[0].As<Napi::Array>(), info[1].As<Napi::Uint8Array>(), uint_at(info, 2), info[3].As<Napi::Function>());
	if (error != 0) {
		reader->give_up();
		return number(env, error);
	}
	/* `stopped` is shared by the two functions: after stop() the reader is gone, whoever still holds them. */
	auto stopped = std::make_shared<bool>(false);
	auto result = Napi::Object::New(env);
	result.Set("drain", Napi::Function::New(env, [reader, stopped](Call call) { return number(call.Env(), *stopped ? 0 : reader->drain()); }));
	result.Set("stop", Napi::Function::New(env, [reader, stopped](Call) {
		if (!*stopped)
			reader->stop();
		*stopped = true;
	}));
	return result;
}

} // namespace

void export_ring(Napi::Env env, Napi::Object exports) { add(env, exports, "startRing", start_ring); }

} // namespace honeymesh
