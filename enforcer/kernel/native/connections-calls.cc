/* The traps' connections, from JavaScript to the kernel: what is written, kept, closed; and the functions that it calls. */
#include "connections.h"

#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace honeymesh {
namespace {

constexpr size_t LEAST_UNSENT_ROOM = 4096;
/* Not all of ten thousand slow readers may have their largest rest kept at once. */
constexpr size_t MOST_UNSENT = 64 << 20;

} // namespace

bool is_passing(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR || error == ENOBUFS || error == ENOMEM; }

Connections::Written Connections::write(uint64_t id, Bytes bytes)
{
	auto found = connections_.find(id);
	if (found == connections_.end() || found->second.closing)
		return WRITE_GONE;
	Connection &connection = found->second;
	size_t sent = 0;
	if (connection.unsent == nullptr) {
		ssize_t taken = send(connection.fd, bytes.data, bytes.length, MSG_NOSIGNAL | MSG_DONTWAIT);
		/* The peer has reset it. What it said before that waits to be read: the end is told after it. */
		if (taken < 0 && !is_passing(errno))
			return WRITE_GONE;
		sent = taken < 0 ? 0 : taken;
		if (sent == bytes.length)
			return WRITE_SENT;
	}
	if (!keep(connection, bytes.data + sent, bytes.length - sent)) {
		drop(found);
		return WRITE_LOST;
	}
	watch(id, connection);
	return WRITE_WAITING;
}

Connections::Closed Connections::close_one(uint64_t id, uint32_t linger_ms)
{
	auto found = connections_.find(id);
	if (found == connections_.end())
		return CLOSE_NOT_THERE;
	Connection &connection = found->second;
	if (linger_ms == 0 || is_out(connection)) {
		drop(found);
		return CLOSE_DONE;
	}
	linger(id, connection, uv_now(loop_) + linger_ms);
	watch(id, connection);
	return CLOSE_LINGERS;
}

void Connections::linger(uint64_t id, Connection &connection, uint64_t by)
{
	if (!connection.closing)
		lingering_.push_back(id);
	connection.close_by = connection.closing ? std::min(connection.close_by, by) : by;
	connection.closing = true;
	if (!uv_is_active(reinterpret_cast<uv_handle_t *>(&timer_)))
		uv_timer_start(&timer_, sweep, SWEEP_MS, SWEEP_MS);
}

void Connections::pause(uint64_t id, bool paused)
{
	auto found = connections_.find(id);
	if (found == connections_.end())
		return;
	found->second.paused = paused;
	watch(id, found->second);
}

uint32_t Connections::interest_of(const Connection &connection)
{
	bool reads = !connection.closing && !connection.paused && !connection.finished;
	return (reads ? EPOLLIN : 0) | (connection.unsent != nullptr ? EPOLLOUT : 0);
}

void Connections::watch(uint64_t id, Connection &connection)
{
	uint32_t wanted = interest_of(connection);
	if (!connection.watched || wanted == connection.interest)
		return;
	struct epoll_event event = {};
	event.events = connection.interest = wanted;
	event.data.u64 = id;
	epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd, &event);
}

bool Connections::keep(Connection &connection, const uint8_t *bytes, size_t length)
{
	Unsent *old = connection.unsent;
	size_t waiting = old == nullptr ? 0 : old->length - old->at;
	if (waiting + length > largest_unsent_)
		return false;
	if (old == nullptr || old->room - old->length < length) {
		size_t room = std::min(largest_unsent_, std::max(2 * (waiting + length), LEAST_UNSENT_ROOM));
		if (unsent_ + room > MOST_UNSENT)
			return false;
		auto *wider = static_cast<Unsent *>(malloc(sizeof(Unsent) + room));
		if (wider == nullptr)
			return false;
		*wider = { 0, static_cast<uint32_t>(waiting), static_cast<uint32_t>(room) };
		if (waiting > 0)
			memcpy(wider->bytes(), old->bytes() + old->at, waiting);
		forget(connection);
		connection.unsent = wider;
		unsent_ += room;
	}
	memcpy(connection.unsent->bytes() + connection.unsent->length, bytes, length);
	connection.unsent->length += length;
	return true;
}

void Connections::forget(Connection &connection)
{
	if (connection.unsent == nullptr)
		return;
	unsent_ -= connection.unsent->room;
	free(connection.unsent);
	connection.unsent = nullptr;
}

/* Whether the peer has all that was written: a RST sooner would take it out of the kernel's queue. */
bool Connections::is_out(const Connection &connection)
{
	int left = 0;
	return connection.unsent == nullptr && (ioctl(connection.fd, SIOCOUTQ, &left) != 0 || left == 0);
}

/* epoll forgets a descriptor that is closed. */
void Connections::drop(Table::iterator found)
{
	forget(found->second);
	close(found->second.fd);
	connections_.erase(found);
}

namespace {

uint64_t id_at(Call call) { return static_cast<uint64_t>(call[0].As<Napi::Number>().Int64Value()); }

/* ([fd], buffer, largestUnsent, onBatch(bytes)) -> { write(id, bytes), close(id, lingerMs), pause(id), resume(id), count(), shed(), stop() } or -errno */
Napi::Value start_connections(Call info)
{
	Napi::Env env = info.Env();
	auto *engine = new Connections();
	int error = engine->start(env, info[0].As<Napi::Array>(), info[1].As<Napi::Uint8Array>(), uint_at(info, 2), info[3].As<Napi::Function>());
	if (error != 0) {
		engine->give_up();
		return number(env, error);
	}
	/* Shared by the functions: null after stop(), whoever still holds them. */
	auto held = std::make_shared<Connections *>(engine);
	auto result = Napi::Object::New(env);
	add(env, result, "write", [held](Call call) { return number(call.Env(), *held ? (*held)->write(id_at(call), bytes_at(call, 1)) : Connections::WRITE_GONE); });
	add(env, result, "close",
	    [held](Call call) { return number(call.Env(), *held ? (*held)->close_one(id_at(call), uint_at(call, 1)) : Connections::CLOSE_NOT_THERE); });
	add(env, result, "pause", [held](Call call) {
		if (*held)
			(*held)->pause(id_at(call), true);
	});
	add(env, result, "resume", [held](Call call) {
		if (*held)
			(*held)->pause(id_at(call), false);
	});
	add(env, result, "count", [held](Call call) { return number(call.Env(), *held ? (*held)->count() : 0); });
	add(env, result, "shed", [held](Call call) { return number(call.Env(), *held ? (*held)->shed() : 0); });
	add(env, result, "stop", [held](Call) {
		if (*held)
			(*held)->stop();
		*held = nullptr;
	});
	return result;
}

} // namespace

void export_connections(Napi::Env env, Napi::Object exports) { add(env, exports, "startConnections", start_connections); }

} // namespace honeymesh
