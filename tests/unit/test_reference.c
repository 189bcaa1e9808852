// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/reference.h"

#include "common/banned.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_names(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
		{ "a", true },	       { "web", true },
		{ "a/b/c", true },     { "0", true },
		{ "a.b", true },       { "a_b", true },
		{ "a__b", true },      { "a-b", true },
		{ "a----b", true },    { "a.b_c__d-e/f.g", true },
		{ "", false },	       { "/", false },
		{ "/a", false },       { "a/", false },
		{ "a//b", false },     { "A", false },
		{ "aB", false },       { ".", false },
		{ "..", false },       { "a/..", false },
		{ "a/../b", false },   { "../a", false },
		{ "a/.", false },      { "a..b", false },
		{ "a___b", false },    { "a._b", false },
		{ "a-_b", false },     { "a.-b", false },
		{ ".a", false },       { "_a", false },
		{ "-a", false },       { "a.", false },
		{ "a_", false },       { "a-", false },
		{ "a/-b", false },     { "a:b", false },
		{ "a@b", false },      { "a b", false },
		{ "a\n", false },      { "a%2fb", false },
		{ "\303\244", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct repository_name name;
		struct err err = ERR_INIT;
		const char *text = cases[i].text;
		int rc = repository_name_parse(&name, text, strlen(text), &err);

		check(text, (rc == 0) == cases[i].good);
		if (rc == 0)
			check_str(text, name.text, text);
		else
			check(text, err.code == ERR_MALFORMED);
	}
}

static void test_name_length(void **state)
{
	char text[REPOSITORY_NAME_MAX + 1];
	struct repository_name name;
	struct err err = ERR_INIT;

	memset(text, 'a', sizeof(text));
	assert_int_equal(
		repository_name_parse(&name, text, sizeof(text) - 1, &err), 0);
	assert_int_equal(strlen(name.text), REPOSITORY_NAME_MAX);
	assert_int_equal(repository_name_parse(&name, text, sizeof(text), &err),
			 -1);
	assert_int_equal(repository_name_parse(&name, "a\0b", 3, &err), -1);
	/* Exactly len bytes, whatever follows. */
	assert_int_equal(repository_name_parse(&name, "web/../x", 3, &err), 0);
	assert_string_equal(name.text, "web");
}

static void test_tags(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
		{ "latest", true },  { "v1.0", true }, { "_", true },
		{ "A-b.C_d", true }, { "1", true },    { "a..", true },
		{ "", false },	     { ".", false },   { "..", false },
		{ "-a", false },     { ".a", false },  { "a/b", false },
		{ "a+b", false },    { "a#b", false }, { "a b", false },
		{ "a\n", false },    { "a%", false },  { "\303\244", false },
	};
	char text[TAG_MAX + 1];
	struct err err = ERR_INIT;
	struct tag tag;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *s = cases[i].text;
		int rc = tag_parse(&tag, s, strlen(s), &err);

		check(s, (rc == 0) == cases[i].good);
		if (rc == 0)
			check_str(s, tag.text, s);
	}
	memset(text, 'a', sizeof(text));
	assert_int_equal(tag_parse(&tag, text, TAG_MAX, &err), 0);
	assert_int_equal(tag_parse(&tag, text, TAG_MAX + 1, &err), -1);
	assert_int_equal(tag_parse(&tag, "a\0b", 3, &err), -1);
}

static void test_references(void **state)
{
	static const struct {
		const char *text;
		enum err_code code;
		bool is_digest;
	} cases[] = {
		{ "main", ERR_NONE, false },
		{ "sha256:" HEX, ERR_NONE, true },
		{ "sha256-" HEX, ERR_NONE, false },
		{ "sha256:" HEX "0", ERR_MALFORMED, true },
		{ "sha512:" HEX, ERR_UNKNOWN, true },
		{ "sha256:totallywrong", ERR_MALFORMED, true },
		{ ":", ERR_MALFORMED, true },
		{ "", ERR_MALFORMED, false },
	};
	char out[REFERENCE_STR_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *s = cases[i].text;
		struct err err = ERR_INIT;
		struct reference ref;
		int rc = reference_parse(&ref, s, strlen(s), &err);

		check(s, err.code == cases[i].code);
		check(s, (rc == 0) == (cases[i].code == ERR_NONE));
		if (rc == 0) {
			check(s, ref.is_digest == cases[i].is_digest);
			check_str(s, reference_str(&ref, out), s);
		}
	}
}

static void test_image_names(void **state)
{
	static const struct {
		const char *text, *name, *reference;
	} cases[] = {
		{ "web", "web", "latest" },
		{ "a/b:v1", "a/b", "v1" },
		{ "web@sha256:" HEX, "web", "sha256:" HEX },
		{ "web:", NULL, NULL },
		{ "web@", NULL, NULL },
		{ "", NULL, NULL },
		{ ":v1", NULL, NULL },
		{ "@sha256:" HEX, NULL, NULL },
		{ "web:sha256:" HEX, NULL, NULL },
		{ "web:v1@sha256:" HEX, NULL, NULL },
		{ "web@main", NULL, NULL },
		{ "localhost:5000/web", NULL, NULL },
	};
	char out[REFERENCE_STR_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *s = cases[i].text;
		struct repository_name name;
		struct err err = ERR_INIT;
		struct reference ref;
		int rc = image_name_parse(&name, &ref, s, &err);

		check(s, (rc == 0) == !!cases[i].name);
		if (rc < 0)
			continue;
		check_str(s, name.text, cases[i].name);
		check_str(s, reference_str(&ref, out), cases[i].reference);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_name_length),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_image_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
