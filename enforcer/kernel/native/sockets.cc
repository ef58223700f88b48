/* The trap's listener (which needs privilege to be made, none to be used) and the network namespace's cookie. */
#include "addon.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace honeymesh {
namespace {

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#ifndef IPV6_TRANSPARENT
#define IPV6_TRANSPARENT 75
#endif

int set(int fd, int level, int option, int value) { return setsockopt(fd, level, option, &value, sizeof(value)) == 0 ? 0 : -errno; }

/* (ipv6, port, mark, backlog) -> { fd, port } or -errno. Wildcard address; port 0: any. */
Napi::Value trap_listener(Call info)
{
	Napi::Env env = info.Env();
	bool ipv6 = info[0].As<Napi::Boolean>().Value();
	int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return number(env, -errno);
	/* Transparent: else a masquerade rule anywhere makes the NAT hook drop what was assigned. The address may be used again: else a real
	 * service cannot bind to a port on which a trap's connection is left. Mark: tells a trap's socket from a real one. */
	int error = ipv6 ? set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) : 0;
	if (error == 0)
		error = ipv6 ? set(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1) : set(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
	if (error == 0)
		error = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (error == 0)
		error = set(fd, SOL_SOCKET, SO_MARK, int_at(info, 2));
	union {
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr any;
	} address = {};
	socklen_t length = ipv6 ? sizeof(address.v6) : sizeof(address.v4);
	uint16_t port = htons(static_cast<uint16_t>(uint_at(info, 1)));
	if (ipv6) {
		address.v6.sin6_family = AF_INET6;
		address.v6.sin6_port = port;
	} else {
		address.v4.sin_family = AF_INET;
		address.v4.sin_port = port;
	}
	if (error == 0 && bind(fd, &address.any, length) != 0)
		error = -errno;
	if (error == 0 && listen(fd, int_at(info, 3)) != 0)
		error = -errno;
	if (error == 0 && getsockname(fd, &address.any, &length) != 0)
		error = -errno;
	if (error != 0) {
		close(fd);
		return number(env, error);
	}
	auto result = Napi::Object::New(env);
	result.Set("fd", number(env, fd));
	result.Set("port", number(env, ntohs(ipv6 ? address.v6.sin6_port : address.v4.sin_port)));
	return result;
}

/* (mapFd, key, socketFd): a socket into a SOCKMAP */
Napi::Value put_socket(Call info)
{
	uint32_t key = uint_at(info, 1);
	uint64_t value = int_at(info, 2);
	return number(info.Env(), result_of(bpf_map_update_elem(int_at(info, 0), &key, &value, BPF_ANY)));
}

/* (fd) -> the peer's address as 16 bytes (IPv4 mapped), also of a connection that was reset before we looked: getpeername says ENOTCONN then,
 * SO_PEERNAME does not. Or -errno. */
Napi::Value peer_address(Call info)
{
	Napi::Env env = info.Env();
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} peer = {};
	/* It refuses more room than the address takes. */
	for (socklen_t length : { sizeof(peer.v6), sizeof(peer.v4) }) {
		if (getsockopt(int_at(info, 0), SOL_SOCKET, SO_PEERNAME, &peer, &length) == 0)
			break;
		if (errno != EINVAL || length == sizeof(peer.v4))
			return number(env, -errno);
	}
	if (peer.any.sa_family != AF_INET && peer.any.sa_family != AF_INET6)
		return number(env, -EAFNOSUPPORT);
	auto bytes = Napi::Uint8Array::New(env, 16);
	if (peer.any.sa_family == AF_INET6) {
		memcpy(bytes.Data(), &peer.v6.sin6_addr, 16);
	} else {
		memset(bytes.Data(), 0, 10);
		memset(bytes.Data() + 10, 0xff, 2);
		memcpy(bytes.Data() + 12, &peer.v4.sin_addr, 4);
	}
	return bytes;
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

/* (atLeast) -> how many descriptors this process and its children may have now, or -errno. Above the hard limit only root gets. */
Napi::Value raise_file_limit(Call info)
{
	Napi::Env env = info.Env();
	rlim_t wanted = uint_at(info, 0);
	struct rlimit limit = {};
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return number(env, -errno);
	limit.rlim_max = std::max(limit.rlim_max, wanted);
	limit.rlim_cur = std::max(limit.rlim_cur, wanted);
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		return number(env, -errno);
	return number(env, static_cast<double>(limit.rlim_cur));
}

} // namespace

void export_sockets(Napi::Env env, Napi::Object exports)
{
	add(env, exports, "trapListener", trap_listener);
	add(env, exports, "putSocket", put_socket);
	add(env, exports, "peerAddress", peer_address);
	add(env, exports, "netnsCookie", netns_cookie);
	add(env, exports, "raiseFileLimit", raise_file_limit);
}

} // namespace honeymesh
