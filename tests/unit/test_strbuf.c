// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/strbuf.h"

#include "common/banned.h"

static void test_add(void **state)
{
	autostrbuf sb = STRBUF_INIT;

	assert_string_equal(sb.buf, "");
	strbuf_reset(&sb);
	strbuf_addstr(&sb, "a");
	strbuf_addch(&sb, 'b');
	strbuf_addf(&sb, "%s-%d", "c", 7);
	strbuf_add(&sb, "x\0y", 3);
	assert_int_equal(sb.len, 8);
	assert_memory_equal(sb.buf, "abc-7x\0y", 9);
	strbuf_reset(&sb);
	assert_int_equal(sb.len, 0);
	assert_string_equal(sb.buf, "");
	strbuf_addf(&sb, "%5000d", 1);
	assert_int_equal(sb.len, 5000);
	assert_int_equal(strlen(sb.buf), 5000);
}

static void test_grow(void **state)
{
	autostrbuf sb = STRBUF_INIT;

	for (int i = 0; i < 100000; i++)
		strbuf_addch(&sb, (char)('a' + i % 26));
	assert_int_equal(sb.len, 100000);
	assert_int_equal(sb.buf[99999], 'a' + 99999 % 26);
	assert_int_equal(sb.buf[100000], 0);
}

static void test_detach(void **state)
{
	autostrbuf sb = STRBUF_INIT;
	autofree char *first = NULL, *second = NULL;
	size_t len;

	first = strbuf_detach(&sb, &len);
	assert_string_equal(first, "");
	assert_int_equal(len, 0);
	strbuf_addstr(&sb, "abc");
	second = strbuf_detach(&sb, NULL);
	assert_string_equal(second, "abc");
	assert_int_equal(sb.len, 0);
	assert_string_equal(sb.buf, "");
}

static void test_read(void **state)
{
	char name[] = "/tmp/test_strbuf.XXXXXX";
	autoclose int fd = mkstemp(name);
	autostrbuf in = STRBUF_INIT, out = STRBUF_INIT;
	struct err err = ERR_INIT;

	assert_true(fd >= 0);
	unlink(name);
	strbuf_addf(&in, "%100000d", 1);
	assert_int_equal(write_all(fd, in.buf, in.len), 0);
	lseek(fd, 0, SEEK_SET);
	strbuf_addstr(&out, "before");
	assert_int_equal(strbuf_read(&out, fd, in.len, "it", &err), 0);
	assert_int_equal(out.len, in.len + 6);
	assert_string_equal(out.buf + 6, in.buf);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(strbuf_read(&out, fd, in.len - 1, "it", &err), -1);
	assert_int_equal(err.code, ERR_MALFORMED);
	assert_string_equal(err.msg, "it has more than 99999 bytes");
	out.len = 6;
	assert_int_equal(strbuf_read_file(&out, fd, in.len, in.len, "it", &err),
			 0);
	assert_int_equal(out.len, in.len + 6);
	assert_string_equal(out.buf + 6, in.buf);
	err = (struct err)ERR_INIT;
	assert_int_equal(
		strbuf_read_file(&out, fd, in.len, in.len - 1, "it", &err), -1);
	assert_string_equal(err.msg, "it has more than 99999 bytes");
	assert_int_equal(strbuf_read(&out, -1, 1, "it", &err), -1);
	assert_int_equal(err.code, ERR_SYSTEM);
	assert_int_equal(write_all(-1, "a", 1), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_grow),
		cmocka_unit_test(test_detach),
		cmocka_unit_test(test_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
