// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <errno.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/err.h"

#include "common/banned.h"

static void test_set(void **state)
{
	struct err err = ERR_INIT;

	assert_int_equal(err_set(&err, ERR_NIX, "%d of %d", 1, 2), -1);
	assert_int_equal(err.code, ERR_NIX);
	assert_int_equal(err.sys, 0);
	assert_string_equal(err.msg, "1 of 2");
}

static void test_errno(void **state)
{
	struct err err = ERR_INIT;

	errno = ENOSPC;
	assert_int_equal(err_errno(&err, "writing %s", "x"), -1);
	assert_int_equal(err.code, ERR_SYSTEM);
	assert_int_equal(err.sys, ENOSPC);
	assert_string_equal(err.msg, "writing x: No space left on device");
	errno = 123456;
	(void)err_errno(&err, "x");
	assert_string_equal(err.msg, "x: unknown error");
}

static void test_wrap(void **state)
{
	struct err err = ERR_INIT;

	errno = EIO;
	(void)err_errno(&err, "reading");
	assert_int_equal(err_wrap(&err, "layer %d", 3), -1);
	assert_string_equal(err.msg, "layer 3: reading: Input/output error");
	assert_int_equal(err.code, ERR_SYSTEM);
	assert_int_equal(err.sys, EIO);
}

static void test_long(void **state)
{
	autofree char *text = xmalloc(2 * ERR_MSG_SIZE);
	struct err err = ERR_INIT;

	memset(text, 'a', 2 * ERR_MSG_SIZE - 1);
	text[2 * ERR_MSG_SIZE - 1] = 0;
	(void)err_set(&err, ERR_MALFORMED, "%s", text);
	assert_int_equal(strlen(err.msg), ERR_MSG_SIZE - 1);
	(void)err_wrap(&err, "b");
	assert_int_equal(strlen(err.msg), ERR_MSG_SIZE - 1);
	assert_memory_equal(err.msg, "b: aaa", 6);
	(void)err_wrap(&err, "%s", text);
	assert_int_equal(strlen(err.msg), ERR_MSG_SIZE - 1);
}

static void test_codes(void **state)
{
	for (int code = ERR_NONE; code <= ERR_SYSTEM; code++) {
		const char *name = err_code_name((enum err_code)code);

		check(name, (int)err_code_parse(name) == code);
	}
	assert_int_equal(err_code_parse("no such word"), ERR_SYSTEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),   cmocka_unit_test(test_errno),
		cmocka_unit_test(test_wrap),  cmocka_unit_test(test_long),
		cmocka_unit_test(test_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
