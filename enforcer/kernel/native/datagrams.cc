/* The traps' UDP sockets, on the libuv loop: a batch of datagrams is received with one call into one buffer that JavaScript handed over, and told with one.
 * While it is told each of them can be answered, from the address that it was sent to.
 *
 * The buffer is rows of ROW bytes: a header of words (family, length kept, length in all, source port, own port, interface, 0, 0, source, own address),
 * then the bytes. enforcer/traps/server/datagrams.ts reads them. */
#include "addon.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <uv.h>

#include <cstring>
#include <memory>

namespace honeymesh {
namespace {

#ifndef IPV6_ORIGDSTADDR
#define IPV6_ORIGDSTADDR 74
#endif

constexpr size_t HEADER = 64, LONGEST = 4096, ROW = HEADER + LONGEST;
constexpr unsigned BATCH = 64;
constexpr int MOST_SOCKETS = 2;
/* After a full batch a socket is left alone: under a flood most of it is dropped by the kernel, from the receive buffer, and connections have the loop. */
constexpr uint64_t REST_MS = 10;

struct Row {
	uint32_t family, kept, length, source_port, own_port, interface, unused[2];
	uint8_t source[16], own[16]; /* IPv4: the first 4 */
	uint8_t bytes[LONGEST];
};
static_assert(sizeof(Row) == ROW, "as datagrams.ts reads it");

union Place {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

union Control {
	struct cmsghdr aligned;
	uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct sockaddr_in6)) + 64];
};

class Datagrams {
public:
	int start(Napi::Env env, Napi::Array fds, Napi::Uint8Array buffer, Napi::Function on_batch)
	{
		env_ = env;
		rows_ = reinterpret_cast<Row *>(buffer.Data());
		uv_loop_t *loop = nullptr;
		if (buffer.ByteLength() < BATCH * ROW || fds.Length() > MOST_SOCKETS || napi_get_uv_event_loop(env, &loop) != napi_ok)
			return -EINVAL;
		buffer_ = Napi::Persistent(buffer);
		on_batch_ = Napi::Persistent(on_batch);
		context_ = new Napi::AsyncContext(env, "honeymesh:datagrams");
		napi_add_async_cleanup_hook(env, [](napi_async_cleanup_hook_handle, void *self) { static_cast<Datagrams *>(self)->stop(); }, this, &hook_);
		uv_timer_init(loop, &timer_);
		timer_.data = this;
		open_ = true;
		for (uint32_t at = 0; at < fds.Length(); at++) {
			Socket &socket = sockets_[at];
			socket.fd = fds.Get(at).As<Napi::Number>().Int32Value();
			int error = uv_poll_init(loop, &socket.poll, socket.fd);
			if (error != 0)
				return error;
			socket.poll.data = this;
			socket.initialised = true;
			error = uv_poll_start(&socket.poll, UV_READABLE, wake);
			if (error != 0)
				return error;
		}
		return 0;
	}

	/* The memory is given back when the loop has closed the handles. */
	void stop()
	{
		if (!open_)
			return;
		open_ = false;
		told_ = nullptr;
		auto closed = [](uv_handle_t *handle) {
			auto *self = static_cast<Datagrams *>(handle->data);
			if (--self->handles_ == 0)
				delete self;
		};
		handles_ = 1;
		uv_close(reinterpret_cast<uv_handle_t *>(&timer_), closed);
		for (Socket &socket : sockets_) {
			if (!socket.initialised)
				continue;
			handles_++;
			uv_close(reinterpret_cast<uv_handle_t *>(&socket.poll), closed);
		}
	}

	void give_up()
	{
		if (open_)
			stop();
		else
			delete this;
	}

	/* Answers row `at` of the batch that is being told. Returns 0 or -errno. */
	int reply(uint32_t at, Bytes bytes)
	{
		if (told_ == nullptr || at >= count_)
			return -ENOTCONN;
		const Row &row = rows_[at];
		bool ipv6 = row.family == 6;
		Place peer = {};
		Control control = {};
		struct iovec piece = { bytes.data, bytes.length };
		struct msghdr message = {};
		message.msg_name = &peer;
		message.msg_iov = &piece;
		message.msg_iovlen = 1;
		message.msg_control = &control;
		struct cmsghdr *header = &control.aligned;
		if (ipv6) {
			peer.v6.sin6_family = AF_INET6;
			peer.v6.sin6_port = htons(row.source_port);
			memcpy(&peer.v6.sin6_addr, row.source, 16);
			struct in6_pktinfo from = {};
			memcpy(&from.ipi6_addr, row.own, 16);
			/* An address of the link is known on its interface only; for others the routes decide. */
			if (IN6_IS_ADDR_LINKLOCAL(&peer.v6.sin6_addr))
				peer.v6.sin6_scope_id = from.ipi6_ifindex = row.interface;
			message.msg_namelen = sizeof(peer.v6);
			message.msg_controllen = CMSG_SPACE(sizeof(from));
			*header = {};
			header->cmsg_level = IPPROTO_IPV6;
			header->cmsg_type = IPV6_PKTINFO;
			header->cmsg_len = CMSG_LEN(sizeof(from));
			memcpy(CMSG_DATA(header), &from, sizeof(from));
		} else {
			peer.v4.sin_family = AF_INET;
			peer.v4.sin_port = htons(row.source_port);
			memcpy(&peer.v4.sin_addr, row.source, 4);
			struct in_pktinfo from = {};
			memcpy(&from.ipi_spec_dst, row.own, 4);
			message.msg_namelen = sizeof(peer.v4);
			message.msg_controllen = CMSG_SPACE(sizeof(from));
			*header = {};
			header->cmsg_level = IPPROTO_IP;
			header->cmsg_type = IP_PKTINFO;
			header->cmsg_len = CMSG_LEN(sizeof(from));
			memcpy(CMSG_DATA(header), &from, sizeof(from));
		}
		return sendmsg(told_->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
	}

	~Datagrams()
	{
		delete context_;
		if (hook_ != nullptr)
			napi_remove_async_cleanup_hook(hook_);
	}

private:
	struct Socket {
		uv_poll_t poll = {};
		int fd = -1;
		bool initialised = false, resting = false;
	};

	static void wake(uv_poll_t *poll, int status, int)
	{
		auto *self = static_cast<Datagrams *>(poll->data);
		Socket *socket = poll == &self->sockets_[0].poll ? &self->sockets_[0] : &self->sockets_[1];
		if (status < 0)
			return;
		unsigned count = self->receive(*socket);
		if (count == BATCH) {
			uv_poll_stop(poll);
			socket->resting = true;
			if (!uv_is_active(reinterpret_cast<uv_handle_t *>(&self->timer_)))
				uv_timer_start(&self->timer_, rested, REST_MS, 0);
		}
		self->hand_over(*socket, count);
	}

	static void rested(uv_timer_t *timer)
	{
		auto *self = static_cast<Datagrams *>(timer->data);
		for (Socket &socket : self->sockets_) {
			if (socket.resting)
				uv_poll_start(&socket.poll, UV_READABLE, wake);
			socket.resting = false;
		}
	}

	unsigned receive(Socket &socket)
	{
		struct mmsghdr messages[BATCH] = {};
		struct iovec pieces[BATCH];
		Place peers[BATCH];
		Control controls[BATCH];
		for (unsigned at = 0; at < BATCH; at++) {
			pieces[at] = { rows_[at].bytes, LONGEST };
			messages[at].msg_hdr.msg_name = &peers[at];
			messages[at].msg_hdr.msg_namelen = sizeof(peers[at]);
			messages[at].msg_hdr.msg_iov = &pieces[at];
			messages[at].msg_hdr.msg_iovlen = 1;
			messages[at].msg_hdr.msg_control = &controls[at];
			messages[at].msg_hdr.msg_controllen = sizeof(controls[at]);
		}
		/* MSG_TRUNC: how long it was, whatever was kept. */
		int count = recvmmsg(socket.fd, messages, BATCH, MSG_DONTWAIT | MSG_TRUNC, nullptr);
		for (int at = 0; at < count; at++)
			describe(rows_[at], peers[at], messages[at]);
		return count < 0 ? 0 : count;
	}

	/* The own port stays 0, and the row is of no use, where the kernel did not say where it was sent, or it was sent to everybody. */
	static void describe(Row &row, const Place &peer, struct mmsghdr &message)
	{
		bool ipv6 = peer.any.sa_family == AF_INET6;
		memset(&row, 0, HEADER);
		row.family = ipv6 ? 6 : 4;
		row.length = message.msg_len;
		row.kept = message.msg_len < LONGEST ? message.msg_len : LONGEST;
		row.source_port = ntohs(ipv6 ? peer.v6.sin6_port : peer.v4.sin_port);
		if (ipv6)
			memcpy(row.source, &peer.v6.sin6_addr, 16);
		else
			memcpy(row.source, &peer.v4.sin_addr, 4);
		bool to_us = false;
		struct in_addr ours = {};
		for (struct cmsghdr *header = CMSG_FIRSTHDR(&message.msg_hdr); header != nullptr; header = CMSG_NXTHDR(&message.msg_hdr, header)) {
			const uint8_t *said = CMSG_DATA(header);
			if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_ORIGDSTADDR) {
				struct sockaddr_in own;
				memcpy(&own, said, sizeof(own));
				row.own_port = ntohs(own.sin_port);
				memcpy(row.own, &own.sin_addr, 4);
			} else if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_ORIGDSTADDR) {
				struct sockaddr_in6 own;
				memcpy(&own, said, sizeof(own));
				row.own_port = ntohs(own.sin6_port);
				memcpy(row.own, &own.sin6_addr, 16);
			} else if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO) {
				struct in_pktinfo info;
				memcpy(&info, said, sizeof(info));
				row.interface = info.ipi_ifindex;
				ours = info.ipi_spec_dst;
			} else if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_PKTINFO) {
				struct in6_pktinfo info;
				memcpy(&info, said, sizeof(info));
				row.interface = info.ipi6_ifindex;
				to_us = !IN6_IS_ADDR_MULTICAST(&info.ipi6_addr);
			}
		}
		if (ipv6 ? !to_us : memcmp(&ours, row.own, sizeof(ours)) != 0)
			row.own_port = 0;
	}

	void hand_over(Socket &socket, unsigned count)
	{
		if (count == 0)
			return;
		Napi::Env env(env_);
		Napi::HandleScope scope(env);
		told_ = &socket;
		count_ = count;
		/* May stop us: the memory lives until the loop has closed the handles. */
		on_batch_.MakeCallback(env.Global(), { Napi::Number::New(env, count) }, *context_);
		told_ = nullptr;
		napi_value thrown;
		bool pending = false;
		if (napi_is_exception_pending(env, &pending) == napi_ok && pending && napi_get_and_clear_last_exception(env, &thrown) == napi_ok)
			napi_fatal_exception(env, thrown);
	}

	napi_env env_ = nullptr;
	Socket sockets_[MOST_SOCKETS];
	uv_timer_t timer_ = {};
	bool open_ = false;
	int handles_ = 0;
	Row *rows_ = nullptr;
	Socket *told_ = nullptr; /* whose batch JavaScript looks at */
	unsigned count_ = 0;
	Napi::Reference<Napi::Uint8Array> buffer_;
	Napi::FunctionReference on_batch_;
	Napi::AsyncContext *context_ = nullptr;
	napi_async_cleanup_hook_handle hook_ = nullptr;
};

/* ([fd], buffer, onBatch(count)) -> { reply(row, bytes), stop() } or -errno */
Napi::Value start_datagrams(Call info)
{
	Napi::Env env = info.Env();
	auto *engine = new Datagrams();
	int error = engine->start(env, info[0].As<Napi::Array>(), info[1].As<Napi::Uint8Array>(), info[2].As<Napi::Function>());
	if (error != 0) {
		engine->give_up();
		return number(env, error);
	}
	/* Shared by the functions: null after stop(), whoever still holds them. */
	auto held = std::make_shared<Datagrams *>(engine);
	auto result = Napi::Object::New(env);
	add(env, result, "reply", [held](Call call) { return number(call.Env(), *held ? (*held)->reply(uint_at(call, 0), bytes_at(call, 1)) : -ENOTCONN); });
	add(env, result, "stop", [held](Call) {
		if (*held)
			(*held)->stop();
		*held = nullptr;
	});
	return result;
}

} // namespace

void export_datagrams(Napi::Env env, Napi::Object exports) { add(env, exports, "startDatagrams", start_datagrams); }

} // namespace honeymesh
