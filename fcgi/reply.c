// SPDX-License-Identifier: MIT
#include "fcgi/reply.h"

#include <errno.h>
#include <fastcgi.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

/* A multiple of 8, as the specification likes it. */
#define RECORD_MAX_CONTENT 65528

/* What comes after the last of the content. */
#define END_SIZE (2 * sizeof(FCGI_Header) + sizeof(FCGI_EndRequestBody))

static void add_header(struct strbuf *out, int type, uint16_t id, size_t len)
{
	const FCGI_Header header = {
		.version = FCGI_VERSION_1,
		.type = (unsigned char)type,
		.requestIdB1 = (unsigned char)(id >> 8),
		.requestIdB0 = (unsigned char)id,
		.contentLengthB1 = (unsigned char)(len >> 8),
		.contentLengthB0 = (unsigned char)len,
	};

	strbuf_add(out, &header, sizeof(header));
}

/* Of the record at the start of out, whose length is known by now. */
static void set_length(struct strbuf *out, size_t len)
{
	FCGI_Header header;

	memcpy(&header, out->buf, sizeof(header));
	header.contentLengthB1 = (unsigned char)(len >> 8);
	header.contentLengthB0 = (unsigned char)len;
	memcpy(out->buf, &header, sizeof(header));
}

void reply_init(struct reply *reply, int fd, int id)
{
	*reply = (struct reply){
		.fd = fd,
		.id = (uint16_t)id,
		.out = STRBUF_INIT,
	};
	add_header(&reply->out, FCGI_STDOUT, reply->id, 0);
}

void reply_release(struct reply *reply)
{
	strbuf_release(&reply->out);
}

static void send_all(struct reply *reply)
{
	const char *p = reply->out.buf;
	size_t left = reply->out.len;

	while (left && !reply->has_failed) {
		ssize_t n = send(reply->fd, p, left, MSG_NOSIGNAL);

		if (n >= 0) {
			p += n;
			left -= (size_t)n;
		} else if (errno != EINTR) {
			reply->has_failed = true;
		}
	}
	strbuf_reset(&reply->out);
}

static size_t content(const struct reply *reply)
{
	return reply->out.len - sizeof(FCGI_Header);
}

/* How much more there may be in the record; never 0. */
static size_t make_room(struct reply *reply)
{
	if (content(reply) == RECORD_MAX_CONTENT) {
		set_length(&reply->out, RECORD_MAX_CONTENT);
		send_all(reply);
		add_header(&reply->out, FCGI_STDOUT, reply->id, 0);
	}
	return RECORD_MAX_CONTENT - content(reply);
}

void reply_write(struct reply *reply, const void *data, size_t len)
{
	const char *p = data;

	while (len && !reply->has_failed) {
		size_t room = make_room(reply);
		size_t n = len < room ? len : room;

		strbuf_grow(&reply->out, n + END_SIZE);
		strbuf_add(&reply->out, p, n);
		p += n;
		len -= n;
	}
}

void reply_write_file(struct reply *reply, int file, uint64_t offset,
		      uint64_t length)
{
	while (length && !reply->has_failed) {
		size_t room = make_room(reply);
		size_t want = length < room ? (size_t)length : room;
		struct strbuf *out = &reply->out;
		ssize_t n;

		strbuf_grow(out, want + END_SIZE);
		n = pread_all(file, out->buf + out->len, want, (off_t)offset);
		out->len += n > 0 ? (size_t)n : 0;
		if (n != (ssize_t)want) {
			set_length(out, content(reply));
			send_all(reply);
			reply->has_failed = true;
			return;
		}
		offset += want;
		length -= want;
	}
}

void reply_end(struct reply *reply)
{
	const FCGI_EndRequestBody body = {
		.protocolStatus = FCGI_REQUEST_COMPLETE,
	};
	struct strbuf *out = &reply->out;

	if (reply->has_failed)
		return;
	if (content(reply)) {
		set_length(out, content(reply));
		add_header(out, FCGI_STDOUT, reply->id, 0);
	}
	add_header(out, FCGI_END_REQUEST, reply->id, sizeof(body));
	strbuf_add(out, &body, sizeof(body));
	send_all(reply);
}
