// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "common/closure.h"
#include "common/json.h"
#include "tests/unit/closuretext.h"

#include "common/banned.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define S   "/nix/store/"
#define B64 "LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE="
#define BAD "*XEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE="
#define SRI "sha256-" B64
#define SRI_HEX                                                                \
	"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"

static const char text[] = S "c-app\n" HEX "\n300\n" S "x.drv\n4\n" /**/
	S "b-lib\n" S "a-libc\n" S "c-app\n" S "b-lib\n"	    /**/
	S "b-lib\n" HEX "\n200\n\n1\n" S "a-libc\n"		    /**/
	S "a-libc\n" HEX "\n100\n\n1\n" S "a-libc\n"		    /**/
	S "a-lib\n" HEX "\n9223372036854775807\n\n0\n";

static int parse(struct closure *closure, const char *s, struct err *err)
{
	return closure_from_text(closure, s, err);
}

static void test_parse(void **state)
{
	autoclosure c = CLOSURE_INIT;
	struct err err = ERR_INIT;

	if (parse(&c, text, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(c.nr, 4);
	assert_string_equal(c.paths[0].path, S "a-lib");
	assert_true(c.paths[0].nar_size == INT64_MAX);
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

/* Both forms: an array before Nix 2.19, an object since. */
static void test_forms(void **state)
{
	static const char *const forms[] = {
		"[{\"path\":\"" S "a\",\"narHash\":\"" SRI "\",\"narSize\":7,"
		"\"references\":[],\"registrationTime\":3}]",
		"{\"" S "a\":{\"narHash\":\"" SRI "\",\"narSize\":7,"
		"\"references\":[\"" S "a\"],\"registrationTime\":3}}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		autoclosure c = CLOSURE_INIT;
		struct err err = ERR_INIT;
		autojson *json = NULL;

		assert_int_equal(json_parse(&json, forms[i], strlen(forms[i]),
					    "test", &err),
				 0);
		if (closure_read(&c, json, &err))
			fail_msg("%s", err.msg);
		assert_int_equal(c.nr, 1);
		assert_string_equal(c.paths[0].path, S "a");
		assert_string_equal(c.paths[0].nar_hash, "sha256:" SRI_HEX);
		assert_int_equal(c.paths[0].nar_size, 7);
		assert_int_equal(c.paths[0].registered, 3);
		assert_int_equal(c.paths[0].nr_edges, 0);
	}
}

#define PATH(rest) "[{\"path\":\"" S "a\"," rest "}]"
#define GOOD	   "\"narHash\":\"" SRI "\",\"narSize\":1,\"registrationTime\":1"

static void test_wrong(void **state)
{
	static const struct {
		const char *name, *json, *message;
	} cases[] = {
		{ "text", "\"a\"", "neither an array nor an object" },
		{ "not valid", "{\"" S "a\":null}", S "a is not valid" },
		{ "relative", "[{\"path\":\"a\"}]", "a is no store path" },
		{ "no path", "[{}]", "path" },
		{ "no hash", PATH("\"narSize\":1"), "narHash" },
		{ "short hash", PATH("\"narHash\":\"sha256-AAAA\""),
		  S "a: narHash is no SHA-256: sha256-AAAA" },
		{ "other hash", PATH("\"narHash\":\"sha512-" B64 "\""),
		  "narHash is no SHA-256: sha512-" },
		{ "bad base64", PATH("\"narHash\":\"sha256-" BAD "\""),
		  "narHash is no SHA-256" },
		{ "size", PATH("\"narHash\":\"" SRI "\",\"narSize\":\"1\""),
		  "narSize" },
		{ "below 0",
		  PATH("\"narHash\":\"" SRI "\",\"narSize\":-1,"
		       "\"registrationTime\":1"),
		  S "a: key 'narSize': expected a number of bytes" },
		{ "no time", PATH("\"narHash\":\"" SRI "\",\"narSize\":1"),
		  "registrationTime" },
		{ "no references", PATH(GOOD), "references" },
		{ "number", PATH(GOOD ",\"references\":[1]"),
		  S "a: a reference is no text" },
		{ "edge out", PATH(GOOD ",\"references\":[\"" S "b\"]"),
		  S "a needs " S "b, which is not there" },
		{ "twice",
		  "[{\"path\":\"" S "a\"," GOOD ",\"references\":[]},"
		  "{\"path\":\"" S "a\"," GOOD ",\"references\":[]}]",
		  S "a stands there twice" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autoclosure c = CLOSURE_INIT;
		struct err err = ERR_INIT;
		autojson *json = NULL;

		check(cases[i].name,
		      !json_parse(&json, cases[i].json, strlen(cases[i].json),
				  "test", &err));
		check(cases[i].name, closure_read(&c, json, &err) < 0);
		check(cases[i].name, err.code == ERR_MALFORMED);
		if (!strstr(err.msg, cases[i].message))
			fail_msg("%s: got '%s'", cases[i].name, err.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse), cmocka_unit_test(test_find),
		cmocka_unit_test(test_mark),  cmocka_unit_test(test_forms),
		cmocka_unit_test(test_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
