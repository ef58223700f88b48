/* The traps' connections, from the kernel to JavaScript: accepts, bytes and ends of one turn of the loop become one batch. */
#include "connections.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace honeymesh {
namespace {

/* Each event that epoll hands out in a turn has its room in the buffer: one that had to be left for the next turn could be left for good. */
constexpr int EVENTS = 128;
constexpr size_t LONGEST_READ = 4096; /* of one connection in one turn: a fast sender waits for the others */
constexpr int ACCEPTS = 128;
constexpr size_t HEADER = 4 * sizeof(uint32_t);
constexpr size_t ACCEPTED_AND_CLOSED = HEADER + 2 * 16 + HEADER;

constexpr uint64_t LISTENER = 1ULL << 63;
/* The kernel keeps so much of what is not acknowledged (and as much again for its own books). The window that the peer sees is not touched: a trap whose
 * SYN-ACK differs from a real service's is found by it. */
constexpr int SEND_BUFFER = 64 << 10;
constexpr size_t SWEPT = 4096; /* at a time */
constexpr int REST_SWEEPS = 5;

int accept_one(int listener, Place &peer)
{
	/* The address comes from accept itself: also of a connection that was reset since, as nmap -sT does at once. */
	socklen_t length = sizeof(peer);
	return accept4(listener, &peer.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* accept(2): an error of the one connection that waited; the next one may be well. */
bool is_of_the_connection(int error)
{
	switch (error) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case EPERM:
	case ENETDOWN:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
	case ETIMEDOUT:
		return true;
	default:
		return false;
	}
}

} // namespace

int Connections::start(Napi::Env env, Napi::Array fds, Napi::Uint8Array buffer, uint32_t largest_unsent, Napi::Function on_batch)
{
	env_ = env;
	data_ = buffer.Data();
	room_ = buffer.ByteLength();
	largest_unsent_ = largest_unsent;
	if (room_ < EVENTS * (HEADER + LONGEST_READ + HEADER) + fds.Length() * ACCEPTS * ACCEPTED_AND_CLOSED)
		return -ENOBUFS;
	epoll_ = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_ < 0)
		return -errno;
	restock();
	for (uint32_t at = 0; at < fds.Length(); at++)
		if (int error = listen_on(fds.Get(at).As<Napi::Number>().Int32Value()); error != 0)
			return error;
	if (napi_get_uv_event_loop(env, &loop_) != napi_ok)
		return -EINVAL;
	if (int error = uv_poll_init(loop_, &poll_, epoll_); error != 0)
		return error;
	uv_timer_init(loop_, &timer_);
	poll_.data = timer_.data = this;
	buffer_ = Napi::Persistent(buffer);
	on_batch_ = Napi::Persistent(on_batch);
	context_ = new Napi::AsyncContext(env, "honeymesh:connections");
	napi_add_async_cleanup_hook(env, [](napi_async_cleanup_hook_handle, void *self) { static_cast<Connections *>(self)->stop(); }, this, &hook_);
	open_ = true;
	return uv_poll_start(&poll_, UV_READABLE, wake);
}

/* A connection inherits all of this from its listener, so none of it costs a call for each. By SO_LINGER an end is a RST: no TIME-WAIT is left on a port
 * that is not ours. */
int Connections::listen_on(int fd)
{
	int on = 1, send_buffer = SEND_BUFFER, flags = fcntl(fd, F_GETFL);
	struct linger by_reset = { 1, 0 };
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &by_reset, sizeof(by_reset)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer)) != 0)
		return -errno;
	struct epoll_event event = {};
	event.events = EPOLLIN;
	event.data.u64 = LISTENER | listeners_.size();
	listeners_.push_back(fd);
	return epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

void Connections::stop()
{
	if (!open_)
		return;
	open_ = false;
	uv_poll_stop(&poll_);
	uv_timer_stop(&timer_);
	while (!connections_.empty())
		drop(connections_.begin());
	uv_close(reinterpret_cast<uv_handle_t *>(&timer_), [](uv_handle_t *handle) {
		auto *self = static_cast<Connections *>(handle->data);
		uv_close(reinterpret_cast<uv_handle_t *>(&self->poll_), [](uv_handle_t *poll) { delete static_cast<Connections *>(poll->data); });
	});
}

/* After a start that failed half-way: a handle that the loop knows must be closed before its memory goes. */
void Connections::give_up()
{
	if (open_)
		stop();
	else
		delete this;
}

Connections::~Connections()
{
	for (int fd : { epoll_, spare_ })
		if (fd >= 0)
			close(fd);
	delete context_;
	if (hook_ != nullptr)
		napi_remove_async_cleanup_hook(hook_);
}

void Connections::wake(uv_poll_t *poll, int status, int)
{
	auto *self = static_cast<Connections *>(poll->data);
	if (status < 0)
		return;
	struct epoll_event events[EVENTS];
	int count = epoll_wait(self->epoll_, events, EVENTS, 0);
	for (int at = 0; at < count; at++) {
		uint64_t id = events[at].data.u64;
		if (id & LISTENER)
			self->accept_from(id & ~LISTENER);
		else if (auto found = self->connections_.find(id); found != self->connections_.end())
			self->look_after(found, events[at].events);
	}
	self->hand_over();
}

void Connections::accept_from(size_t listener)
{
	for (int turn = 0; turn < ACCEPTS; turn++) {
		Place peer = {}, own = {};
		bool spared = false;
		int fd = accept_one(listeners_[listener], peer);
		if (fd < 0 && (errno == EMFILE || errno == ENFILE) && spare_ >= 0) {
			/* Left in the queue it would wake us for ever, and its touch be lost. */
			close(spare_);
			spare_ = -1;
			spared = true;
			fd = accept_one(listeners_[listener], peer);
		}
		if (fd < 0) {
			int error = errno;
			restock();
			if (error == EAGAIN)
				return;
			if (is_of_the_connection(error))
				continue;
			return rest();
		}
		uint64_t id = next_++;
		socklen_t length = sizeof(own);
		getsockname(fd, &own.any, &length);
		tell_accepted(id, peer, own);
		if (spared) {
			close(fd);
			restock();
			shed_++;
			tell(KIND_CLOSED, id);
			continue;
		}
		connections_[id].fd = fd;
		fresh_.push_back(id);
	}
}

void Connections::restock()
{
	if (spare_ < 0)
		spare_ = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* No memory for another connection, or no descriptor and none to spare: to try again at once would be a busy loop. */
void Connections::rest()
{
	resting_ = REST_SWEEPS;
	listen_again(0);
	if (!uv_is_active(reinterpret_cast<uv_handle_t *>(&timer_)))
		uv_timer_start(&timer_, sweep, SWEEP_MS, SWEEP_MS);
}

void Connections::listen_again(uint32_t interest)
{
	for (size_t at = 0; at < listeners_.size(); at++) {
		struct epoll_event event = {};
		event.events = interest;
		event.data.u64 = LISTENER | at;
		epoll_ctl(epoll_, EPOLL_CTL_MOD, listeners_[at], &event);
	}
}

void Connections::look_after(Table::iterator found, uint32_t events)
{
	uint64_t id = found->first;
	/* Bytes before the RST are told before it. */
	if (events & EPOLLIN && found->second.interest & EPOLLIN) {
		if (!receive(found))
			return;
	} else if (events & (EPOLLERR | EPOLLHUP)) {
		drop(found);
		tell(KIND_RESET, id);
		return;
	}
	if (events & EPOLLOUT && found->second.unsent != nullptr)
		flush(found);
}

/* False: it is gone. */
bool Connections::receive(Table::iterator found)
{
	uint64_t id = found->first;
	ssize_t length = recv(found->second.fd, data_ + length_ + HEADER, LONGEST_READ, MSG_DONTWAIT);
	if (length > 0) {
		tell(KIND_RECEIVED, id, length);
		length_ += (length + 3) & ~3;
	} else if (length == 0) {
		found->second.finished = true;
		watch(id, found->second);
		tell(KIND_FINISHED, id);
	} else if (!is_passing(errno)) {
		drop(found);
		tell(KIND_RESET, id);
		return false;
	}
	return true;
}

void Connections::flush(Table::iterator found)
{
	uint64_t id = found->first;
	Connection &connection = found->second;
	Unsent *unsent = connection.unsent;
	ssize_t taken = send(connection.fd, unsent->bytes() + unsent->at, unsent->length - unsent->at, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (taken < 0 && !is_passing(errno)) {
		drop(found);
		tell(KIND_RESET, id);
		return;
	}
	unsent->at += taken < 0 ? 0 : taken;
	if (unsent->at < unsent->length)
		return;
	forget(connection);
	watch(id, connection);
	if (!connection.closing)
		tell(KIND_DRAINED, id);
}

void Connections::sweep(uv_timer_t *timer)
{
	auto *self = static_cast<Connections *>(timer->data);
	if (self->resting_ > 0 && --self->resting_ == 0)
		self->listen_again(EPOLLIN);
	uint64_t now = uv_now(self->loop_);
	std::vector<uint64_t> &lingering = self->lingering_;
	for (size_t looked = std::min(lingering.size(), SWEPT); looked > 0; looked--) {
		if (self->sweep_at_ >= lingering.size())
			self->sweep_at_ = 0;
		uint64_t id = lingering[self->sweep_at_];
		auto found = self->connections_.find(id);
		if (found != self->connections_.end() && now < found->second.close_by && !is_out(found->second)) {
			self->sweep_at_++;
			continue;
		}
		lingering[self->sweep_at_] = lingering.back();
		lingering.pop_back();
		if (found == self->connections_.end())
			continue;
		self->drop(found);
		self->tell(KIND_CLOSED, id);
	}
	if (lingering.empty() && self->resting_ == 0)
		uv_timer_stop(&self->timer_);
	self->hand_over();
}

void Connections::tell(Kind kind, uint64_t id, uint32_t last)
{
	uint32_t words[4] = { kind, static_cast<uint32_t>(id), static_cast<uint32_t>(id >> 32), last };
	memcpy(data_ + length_, words, sizeof(words));
	length_ += sizeof(words);
}

void Connections::tell_accepted(uint64_t id, const Place &peer, const Place &own)
{
	bool ipv6 = peer.any.sa_family == AF_INET6;
	uint32_t from = ntohs(ipv6 ? peer.v6.sin6_port : peer.v4.sin_port), to = ntohs(ipv6 ? own.v6.sin6_port : own.v4.sin_port);
	tell(ipv6 ? KIND_ACCEPTED6 : KIND_ACCEPTED4, id, from << 16 | to);
	for (const Place *place : { &peer, &own }) {
		const void *address = ipv6 ? static_cast<const void *>(&place->v6.sin6_addr) : &place->v4.sin_addr;
		size_t size = ipv6 ? 16 : 4;
		memcpy(data_ + length_, address, size);
		length_ += size;
	}
}

void Connections::hand_over()
{
	if (length_ == 0)
		return;
	double length = length_;
	length_ = 0;
	Napi::Env env(env_);
	Napi::HandleScope scope(env);
	/* May stop us: the memory lives until the loop has closed the handles. */
	on_batch_.MakeCallback(env.Global(), { Napi::Number::New(env, length) }, *context_);
	napi_value thrown;
	bool pending = false;
	if (napi_is_exception_pending(env, &pending) == napi_ok && pending && napi_get_and_clear_last_exception(env, &thrown) == napi_ok)
		napi_fatal_exception(env, thrown);
	if (open_)
		watch_fresh();
}

void Connections::watch_fresh()
{
	for (uint64_t id : fresh_) {
		auto found = connections_.find(id);
		if (found == connections_.end())
			continue;
		Connection &connection = found->second;
		struct epoll_event event = {};
		event.events = connection.interest = interest_of(connection);
		event.data.u64 = id;
		connection.watched = true;
		if (epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event) == 0)
			continue;
		/* The kernel has no memory for it; the sweep tells its end. */
		forget(connection);
		linger(id, connection, 0);
	}
	fresh_.clear();
}

} // namespace honeymesh
