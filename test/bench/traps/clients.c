// SPDX-License-Identifier: Apache-2.0
/*
 * The clients of the bench of traps: many short talks with few or many sources, on one core, so that whoever answers them is the bottleneck and not they.
 *
 *   clients talk --to A --sources BASE,COUNT --say ftp:21,http:80 --connections N --at-once C --patience-ms T [--reset]
 *   clients hold --to A --sources BASE,COUNT --say first:21,part:80 --connections N --at-once C --patience-ms T --hold-ms H
 *
 * `talk`: each connection speaks until it has the whole first answer, then closes. `hold`: each speaks and stays; when all are open a line says so, and after
 * H ms how many are left. Each prints one JSON object a line. Sources are BASE + 256 * (i % COUNT / 8) and so on: eight in a /24 at the most.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "talks.h"

#define MOST_AT_ONCE 16384
#define MOST_SAID 64
#define EVENTS 256
#define PER_NET 8		/* sources in a /24: more of them that are banned would become one ban of the /24 */
#define NONE UINT32_MAX
#define LATENCIES 400000	/* of the first so many connections */

struct said {
	const struct script *script;
	uint16_t port;
	uint64_t answered;
};

struct talk {
	int fd;
	bool open;		/* connected */
	bool done;		/* has said all (`hold`) */
	uint8_t at;		/* step of the script */
	struct said *said;
	uint64_t began;
	uint32_t older, younger;	/* slots under way, by when they began; NONE: the end of that list */
	struct heard heard;
};

static struct {
	struct in_addr to;
	uint32_t base, sources;
	struct said said[MOST_SAID];
	int say_count;
	uint64_t connections, at_once, patience_ns, hold_ms;
	bool reset, hold;
} want;

static struct {
	uint64_t begun, connected, answered, refused, reset, closed, timed_out, errors, lost, bytes;
} counted;

static struct talk *talks;
static uint32_t oldest = NONE, youngest = NONE;
static uint32_t *freed;
static uint32_t freed_count;
static float *latencies_us;
static uint64_t latency_count;
static uint64_t open_count;
static int epoll;

static uint64_t now_ns(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000000000ull + at.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "clients: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Neighbours in time are of different networks. */
static uint32_t source_of(uint64_t nth)
{
	uint32_t nets = (want.sources + PER_NET - 1) / PER_NET;
	uint32_t at = nth % want.sources;

	return want.base + (at % nets) * 256 + 1 + at / nets;
}

static void under_way(uint32_t slot)
{
	talks[slot].older = youngest;
	talks[slot].younger = NONE;
	*(youngest == NONE ? &oldest : &talks[youngest].younger) = slot;
	youngest = slot;
}

static void no_longer_under_way(const struct talk *it)
{
	*(it->older == NONE ? &oldest : &talks[it->older].younger) = it->younger;
	*(it->younger == NONE ? &youngest : &talks[it->younger].older) = it->older;
}

/* The end of a talk, for whatever reason; the slot is free again. */
static void end(struct talk *it, uint64_t *why)
{
	if (want.reset || want.hold) {
		struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

		setsockopt(it->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	}
	close(it->fd);
	it->fd = -1;
	if (!it->done)
		no_longer_under_way(it);
	if (it->open)
		open_count--;
	(*why)++;
	freed[freed_count++] = it - talks;
}

static void begin(uint64_t nth)
{
	uint32_t slot = freed[--freed_count];
	struct talk *it = &talks[slot];
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(source_of(nth)) };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = want.to };
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u32 = slot };
	int yes = 1;

	memset(it, 0, offsetof(struct talk, heard));
	it->heard.length = 0;
	it->said = &want.said[nth % want.say_count];
	under_way(slot);
	to.sin_port = htons(it->said->port);
	it->began = now_ns();
	it->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (it->fd < 0)
		fail("socket");
	/* The port is chosen by connect(), when the other end is known: else a source would run out of them. */
	setsockopt(it->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes));
	setsockopt(it->fd, IPPROTO_IP, IP_FREEBIND, &yes, sizeof(yes));
	setsockopt(it->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	if (bind(it->fd, (struct sockaddr *)&from, sizeof(from)) < 0)
		fail("bind");
	counted.begun++;
	if (connect(it->fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS) {
		end(it, &counted.errors);
		return;
	}
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, it->fd, &event) < 0)
		fail("epoll_ctl");
}

/* Says what there is to say by now. True: the talk is over. */
static bool go_on(struct talk *it, bool stream_ended)
{
	const struct script *script = it->said->script;

	while (it->at < script->count && is_whole(&it->heard, script->steps[it->at].await, stream_ended)) {
		const char *say = script->steps[it->at++].say;

		it->heard.length = 0;
		if (say != NULL && send(it->fd, say, strlen(say), MSG_NOSIGNAL) < 0)
			return false; /* the peer has gone: its end of the stream tells */
	}
	return it->at >= script->count;
}

static void finished(struct talk *it)
{
	it->said->answered++;
	if (latency_count < LATENCIES)
		latencies_us[latency_count++] = (now_ns() - it->began) / 1e3;
	if (!want.hold) {
		end(it, &counted.answered);
		return;
	}
	counted.answered++;
	no_longer_under_way(it);
	it->done = true;
}

static void happened(struct talk *it, uint32_t events)
{
	char bytes[16384];
	bool stream_ended = false;

	if (it->fd < 0)
		return;
	if (!it->open && (events & EPOLLOUT) && !(events & (EPOLLERR | EPOLLHUP))) {
		it->open = true;
		open_count++;
		counted.connected++;
		if (go_on(it, false) && !it->done)
			return finished(it);
	}
	while (events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) {
		ssize_t length = recv(it->fd, bytes, sizeof(bytes), 0);

		if (length < 0 && errno == EAGAIN)
			break;
		if (length <= 0) {
			stream_ended = true;
			if (!it->done && length == 0 && go_on(it, true))
				return finished(it);
			if (it->done)
				return end(it, &counted.lost);
			return end(it, length == 0 ? &counted.closed : it->open ? &counted.reset : &counted.refused);
		}
		counted.bytes += length;
		take(&it->heard, bytes, length);
		if (!it->done && go_on(it, stream_ended)) {
			finished(it);
			if (it->fd < 0)
				return;
		}
	}
}

static void time_out(uint64_t now)
{
	while (oldest != NONE && now - talks[oldest].began >= want.patience_ns)
		end(&talks[oldest], &counted.timed_out);
}

static int by_size(const void *one, const void *other)
{
	float a = *(const float *)one, b = *(const float *)other;

	return (a > b) - (a < b);
}

static double quantile_us(double at)
{
	return latency_count == 0 ? 0 : latencies_us[(uint64_t)((latency_count - 1) * at)];
}

static void report(const char *what, uint64_t began_ns)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	qsort(latencies_us, latency_count, sizeof(*latencies_us), by_size);
	printf("{\"what\":\"%s\",\"seconds\":%.6f,\"begun\":%lu,\"connected\":%lu,\"answered\":%lu,\"open\":%lu,", what, (now_ns() - began_ns) / 1e9, counted.begun,
	       counted.connected, counted.answered, open_count);
	printf("\"refused\":%lu,\"reset\":%lu,\"closed\":%lu,\"timedOut\":%lu,\"errors\":%lu,\"lost\":%lu,\"bytes\":%lu,", counted.refused, counted.reset,
	       counted.closed, counted.timed_out, counted.errors, counted.lost, counted.bytes);
	printf("\"cpuSeconds\":%.3f,\"latencyUs\":{\"p50\":%.0f,\"p90\":%.0f,\"p99\":%.0f},\"said\":{",
	       used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6, quantile_us(0.5), quantile_us(0.9),
	       quantile_us(0.99));
	for (int at = 0; at < want.say_count; at++)
		printf("%s\"%s:%u\":%lu", at == 0 ? "" : ",", want.said[at].script->name, want.said[at].port, want.said[at].answered);
	printf("}}\n");
	fflush(stdout);
}

/* Talks that are no longer under way; with `hold` those are among them that have said all and stay. */
static uint64_t over(void)
{
	return counted.answered + counted.refused + counted.reset + counted.closed + counted.timed_out + counted.errors;
}

static void run(void)
{
	struct epoll_event events[EVENTS];
	uint64_t began = now_ns(), next = 0;

	while (over() < want.connections) {
		int count;

		while (next < want.connections && freed_count > 0 && next - over() < want.at_once)
			begin(next++);
		count = epoll_wait(epoll, events, EVENTS, 10);
		if (count < 0 && errno != EINTR)
			fail("epoll_wait");
		for (int at = 0; at < count; at++)
			happened(&talks[events[at].data.u32], events[at].events);
		time_out(now_ns());
	}
	report(want.hold ? "open" : "over", began);
	if (!want.hold)
		return;
	for (uint64_t until = now_ns() + want.hold_ms * 1000000; now_ns() < until;) {
		int count = epoll_wait(epoll, events, EVENTS, 50);

		for (int at = 0; at < count; at++)
			happened(&talks[events[at].data.u32], events[at].events);
	}
	report("held", began);
}

static void read_say(char *list)
{
	for (char *word = strtok(list, ","); word != NULL; word = strtok(NULL, ",")) {
		char *port = strchr(word, ':');
		const struct script *script;

		if (port == NULL || want.say_count == MOST_SAID)
			exit(2);
		*port++ = 0;
		script = script_named(word);
		if (script == NULL)
			exit(2);
		want.said[want.say_count++] = (struct said){ .script = script, .port = atoi(port) };
	}
}

int main(int argc, char **argv)
{
	struct rlimit files;
	struct in_addr base;

	if (argc < 2)
		return 2;
	want.hold = strcmp(argv[1], "hold") == 0;
	for (int at = 2; at < argc; at++) {
		char *value = at + 1 < argc ? argv[at + 1] : "", *comma;

		if (strcmp(argv[at], "--reset") == 0) {
			want.reset = true;
			continue;
		}
		if (strcmp(argv[at], "--to") == 0)
			inet_aton(value, &want.to);
		else if (strcmp(argv[at], "--sources") == 0 && (comma = strchr(value, ',')) != NULL) {
			*comma = 0;
			inet_aton(value, &base);
			want.base = ntohl(base.s_addr);
			want.sources = atoi(comma + 1);
		} else if (strcmp(argv[at], "--say") == 0)
			read_say(value);
		else if (strcmp(argv[at], "--connections") == 0)
			want.connections = strtoull(value, NULL, 10);
		else if (strcmp(argv[at], "--at-once") == 0)
			want.at_once = strtoull(value, NULL, 10);
		else if (strcmp(argv[at], "--patience-ms") == 0)
			want.patience_ns = strtoull(value, NULL, 10) * 1000000;
		else if (strcmp(argv[at], "--hold-ms") == 0)
			want.hold_ms = strtoull(value, NULL, 10);
		else
			return 2;
		at++;
	}
	if (want.say_count == 0 || want.sources == 0 || want.at_once == 0 || want.at_once > MOST_AT_ONCE || (want.hold && want.connections > MOST_AT_ONCE))
		return 2;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_cur < want.at_once + 16 || (want.hold && files.rlim_cur < want.connections + 16)) {
		errno = EMFILE;
		fail("ulimit -Hn");
	}
	talks = calloc(MOST_AT_ONCE, sizeof(*talks));
	freed = calloc(MOST_AT_ONCE, sizeof(*freed));
	latencies_us = calloc(LATENCIES, sizeof(*latencies_us));
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (talks == NULL || freed == NULL || latencies_us == NULL || epoll < 0)
		fail("memory");
	for (uint32_t slot = 0; slot < MOST_AT_ONCE; slot++)
		freed[freed_count++] = MOST_AT_ONCE - 1 - slot;
	run();
	return 0;
}
