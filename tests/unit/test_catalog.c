// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "common/catalog.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static char *folder;
static struct cache cache;
static struct settings settings;

static int setup(void **state)
{
	static const char text[] = "[flake]\nurl = github:me/infra\n"
				   "[flake blog]\nurl = github:me/blog\n";
	struct err err = ERR_INIT;

	folder = scratch_make();
	if (settings_parse(&settings, text, strlen(text), "test", &err) ||
	    cache_open(&cache, folder, CACHE_WRITE, &err))
		fail_msg("%s", err.msg);
	return 0;
}

static int teardown(void **state)
{
	cache_release(&cache);
	settings_release(&settings);
	scratch_remove(folder);
	return 0;
}

static void put_names(size_t flake, int64_t asked, const char *names)
{
	struct names_record record = { .asked = asked };
	struct err err = ERR_INIT;

	assert_int_equal(cache_put_names(&cache, &settings.flakes[flake].id,
					 &record, names, strlen(names), &err),
			 0);
}

static void put_refs(const char *refs)
{
	struct refs_record record = { .asked_ms = 5999 };
	struct err err = ERR_INIT;

	assert_int_equal(cache_put_refs(&cache, &settings.flakes[0].id, &record,
					refs, strlen(refs), &err),
			 0);
}

static void join(const struct name_list *list, struct strbuf *out)
{
	for (size_t i = 0; i < list->nr; i++)
		strbuf_addf(out, "%s%s", i ? " " : "", list->names[i]);
}

static void test_names(void **state)
{
	autonames names = NAME_LIST_INIT, more = NAME_LIST_INIT;
	autostrbuf text = STRBUF_INIT, all = STRBUF_INIT;
	struct err err = ERR_INIT;
	int64_t asked;

	put_names(0, 9, "web\ndefault\nBash\nweb\n.bad\na/b\n");
	assert_int_equal(catalog_names(&cache, &settings, &names, &asked, &err),
			 0);
	join(&names, &text);
	assert_string_equal(text.buf, "bash default web");
	assert_int_equal(asked, 0); /* blog never was */
	put_names(1, 7, "default\ntheme\n");
	assert_int_equal(catalog_names(&cache, &settings, &more, &asked, &err),
			 0);
	join(&more, &all);
	assert_string_equal(all.buf, "bash blog blog/theme default web");
	assert_int_equal(asked, 7);
}

static void test_has(void **state)
{
	static const struct {
		const char *attribute;
		int has;
	} cases[] = {
		{ "web", 1 },  { "bash", 1 },	    { "", 1 },
		{ "nope", 0 }, { "set/member", 1 }, { "we", 0 },
	};

	put_names(0, 9, "web\ndefault\nBash\n");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(cases[i].attribute,
		      catalog_has(&cache, &settings.flakes[0],
				  cases[i].attribute) == cases[i].has);
}

static void test_nothing_known(void **state)
{
	static const struct flake_settings other = { .name = NULL };
	autonames tags = NAME_LIST_INIT;
	struct err err = ERR_INIT;
	int64_t asked;

	assert_int_equal(catalog_has(&cache, &other, "web"), -1);
	assert_int_equal(catalog_tags(&cache, &other, &tags, &asked, &err), -1);
	assert_int_equal(err.code, ERR_UNKNOWN);
}

static void test_tags(void **state)
{
	autonames tags = NAME_LIST_INIT;
	autostrbuf text = STRBUF_INIT;
	struct err err = ERR_INIT;
	int64_t asked;

	/*
	 * v1 is a tag and a branch; a/b and a@b cannot be told apart; what
	 * follows means something else to whoever pulls it.
	 */
	put_refs(A "\tHEAD\n" A "\trefs/heads/main\n" A "\trefs/heads/v1\n" A
		   "\trefs/heads/feat/x\n" A "\trefs/heads/a/b\n" A
		   "\trefs/heads/a@b\n" A "\trefs/heads/latest\n" A
		   "\trefs/tags/v1\n" A "\trefs/tags/B\n" A "\trefs/heads/" A
		   "\n" A "\trefs/heads/sha256-x\n" A
		   "\trefs/tags/v1-esgztoc\n");
	if (catalog_tags(&cache, &settings.flakes[0], &tags, &asked, &err))
		fail_msg("%s", err.msg);
	join(&tags, &text);
	assert_string_equal(text.buf, "B feat-x latest main v1");
	assert_int_equal(asked, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_has),
		cmocka_unit_test(test_nothing_known),
		cmocka_unit_test(test_tags),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
