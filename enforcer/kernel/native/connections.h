/* TCP connections to the traps, on the libuv loop: ten thousand of them cost a small struct each, not an object of Node's. One epoll descriptor holds them
 * all; what happened in a turn of the loop is written as records into one buffer that JavaScript handed over, and JavaScript is called once for all of it.
 * While it runs it may write and close as it likes: nothing here is in the middle of anything then, and no record is made by a call from there.
 *
 * A record: four words (kind, id low, id high, length or ports), then addresses or bytes, padded to a word. enforcer/traps/server/sockets.ts reads them. */
#ifndef HONEYMESH_CONNECTIONS_H
#define HONEYMESH_CONNECTIONS_H

#include "addon.h"

#include <netinet/in.h>
#include <uv.h>

#include <unordered_map>
#include <vector>

namespace honeymesh {

union Place {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* How often those are looked at that wait for their end. */
constexpr uint64_t SWEEP_MS = 20;

class Connections {
public:
	enum Written { WRITE_SENT, WRITE_WAITING, WRITE_GONE, WRITE_LOST };
	enum Closed { CLOSE_NOT_THERE, CLOSE_DONE, CLOSE_LINGERS };

	/* Returns 0 or -errno; after a failure give_up() is due. */
	int start(Napi::Env env, Napi::Array fds, Napi::Uint8Array buffer, uint32_t largest_unsent, Napi::Function on_batch);
	void give_up();
	/* Resets all that is open. The memory is given back when the loop has closed the handles. */
	void stop();

	/* connections-calls.cc */
	Written write(uint64_t id, Bytes bytes);
	Closed close_one(uint64_t id, uint32_t linger_ms);
	void pause(uint64_t id, bool paused);
	size_t count() const { return connections_.size(); }
	/* Turned away since the process may have no more descriptors: accepted, told, closed. */
	uint32_t shed() const { return shed_; }

	~Connections();

private:
	enum Kind : uint32_t { KIND_ACCEPTED4 = 1, KIND_ACCEPTED6, KIND_RECEIVED, KIND_FINISHED, KIND_DRAINED, KIND_CLOSED, KIND_RESET };

	/* What the peer's window has no room for; the bytes follow. */
	struct Unsent {
		uint32_t at, length, room;
		uint8_t *bytes() { return reinterpret_cast<uint8_t *>(this + 1); }
	};

	struct Connection {
		int fd = -1;
		bool watched = false, paused = false, finished = false, closing = false;
		uint32_t interest = 0;
		Unsent *unsent = nullptr;
		uint64_t close_by = 0; /* uv_now */
	};

	using Table = std::unordered_map<uint64_t, Connection>;

	/* connections.cc: from the kernel to JavaScript */
	int listen_on(int fd);
	static void wake(uv_poll_t *poll, int status, int events);
	static void sweep(uv_timer_t *timer);
	void accept_from(size_t listener);
	void look_after(Table::iterator found, uint32_t events);
	bool receive(Table::iterator found);
	void flush(Table::iterator found);
	void restock();
	void rest();
	void listen_again(uint32_t interest);
	void tell(Kind kind, uint64_t id, uint32_t last = 0);
	void tell_accepted(uint64_t id, const Place &peer, const Place &own);
	void hand_over();
	void watch_fresh();

	/* connections-calls.cc: both ways */
	void watch(uint64_t id, Connection &connection);
	static uint32_t interest_of(const Connection &connection);
	bool keep(Connection &connection, const uint8_t *bytes, size_t length);
	void forget(Connection &connection);
	static bool is_out(const Connection &connection);
	void drop(Table::iterator found);
	void linger(uint64_t id, Connection &connection, uint64_t by);

	napi_env env_ = nullptr;
	uv_loop_t *loop_ = nullptr;
	uv_poll_t poll_ = {};
	uv_timer_t timer_ = {};
	bool open_ = false;
	int epoll_ = -1;
	int spare_ = -1;   /* given up to accept one more, so that it can be told and closed */
	int resting_ = 0;  /* sweeps until the listeners are looked at again */
	uint64_t next_ = 1;
	uint32_t shed_ = 0;
	std::vector<int> listeners_;
	Table connections_;
	std::vector<uint64_t> fresh_; /* accepted in this batch: epoll gets them when JavaScript has seen them, for many are closed by then */
	std::vector<uint64_t> lingering_;
	size_t sweep_at_ = 0;
	uint8_t *data_ = nullptr;
	size_t room_ = 0, length_ = 0;
	size_t largest_unsent_ = 0, unsent_ = 0;
	Napi::Reference<Napi::Uint8Array> buffer_;
	Napi::FunctionReference on_batch_;
	Napi::AsyncContext *context_ = nullptr;
	napi_async_cleanup_hook_handle hook_ = nullptr;
};

/* Of send and recv: nothing is wrong with the connection. */
bool is_passing(int error);

} // namespace honeymesh

#endif
