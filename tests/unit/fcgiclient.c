// SPDX-License-Identifier: MIT
#include "tests/unit/fcgiclient.h"

#include "tests/unit/check.h"

#include <errno.h>
#include <fastcgi.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/alloc.h"

#include "common/banned.h"

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	assert_true(strlen(path) < sizeof(address.sun_path));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return address;
}

int fcgiclient_listen(const char *path)
{
	const struct sockaddr_un address = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(
		bind(fd, (const struct sockaddr *)&address, sizeof(address)),
		0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

static void add_record(struct strbuf *out, int type, const void *data,
		       size_t len)
{
	const unsigned char head[FCGI_HEADER_LEN] = {
		FCGI_VERSION_1,
		(unsigned char)type,
		0,
		1,
		(unsigned char)(len >> 8),
		(unsigned char)len,
	};

	strbuf_add(out, (const char *)head, sizeof(head));
	if (len)
		strbuf_add(out, data, len);
}

static void add_param(struct strbuf *out, const char *name, const char *value)
{
	assert_true(strlen(name) < 128 && strlen(value) < 128);
	strbuf_addch(out, (char)strlen(name));
	strbuf_addch(out, (char)strlen(value));
	strbuf_addf(out, "%s%s", name, value);
}

int fcgiclient_ask(const char *path, const char *uri)
{
	const unsigned char begin[8] = { 0, FCGI_RESPONDER };
	const struct sockaddr_un address = address_of(path);
	autostrbuf params = STRBUF_INIT, out = STRBUF_INIT;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	add_param(&params, "REQUEST_METHOD", "GET");
	add_param(&params, "REQUEST_URI", uri);
	add_record(&out, FCGI_BEGIN_REQUEST, begin, sizeof(begin));
	add_record(&out, FCGI_PARAMS, params.buf, params.len);
	add_record(&out, FCGI_PARAMS, NULL, 0);
	add_record(&out, FCGI_STDIN, NULL, 0);
	assert_true(fd >= 0);
	assert_int_equal(
		connect(fd, (const struct sockaddr *)&address, sizeof(address)),
		0);
	assert_int_equal(write_all(fd, out.buf, out.len), 0);
	return fd;
}

void fcgiclient_answer(int fd, struct strbuf *out)
{
	autostrbuf records = STRBUF_INIT;
	struct err err = ERR_INIT;

	if (strbuf_read(&records, fd, 1u << 20, "the answer", &err))
		fail_msg("%s", err.msg);
	close(fd);
	for (size_t i = 0; i + FCGI_HEADER_LEN <= records.len;) {
		const unsigned char *head =
			(const unsigned char *)records.buf + i;
		size_t len = (size_t)head[4] << 8 | head[5];

		i += FCGI_HEADER_LEN;
		assert_true(i + len <= records.len);
		if (head[1] == FCGI_STDOUT)
			strbuf_add(out, records.buf + i, len);
		i += len + head[6];
	}
}
