// SPDX-License-Identifier: Apache-2.0
/* What the clients of the bench say, and how they tell that an answer is whole. */
#ifndef TALKS_H
#define TALKS_H

#define HEAD_BYTES 1024		/* of an answer that are kept: all of a line, the head of a page */
#define LAST_CHUNK "0\r\n\r\n"

/* How a talk goes on: what is sent after which answer. */
enum answer { NOTHING, ANY, LINE, REPLY, PAGE };

struct step {
	enum answer await;	/* comes first, then `say` is sent */
	const char *say;
};

struct script {
	const char *name;
	struct step steps[5];	/* the last one says nothing: the talk is over when its answer is there */
	int count;
};

#define PAGE_REQUEST "GET /index.html HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n\r\n"

static const struct script scripts[] = {
	{ "ftp", { { REPLY, "USER admin\r\n" }, { REPLY, "PASS 123456\r\n" }, { REPLY, NULL } }, 3 },
	{ "http", { { NOTHING, PAGE_REQUEST }, { PAGE, NULL } }, 2 },
	{ "ssh", { { LINE, NULL } }, 1 },
	{ "redis", { { NOTHING, "*1\r\n$4\r\nPING\r\n" }, { LINE, NULL } }, 2 },
	/* For `hold`: a greeting; nothing at all; a greeting and a word more; half a request, which is answered when the rest has come. */
	{ "first", { { ANY, NULL } }, 1 },
	{ "idle", { { NOTHING, NULL } }, 1 },
	{ "user", { { REPLY, "USER admin\r\n" }, { REPLY, NULL } }, 2 },
	{ "part", { { NOTHING, "GET /index.html HTTP/1.1\r\nHost: www.example.org\r\n" }, { NOTHING, NULL } }, 2 },
};

/* What came of an answer so far: how many bytes, the last of them and the first. */
struct heard {
	uint64_t length;
	char tail[sizeof(LAST_CHUNK) - 1];
	char head[HEAD_BYTES];
};

static const struct script *script_named(const char *name)
{
	for (size_t at = 0; at < sizeof(scripts) / sizeof(*scripts); at++)
		if (strcmp(scripts[at].name, name) == 0)
			return &scripts[at];
	return NULL;
}

/* RFC 959, 4.2: the last line of a reply has a space after the code. */
static bool is_reply(const char *text, const char *end)
{
	const char *end_of_line;

	for (const char *line = text; (end_of_line = memchr(line, '\n', end - line)) != NULL; line = end_of_line + 1)
		if (end_of_line - line >= 4 && line[3] == ' ')
			return true;
	return false;
}

static bool is_page(struct heard *it, uint32_t kept, bool stream_ended)
{
	char *head_end = memmem(it->head, kept, "\r\n\r\n", 4), *size;
	uint64_t head_length;
	bool chunked;

	if (head_end == NULL)
		return false;
	head_length = head_end + 4 - it->head;
	*head_end = 0;
	size = strcasestr(it->head, "\r\nContent-Length:");
	chunked = strcasestr(it->head, "\r\nTransfer-Encoding: chunked") != NULL;
	*head_end = '\r';
	if (chunked)
		return it->length > head_length && memcmp(it->tail, LAST_CHUNK, sizeof(it->tail)) == 0;
	return size == NULL ? stream_ended : it->length >= head_length + strtoull(size + 17, NULL, 10);
}

static bool is_whole(struct heard *it, enum answer await, bool stream_ended)
{
	uint32_t kept = it->length < HEAD_BYTES ? it->length : HEAD_BYTES;

	switch (await) {
	case NOTHING:
		return true;
	case ANY:
		return kept > 0;
	case LINE:
		return memchr(it->head, '\n', kept) != NULL;
	case REPLY:
		return is_reply(it->head, it->head + kept);
	case PAGE:
		return is_page(it, kept, stream_ended);
	}
	return false;
}

static void take(struct heard *it, const char *bytes, size_t length)
{
	size_t last = length < sizeof(it->tail) ? length : sizeof(it->tail);

	if (it->length < HEAD_BYTES)
		memcpy(it->head + it->length, bytes, length < HEAD_BYTES - it->length ? length : HEAD_BYTES - it->length);
	memmove(it->tail, it->tail + last, sizeof(it->tail) - last);
	memcpy(it->tail + sizeof(it->tail) - last, bytes + length - last, last);
	it->length += length;
}

#endif
