// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "common/closure.h"

#include "common/banned.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define S   "/nix/store/"

static const char text[] = S "c-app\n" HEX "\n300\n" S "x.drv\n4\n" /**/
	S "b-lib\n" S "a-libc\n" S "c-app\n" S "b-lib\n"	    /**/
	S "b-lib\n" HEX "\n200\n\n1\n" S "a-libc\n"		    /**/
	S "a-libc\n" HEX "\n100\n\n1\n" S "a-libc\n"		    /**/
	S "a-lib\n" HEX "\n18446744073709551615\n\n0\n";

static int parse(struct closure *closure, const char *s, struct err *err)
{
	return closure_parse(closure, s, strlen(s), err);
}

static void test_parse(void **state)
{
	autoclosure c = CLOSURE_INIT;
	struct err err = ERR_INIT;

	if (parse(&c, text, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(c.nr, 4);
	assert_string_equal(c.paths[0].path, S "a-lib");
	assert_true(c.paths[0].nar_size == UINT64_MAX);
	assert_int_equal(c.paths[0].nr_edges, 0);
	assert_string_equal(c.paths[1].path, S "a-libc");
	assert_int_equal(c.paths[1].nr_edges, 0);
	assert_int_equal(c.paths[2].nr_edges, 1);
	assert_int_equal(c.paths[2].edges[0], 1);
	assert_string_equal(c.paths[3].path, S "c-app");
	assert_string_equal(c.paths[3].nar_hash, "sha256:" HEX);
	assert_int_equal(c.paths[3].nar_size, 300);
	assert_int_equal(c.paths[3].nr_edges, 2);
	assert_int_equal(c.paths[3].edges[0], 1);
	assert_int_equal(c.paths[3].edges[1], 2);
}

static void test_find(void **state)
{
	autoclosure c = CLOSURE_INIT, empty = CLOSURE_INIT;
	struct err err = ERR_INIT;

	assert_int_equal(parse(&c, text, &err), 0);
	for (size_t i = 0; i < c.nr; i++)
		assert_int_equal(closure_find(&c, c.paths[i].path), i);
	assert_int_equal(closure_find(&c, S "a-li"), -1);
	assert_int_equal(closure_find(&c, S "a-libcc"), -1);
	assert_int_equal(closure_find(&c, ""), -1);
	assert_int_equal(closure_find(&c, S "z"), -1);
	assert_int_equal(parse(&empty, "", &err), 0);
	assert_int_equal(closure_find(&empty, S "a-lib"), -1);
}

static void test_mark(void **state)
{
	unsigned char all[4] = { 0 }, some[4] = { 0 }, half[4] = { 0, 1, 1, 0 };
	autoclosure c = CLOSURE_INIT;
	struct err err = ERR_INIT;

	assert_int_equal(parse(&c, text, &err), 0);
	closure_mark(&c, 3, all);
	assert_memory_equal(all, "\0\1\1\1", 4);
	closure_mark(&c, 2, some);
	assert_memory_equal(some, "\0\1\1\0", 4);
	closure_mark(&c, 3, half);
	assert_memory_equal(half, "\0\1\1\1", 4);
}

static void test_wrong(void **state)
{
	static const struct {
		const char *name, *text, *message;
	} cases[] = {
		{ "empty line", "\n", "line 1: expected a store path" },
		{ "relative", "a\n", "line 1: expected a store path" },
		{ "no end", S "a", "line 1: expected a store path" },
		{ "no hash", S "a\n", "line 2: expected a NAR's SHA-256" },
		{ "bad hash", S "a\nabc\n",
		  "line 2: expected a NAR's SHA-256" },
		{ "no size", S "a\n" HEX "\n\n",
		  "line 3: expected a NAR's size" },
		{ "bad size", S "a\n" HEX "\n-1\n",
		  "line 3: expected a NAR's size" },
		{ "large size", S "a\n" HEX "\n18446744073709551616\n",
		  "line 3: expected a NAR's size" },
		{ "no deriver", S "a\n" HEX "\n1\n",
		  "line 4: expected a deriver" },
		{ "no number", S "a\n" HEX "\n1\n\n",
		  "line 5: expected the number of references" },
		{ "few references", S "a\n" HEX "\n1\n\n99999999999\n" S "a\n",
		  "line 7: expected a store path" },
		{ "edge out", S "a\n" HEX "\n1\n\n1\n" S "b\n",
		  S "a needs " S "b, which is not there" },
		{ "twice", S "a\n" HEX "\n1\n\n0\n" S "a\n" HEX "\n1\n\n0\n",
		  S "a stands there twice" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autoclosure c = CLOSURE_INIT;
		struct err err = ERR_INIT;

		check(cases[i].name, parse(&c, cases[i].text, &err) < 0);
		check(cases[i].name, err.code == ERR_MALFORMED);
		if (!strstr(err.msg, cases[i].message))
			fail_msg("%s: got '%s'", cases[i].name, err.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_mark),
		cmocka_unit_test(test_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
