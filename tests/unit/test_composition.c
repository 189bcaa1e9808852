// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "common/composition.h"
#include "common/json.h"

#include "common/banned.h"

static void test_parse(void **state)
{
	static const struct {
		const char *attribute, *want; /* NULL: no composition */
	} cases[] = {
		{ "bash/git", "+bash+git" },
		{ "git/bash", "+bash+git" },
		{ "git/bash/git/git/bash", "+bash+git" },
		{ "shell", "+shell" },
		{ "shell/shell", "+shell" },
		{ "git/shell", "+git+shell" },
		{ "a/b/c/d/e/f/g/h", "+a+b+c+d+e+f+g+h" },
		{ "libx11/libx11-6/lib", "+lib+libx11+libx11-6" },
		{ "git", NULL },
		{ "git/git", NULL },
		{ "", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autofree char *name = NULL;
		autofree char *got =
			composition_parse(cases[i].attribute, &name);

		check_str(cases[i].attribute, got ? got : "none",
			  cases[i].want ? cases[i].want : "none");
		if (got)
			assert_true(composition_is(got));
		assert_false(composition_is(cases[i].attribute));
	}
}

/* A package that stands there more than once is that package. */
static void test_one(void **state)
{
	autofree char *one = NULL, *same = NULL, *none = NULL;

	assert_null(composition_parse("git/git", &one));
	assert_string_equal(one, "git");
	assert_null(composition_parse("git", &same));
	assert_string_equal(same, "git");
	assert_null(composition_parse("", &none));
	assert_string_equal(none, "");
}

static void test_function(void **state)
{
	autofree char *function = composition_function("+bash+git");

	assert_non_null(strstr(function, "[ \"bash\" \"git\" ]"));
	assert_non_null(strstr(function, ".drvPath"));
}

static void test_roots(void **state)
{
	static const struct {
		const char *json, *error; /* NULL: two roots */
	} cases[] = {
		{ "{\"part\":\"\",\"drvPath\":\"/d\",\"output\":\"out\","
		  "\"roots\":[\"/a\",\"/b\"]}",
		  NULL },
		{ "{\"part\":\"\",\"drvPath\":\"/d\",\"output\":\"out\","
		  "\"roots\":[\"/a\",7]}",
		  "nix eval: key 'roots': expected store paths" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct probe probe = PROBE_INIT;
		autojson *json = NULL;
		struct err err = ERR_INIT;

		if (json_parse(&json, cases[i].json, strlen(cases[i].json),
			       "test", &err))
			fail_msg("%s", err.msg);
		if (probe_read(&probe, json, &err)) {
			check_str(cases[i].json, err.msg, cases[i].error);
			continue;
		}
		assert_null(cases[i].error);
		assert_int_equal(probe.nr_roots, 2);
		assert_string_equal(probe.roots[0], "/a");
		assert_string_equal(probe.roots[1], "/b");
		probe_release(&probe);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_one),
		cmocka_unit_test(test_function),
		cmocka_unit_test(test_roots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
