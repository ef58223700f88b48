/* The traps' sockets (which need privilege to be made, none to be used), the network namespace's cookie, the limit of descriptors. */
#include "addon.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

namespace honeymesh {
namespace {

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#ifndef IPV6_TRANSPARENT
#define IPV6_TRANSPARENT 75
#endif
#ifndef IPV6_RECVORIGDSTADDR
#define IPV6_RECVORIGDSTADDR 74
#endif

int set(int fd, int level, int option, int value) { return setsockopt(fd, level, option, &value, sizeof(value)) == 0 ? 0 : -errno; }

/* The options that a trap's socket needs privilege for. Transparent: else a masquerade rule anywhere makes the NAT hook drop what was assigned, and no
 * datagram could be answered from the address that it came to. Mark: tells a trap's socket, and what it sends, from a real one. */
int make_trap(int fd, bool ipv6, int mark)
{
	int error = ipv6 ? set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) : 0;
	if (error == 0)
		error = ipv6 ? set(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1) : set(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
	return error == 0 ? set(fd, SOL_SOCKET, SO_MARK, mark) : error;
}

/* Binds to the wildcard address; port 0: any, and the one that it became. */
int bind_to(int fd, bool ipv6, uint16_t *port)
{
	union {
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr any;
	} address = {};
	socklen_t length = ipv6 ? sizeof(address.v6) : sizeof(address.v4);
	if (ipv6) {
		address.v6.sin6_family = AF_INET6;
		address.v6.sin6_port = htons(*port);
	} else {
		address.v4.sin_family = AF_INET;
		address.v4.sin_port = htons(*port);
	}
	if (bind(fd, &address.any, length) != 0 || getsockname(fd, &address.any, &length) != 0)
		return -errno;
	*port = ntohs(ipv6 ? address.v6.sin6_port : address.v4.sin_port);
	return 0;
}

Napi::Value socket_or_error(Napi::Env env, int fd, uint16_t port, int error)
{
	if (error != 0) {
		close(fd);
		return number(env, error);
	}
	auto result = Napi::Object::New(env);
	result.Set("fd", number(env, fd));
	result.Set("port", number(env, port));
	return result;
}

/* (ipv6, port, mark, backlog) -> { fd, port } or -errno. Wildcard address; port 0: any. */
Napi::Value trap_listener(Call info)
{
	Napi::Env env = info.Env();
	bool ipv6 = info[0].As<Napi::Boolean>().Value();
	uint16_t port = uint_at(info, 1);
	int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return number(env, -errno);
	int error = make_trap(fd, ipv6, int_at(info, 2));
	/* Its connections live on the port that was asked: a real service could not bind there while one is left. */
	if (error == 0)
		error = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (error == 0)
		error = bind_to(fd, ipv6, &port);
	if (error == 0 && listen(fd, int_at(info, 3)) != 0)
		error = -errno;
	return socket_or_error(env, fd, port, error);
}

/* (ipv6, port, mark, receiveBuffer) -> { fd, port } or -errno. Tells of each datagram the address and port that it was sent to, and the interface. */
Napi::Value trap_datagrams(Call info)
{
	Napi::Env env = info.Env();
	bool ipv6 = info[0].As<Napi::Boolean>().Value();
	uint16_t port = uint_at(info, 1);
	int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return number(env, -errno);
	int error = make_trap(fd, ipv6, int_at(info, 2));
	if (error == 0)
		error = ipv6 ? set(fd, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, 1) : set(fd, IPPROTO_IP, IP_RECVORIGDSTADDR, 1);
	if (error == 0)
		error = ipv6 ? set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) : set(fd, IPPROTO_IP, IP_PKTINFO, 1);
	/* A flood is dropped there, before it costs more. Beyond net.core.rmem_max if we may. */
	if (error == 0 && set(fd, SOL_SOCKET, SO_RCVBUFFORCE, int_at(info, 3)) != 0)
		error = set(fd, SOL_SOCKET, SO_RCVBUF, int_at(info, 3));
	if (error == 0)
		error = bind_to(fd, ipv6, &port);
	return socket_or_error(env, fd, port, error);
}

/* (mapFd, key, socketFd): a socket into a SOCKMAP */
Napi::Value put_socket(Call info)
{
	uint32_t key = uint_at(info, 1);
	uint64_t value = int_at(info, 2);
	return number(info.Env(), result_of(bpf_map_update_elem(int_at(info, 0), &key, &value, BPF_ANY)));
}

/* () -> cookie of the caller's network namespace as a BigInt, or -errno */
Napi::Value netns_cookie(Call info)
{
	Napi::Env env = info.Env();
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return number(env, -errno);
	uint64_t cookie = 0;
	socklen_t length = sizeof(cookie);
	int error = getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length) == 0 ? 0 : -errno;
	close(fd);
	if (error != 0)
		return number(env, error);
	return Napi::BigInt::New(env, cookie);
}

/* (atLeast) -> how many descriptors this process and its children may have now, or -errno. Above the hard limit only CAP_SYS_RESOURCE gets; without it
 * the hard limit is all there is. */
Napi::Value raise_file_limit(Call info)
{
	Napi::Env env = info.Env();
	rlim_t wanted = uint_at(info, 0);
	struct rlimit limit = {};
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return number(env, -errno);
	struct rlimit more = { std::max(limit.rlim_cur, wanted), std::max(limit.rlim_max, wanted) };
	if (setrlimit(RLIMIT_NOFILE, &more) == 0)
		return number(env, static_cast<double>(more.rlim_cur));
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		return number(env, -errno);
	return number(env, static_cast<double>(limit.rlim_cur));
}

} // namespace

void export_sockets(Napi::Env env, Napi::Object exports)
{
	add(env, exports, "trapListener", trap_listener);
	add(env, exports, "trapDatagrams", trap_datagrams);
	add(env, exports, "putSocket", put_socket);
	add(env, exports, "netnsCookie", netns_cookie);
	add(env, exports, "raiseFileLimit", raise_file_limit);
}

} // namespace honeymesh
