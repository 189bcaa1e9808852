// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "common/alloc.h"
#include "common/pattern.h"

#include "common/banned.h"

#define PATH "/nix/store/00000000000000000000000000000000-hello"

static void test_replaces(void **state)
{
	/* Expression, subject, replacement, and what Go makes of them. */
	static const char *const cases[][4] = {
		{ "^" PATH, PATH "/bin/x", "", "/bin/x" },
		{ "^" PATH "/bin", PATH "/bin/x", "/usr/bin", "/usr/bin/x" },
		{ "^/nix/store/[a-z0-9]{32}-[^/]+", PATH "/bin/x", "",
		  "/bin/x" },
		{ "^.*/(bin|lib)/(.*)$", PATH "/bin/x", "/$1/${2}.y",
		  "/bin/x.y" },
		{ "(?P<name>b+)", "abbc", "<$name>", "a<bb>c" },
		{ "b", "abc", "$1x-$$-${1}-$-${", "a-$--$-${c" },
		{ "a*", "baaac", "x", "xbxcx" },
		{ "", "ab", "-", "-a-b-" },
		{ "x|", "axb", "-", "-a-b-" },
		{ "(?i)B", "abc", "-", "a-c" },
		{ "\\Aa\\.|[[:digit:]]+\\z", "a.1", "", "" },
		{ "c$", "c\nc\n", "-", "c\nc\n" },
		{ "\xc3\xa4", "a\xc3\xa4\xff", "-", "a-\xff" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autostrbuf out = STRBUF_INIT;
		struct pattern *pattern;
		struct err err = ERR_INIT;

		if (pattern_new(&pattern, cases[i][0], &err) ||
		    pattern_replace(pattern, cases[i][1], cases[i][2], &out,
				    &err))
			fail_msg("%s: %s", cases[i][0], err.msg);
		check_str(cases[i][0], out.buf, cases[i][3]);
		pattern_free(pattern);
	}
}

static void test_refuses(void **state)
{
	static const char *const texts[] = {
		"(?=a)",   "(?!a)", "(?<=a)",  "(?<!a)",  "(?>a)", "(a)\\1",
		"a*+",	   "a++",   "a?+",     "a{2}+",	  "\\Ka",  "\\R",
		"(?R)",	   "(?1)",  "(*UTF)a", "\\Z",	  "\\h",   "(?x)a",
		"(?(1)a)", "[\\b]", "[[=a=]]", "(",	  "[a",	   "a\\",
		"(?#a)",   "\\v",   "(?|a)",   "\\Qa\\E",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct pattern *pattern;
		struct err err = ERR_INIT;

		if (!pattern_new(&pattern, texts[i], &err))
			fail_msg("taken: %s", texts[i]);
		check(texts[i], err.code == ERR_REFUSED);
		check(texts[i], strstr(err.msg, texts[i]) != NULL);
	}
}

/* What would take for ever is an error. */
static void test_takes_too_long(void **state)
{
	struct pattern *pattern;
	struct err err = ERR_INIT;

	assert_int_equal(pattern_new(&pattern, "^(a|a)*(a|a)*(a|a)*b$", &err),
			 0);
	assert_int_equal(pattern_matches(pattern,
					 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
					 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab!",
					 &err),
			 -1);
	assert_int_equal(err.code, ERR_REFUSED);
	pattern_free(pattern);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replaces),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_takes_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
