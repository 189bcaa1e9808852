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
		/* Each byte that is no UTF-8 is a U+FFFD. */
		{ "^.*/", "a\xff\xfe/b\xff", "", "b\xff" },
		{ "[^/]/(.)", "\xe2\x82/\xffx", "<$1>", "\xe2<\xff>x" },
		{ "\xef\xbf\xbd", "a\xc3", "-", "a-" },
		{ "", "\xff\xc3\xa4", "-", "-\xff-\xc3\xa4-" },
		/* RE2's \s has no vertical tab. */
		{ "\\s", " \t\n\v\f\r", "", "\v" },
		{ "\\S", " \t\n\v\f\r", "", " \t\n\f\r" },
		{ "[x\\s]", "x \t\n\v\f\r", "", "\v" },
		{ "[[:space:]]", " \t\n\v\f\r", "", "" },
		{ "(?m)^", "a\n", "-", "-a\n-" },
		{ "(?s).+", "a\nb", "-", "-" },
		{ "(?U)a+", "aaa", "-", "---" },
		{ "b{x", "b{x", "?", "?" },
		{ "[]a]|[^]b]", "]bc", "-", "-b-" },
		{ "(?P<x>a)|(?<y>b)", "ab", "${y}${x}", "ab" },
		{ "\\p{Lu}|\\pN|\\x{62}|\\x63", "Aa1bcd", "", "ad" },
		{ "\\/\\_\\-", "/_-", "", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autostrbuf out = STRBUF_INIT;
		struct pattern_budget budget = PATTERN_BUDGET_INIT;
		struct pattern *pattern;
		struct err err = ERR_INIT;

		if (pattern_new(&pattern, cases[i][0], &budget, &err) ||
		    pattern_replace(pattern, cases[i][1], cases[i][2], &out,
				    &err))
			fail_msg("%s: %s", cases[i][0], err.msg);
		check_str(cases[i][0], out.buf, cases[i][3]);
		pattern_free(pattern);
	}
}

static const struct {
	const char *text, *is;
} refused[] = {
	{ "(?=a)", "'(?=' is a look-ahead" },
	{ "(?!a)", "a look-ahead" },
	{ "(?<=a)", "a look-behind" },
	{ "(?<!a)", "a look-behind" },
	{ "(?>a)", "an atomic group" },
	{ "(?|a)", "'(?|' is a group that counts its branches alike" },
	{ "(?(1)a)", "a condition" },
	{ "(?P=a)", "a reference to a group" },
	{ "(?P>a)", "a call of a group" },
	{ "(?&a)", "a call of a group" },
	{ "(?R)", "a call of the expression" },
	{ "(?1)", "no group and no flag of RE2" },
	{ "(?C1)", "no group and no flag of RE2" },
	{ "(?'a'b)", "a name in quotes" },
	{ "(?#a)", "a comment" },
	{ "(?x)a", "no group and no flag of RE2" },
	{ "(?^i)a", "no group and no flag of RE2" },
	{ "(*UTF)a", "'(*' is a verb" },
	{ "(*ACCEPT)", "a verb" },
	{ "a*+", "'*+' is a quantifier on another, or a possessive" },
	{ "a++", "a possessive one" },
	{ "a?+", "a possessive one" },
	{ "a{2}+", "a possessive one" },
	{ "a{2}{3}", "'{2}{3}' is a quantifier on another" },
	{ "a**", "a quantifier on another" },
	{ "a*?*", "a quantifier on another" },
	{ "a{,2}", "'{,2}' is no count of RE2" },
	{ "a{ 1}", "no count of RE2" },
	{ "a{01}", "no count of RE2" },
	{ "a{1001}", "no count of RE2" },
	{ "(a)\\1", "'\\1' is a reference to a group" },
	{ "(a)\\g1", "a reference to a group" },
	{ "(a)\\k<a>", "a reference to a group" },
	{ "\\012", "an octal number" },
	{ "\\Ka", "'\\K' is an escape that RE2 does not have" },
	{ "\\R", "an escape" },
	{ "\\h", "an escape" },
	{ "\\v", "an escape" },
	{ "\\X", "an escape" },
	{ "\\N", "an escape" },
	{ "\\G", "an escape" },
	{ "\\C", "an escape" },
	{ "\\Z", "an escape" },
	{ "\\Qa\\E", "an escape" },
	{ "[\\S]", "'\\S' is an escape" },
	{ "[\\b]", "an escape" },
	{ "\\x1", "no number of two hex digits" },
	{ "\\p{Greek}", "no general category of Unicode" },
	{ "\\pC", "no general category" },
	{ "\\p{L&}", "no general category" },
	{ "[[=a=]]", "a collating element" },
	{ "[[.a.]]", "a collating element" },
	{ "[[:<:]]a", "'[:<:]' is no class of characters of RE2" },
	{ "a[[:>:]]", "no class of characters of RE2" },
	{ "[[:foo:]]", "no class of characters of RE2" },
	{ "[\\s-z]", "cannot be read" },
	{ "[a", "'[' is a class without an end" },
	{ "(", "cannot be read: missing closing parenthesis" },
	{ "a\\", "'\\' is the end" },
	{ "[z-a]", "cannot be read" },
};

/* PCRE2 has more than RE2, and reads some in another way. */
static void test_refuses(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct pattern_budget budget = PATTERN_BUDGET_INIT;
		struct pattern *pattern;
		struct err err = ERR_INIT;

		if (!pattern_new(&pattern, refused[i].text, &budget, &err))
			fail_msg("taken: %s", refused[i].text);
		check(refused[i].text, err.code == ERR_REFUSED);
		check(refused[i].text,
		      strstr(err.msg, refused[i].text) != NULL);
		if (!strstr(err.msg, refused[i].is))
			fail_msg("%s: %s", refused[i].text, err.msg);
	}
}

/* What would take for ever is an error, wherever in the subject it begins. */
static void test_takes_too_long(void **state)
{
	static const char *const texts[] = { "^(a|a)*(a|a)*(a|a)*b$",
					     "(a|a)*(a|a)*(a|a)*b$",
					     "(.*)(.*)(.*)(.*)(.*)(.*)[yz]" };
	static const char subject[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
				      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab!";

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct pattern_budget budget = PATTERN_BUDGET_INIT;
		struct pattern *pattern;
		struct err err = ERR_INIT;

		assert_int_equal(pattern_new(&pattern, texts[i], &budget, &err),
				 0);
		assert_int_equal(pattern_matches(pattern, subject, &err), -1);
		assert_int_equal(err.code, ERR_REFUSED);
		assert_non_null(strstr(err.msg, "takes too long on aaa"));
		pattern_free(pattern);
	}
}

static const char subject[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/* Many matches, each of which is let through. */
static void test_take_too_long_together(void **state)
{
	struct pattern_budget budget = { .patterns = 2, .steps = 3000000 };
	struct pattern *slow, *quick, *third;
	struct err err = ERR_INIT;
	unsigned int nr = 0;

	assert_int_equal(pattern_new(&slow, ".*.*.*[bc]", &budget, &err), 0);
	assert_int_equal(pattern_new(&quick, "a", &budget, &err), 0);
	assert_int_equal(pattern_new(&third, "a", &budget, &err), -1);
	assert_non_null(strstr(err.msg, "expressions in an image"));
	err = (struct err)ERR_INIT;
	while (!pattern_matches(slow, subject, &err))
		nr++;
	assert_in_range(nr, 10, 1000);
	assert_int_equal(err.code, ERR_REFUSED);
	assert_non_null(strstr(err.msg, "too long, all together"));
	assert_int_equal(pattern_matches(quick, subject, &err), -1);
	pattern_free(slow);
	pattern_free(quick);
}

/* Of one image's layers, none of which would be stopped by itself. */
static void test_layers_take_too_long(void **state)
{
	_Atomic uint64_t taken = 0;
	unsigned int nr = 0;

	for (;; nr++) {
		struct pattern_budget budget = { .patterns = 1,
						 .steps = 3000000,
						 .taken = &taken };
		struct pattern *slow;
		struct err err = ERR_INIT;
		int rc;

		assert_int_equal(
			pattern_new(&slow, ".*.*.*[bc]", &budget, &err), 0);
		rc = pattern_matches(slow, subject, &err);
		pattern_free(slow);
		if (!rc)
			continue;
		assert_int_equal(rc, -1);
		assert_non_null(strstr(err.msg, "too long, all together"));
		break;
	}
	assert_in_range(nr, 10, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replaces),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_takes_too_long),
		cmocka_unit_test(test_take_too_long_together),
		cmocka_unit_test(test_layers_take_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
