// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <fastcgi.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "fcgi/reply.h"

#include "common/banned.h"

#define ID   0x1234
/* What one record holds at most. */
#define FULL 65528

struct got {
	int fd;
	struct strbuf bytes;
};

/* All that comes, so that whoever sends is not held up. */
static void *take(void *arg)
{
	struct got *got = arg;
	struct err err = ERR_INIT;

	return strbuf_read(&got->bytes, got->fd, 1 << 24, "it", &err) ? got
								      : NULL;
}

/* What is in the records of standard output; *ended: the request's end. */
static void unwrap(const struct strbuf *bytes, struct strbuf *out,
		   size_t *records, bool *ended)
{
	const unsigned char *p = (const unsigned char *)bytes->buf;
	const unsigned char *end = p + bytes->len;

	*records = 0;
	*ended = false;
	while (p < end) {
		size_t len = (size_t)p[4] << 8 | p[5];

		assert_false(*ended);
		assert_true(end - p >= (ptrdiff_t)(FCGI_HEADER_LEN + len));
		assert_int_equal(p[0], FCGI_VERSION_1);
		assert_int_equal(p[2] << 8 | p[3], ID);
		assert_int_equal(p[6], 0);
		*ended = p[1] == FCGI_END_REQUEST;
		if (!*ended)
			assert_int_equal(p[1], FCGI_STDOUT);
		else
			assert_int_equal(p[12], FCGI_REQUEST_COMPLETE);
		if (!*ended)
			strbuf_add(out, p + FCGI_HEADER_LEN, len);
		p += FCGI_HEADER_LEN + len;
		++*records;
	}
}

/* So many bytes from memory, then from a file that has `there` of them. */
static void exchange(const char *name, size_t memory, size_t file, size_t there,
		     size_t want_records)
{
	char path[] = "/tmp/test_reply.XXXXXX";
	autoclose int fd = mkstemp(path);
	autofree char *data = xcalloc(1, memory + file + 1);
	autostrbuf out = STRBUF_INIT;
	struct got got = { .bytes = STRBUF_INIT };
	size_t records;
	pthread_t thread;
	bool ended;
	void *failed;
	int fds[2];

	assert_true(fd >= 0);
	unlink(path);
	for (size_t i = 0; i < memory + file; i++)
		data[i] = (char)(i * 7 + i / 251);
	assert_int_equal(write_all(fd, "ab", 2), 0);
	assert_int_equal(write_all(fd, data + memory, there), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	got.fd = fds[0];
	assert_int_equal(pthread_create(&thread, NULL, take, &got), 0);
	{
		autoreply reply;

		reply_init(&reply, fds[1], ID);
		reply_write(&reply, data, memory);
		reply_write_file(&reply, fd, 2, file);
		check(name, reply.has_failed == (there < file));
		reply_end(&reply);
	}
	close(fds[1]);
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
	close(fds[0]);
	unwrap(&got.bytes, &out, &records, &ended);
	check(name, ended == (there == file));
	check(name, out.len == memory + there);
	check(name, !memcmp(out.buf, data, out.len));
	if (ended)
		check(name, records == want_records);
	strbuf_release(&got.bytes);
}

static void test_records(void **state)
{
	static const struct {
		const char *name;
		size_t memory, file, there;
		size_t records; /* with the empty one and the end */
	} cases[] = {
		{ "nothing", 0, 0, 0, 2 },
		{ "a byte", 1, 0, 0, 3 },
		{ "a byte of a file", 0, 1, 1, 3 },
		{ "less than a record", FULL - 1, 0, 0, 3 },
		{ "a record", FULL, 0, 0, 3 },
		{ "more than a record", FULL + 1, 0, 0, 4 },
		{ "a record of both", 400, FULL - 400, FULL - 400, 3 },
		{ "more than one of both", 400, FULL - 399, FULL - 399, 4 },
		{ "many", 1000000, 2000000, 2000000, 48 },
		{ "a file cut short", 400, 1000, 999, 0 },
		{ "a long one cut short", 400, 300000, 200000, 0 },
		{ "an empty file", 400, 1, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		exchange(cases[i].name, cases[i].memory, cases[i].file,
			 cases[i].there, cases[i].records);
}

/* The web server is gone: no signal, no end. */
static void test_nobody_reads(void **state)
{
	autofree char *data = xcalloc(1, 1 << 20);
	autoreply reply;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	close(fds[0]);
	reply_init(&reply, fds[1], ID);
	reply_write(&reply, data, 1 << 20);
	assert_true(reply.has_failed);
	reply_write(&reply, data, 1);
	reply_write_file(&reply, -1, 0, 1);
	reply_end(&reply);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_nobody_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
