// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/pathoptions.h"
#include "common/pattern.h"

#include "common/banned.h"

/* The options hold what they need of the JSON for as long as that lives. */
static struct {
	struct json_object *json[20];
	size_t nr;
	struct pattern_budget budget;
} kept;

static int release(void **state)
{
	while (kept.nr)
		json_object_put(kept.json[--kept.nr]);
	return 0;
}

static struct path_options *read_options(const char *text, struct err *err)
{
	struct json_object **json = &kept.json[kept.nr++];
	struct path_options *options = NULL;

	assert_true(kept.nr <= ARRAY_SIZE(kept.json));
	kept.budget = (struct pattern_budget)PATTERN_BUDGET_INIT;
	*err = (struct err)ERR_INIT;
	if (json_parse(json, text, strlen(text), "it", err))
		fail_msg("%s: %s", text, err->msg);
	if (path_options_new(&options, *json, &kept.budget, "it", err))
		assert_null(options);
	return options;
}

static void test_refused(void **state)
{
	static const struct {
		const char *text;
		enum err_code code;
		const char *says;
	} cases[] = {
		{ "{\"new\": 1}", ERR_REFUSED, "'new'" },
		{ "{\"rewrite\": []}", ERR_MALFORMED, "rewrite" },
		{ "{\"rewrite\": {\"regex\": 1}}", ERR_MALFORMED, "regex" },
		{ "{\"rewrite\": {\"new\": 1}}", ERR_REFUSED, "'new'" },
		{ "{\"rewrite\": {\"regex\": \"(?=a)\"}}", ERR_REFUSED, "(?=" },
		{ "{\"perms\": {}}", ERR_MALFORMED, "perms" },
		{ "{\"perms\": [{}]}", ERR_MALFORMED, "regex" },
		{ "{\"perms\": [{\"regex\": \"a\", \"new\": 1}]}", ERR_REFUSED,
		  "'new'" },
		{ "{\"perms\": [{\"regex\": \"a\", \"mode\": \"rwx\"}]}",
		  ERR_MALFORMED, "mode 'rwx'" },
		{ "{\"perms\": [{\"regex\": \"a\", \"mode\": \"10000\"}]}",
		  ERR_MALFORMED, "mode '10000'" },
		{ "{\"perms\": [{\"regex\": \"a\", \"orMode\": \"8\"}]}",
		  ERR_MALFORMED, "mode '8'" },
		{ "{\"perms\": [{\"regex\": \"a\", \"uid\": -1}]}",
		  ERR_MALFORMED, "uid" },
		{ "{\"perms\": [{\"regex\": \"a\", \"gid\": 4294967295}]}",
		  ERR_MALFORMED, "gid" },
		{ "{\"perms\": [{\"regex\": \"a\", \"uid\": \"0\"}]}",
		  ERR_MALFORMED, "uid" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err;

		check(cases[i].text, !read_options(cases[i].text, &err));
		check(cases[i].text, err.code == cases[i].code);
		check(err.msg, strstr(err.msg, cases[i].says));
	}
}

static void test_rewrite(void **state)
{
	autostrbuf name = STRBUF_INIT;
	struct err err;
	struct path_options *options =
		read_options("{\"rewrite\": {\"regex\": \"^/nix/store/[^/]*\", "
			     "\"repl\": \"\"}}",
			     &err);

	assert_non_null(options);
	assert_int_equal(path_options_rewrite(options, "/nix/store/a-b/bin/x",
					      &name, &err),
			 0);
	assert_string_equal(name.buf, "/bin/x");
	strbuf_reset(&name);
	assert_int_equal(
		path_options_rewrite(options, "/nix/store/a-b", &name, &err),
		0);
	assert_int_equal(name.len, 0);
	assert_int_equal(path_options_rewrite(NULL, "/x", &name, &err), 0);
	assert_string_equal(name.buf, "/x");
	path_options_free(options);
}

/* All that match, in turn; nix2container sets an owner with each. */
static void test_perms(void **state)
{
	struct tar_options owner = { .uid = 7, .gid = 7, .uname = "x" };
	mode_t mode = 0444;
	struct err err;
	struct path_options *options = read_options(
		"{\"perms\": ["
		"{\"regex\": \"bin/\", \"mode\": \"0750\", \"uid\": 5, "
		"\"gid\": 6, \"uname\": \"u\", \"gname\": \"g\"},"
		"{\"regex\": \"su$\", \"orMode\": \"4000\", \"uid\": 0}]}",
		&err);

	assert_non_null(options);
	assert_int_equal(
		path_options_apply(options, "/lib/x", &owner, &mode, &err), 0);
	assert_int_equal(owner.uid, 7);
	assert_int_equal(mode, 0444);
	assert_int_equal(
		path_options_apply(options, "/bin/x", &owner, &mode, &err), 0);
	assert_int_equal(owner.uid, 5);
	assert_int_equal(owner.gid, 6);
	assert_string_equal(owner.uname, "u");
	assert_string_equal(owner.gname, "g");
	assert_int_equal(mode, 0750);
	assert_int_equal(
		path_options_apply(options, "/bin/su", &owner, &mode, &err), 0);
	assert_int_equal(mode, 04750);
	assert_int_equal(owner.uid, 0);
	assert_int_equal(
		path_options_apply(NULL, "/bin/su", &owner, &mode, &err), 0);
	path_options_free(options);
}

static void test_same(void **state)
{
	static const char perms[] = "{\"perms\": [{\"regex\": \"a\"}]}";
	struct err err;
	struct path_options *a = read_options(perms, &err);
	struct path_options *b = read_options(perms, &err);
	struct path_options *other =
		read_options("{\"perms\": [{\"regex\": \"b\"}]}", &err);
	struct path_options *none = read_options(
		"{\"perms\": [], \"rewrite\": {\"regex\": \"a\"}}", &err);

	assert_true(path_options_same_perms(a, b));
	assert_true(path_options_same_perms(NULL, none));
	assert_false(path_options_same_perms(a, other));
	assert_false(path_options_same_perms(a, NULL));
	assert_false(path_options_same_perms(none, a));
	path_options_free(a);
	path_options_free(b);
	path_options_free(other);
	path_options_free(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_refused, release),
		cmocka_unit_test_teardown(test_rewrite, release),
		cmocka_unit_test_teardown(test_perms, release),
		cmocka_unit_test_teardown(test_same, release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
