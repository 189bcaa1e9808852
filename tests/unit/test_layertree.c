// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/strbuf.h"
#include "tests/unit/layerfixture.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

/* Both become the image's root. */
#define TO_ROOT                                                                \
	"\"rewrite\": {\"regex\": \"^/nix/store/[^/]*\", \"repl\": \"\"}"

static struct json_object *json_of(const char *text)
{
	struct json_object *json;
	struct err err = ERR_INIT;

	if (json_parse(&json, text, strlen(text), "it", &err))
		fail_msg("%s: %s", text, err.msg);
	return json;
}

/* A tree of two store paths of these options; what make says of it. */
static int make_tree(struct fixture *f, const char *a, const char *b)
{
	static const char *const names[] = { "aaa-x", "bbb-y", NULL };
	struct layer_input input = input_of(LAYER_TREE, names);
	int rc;

	input.options.dialect = TAR_NIX2CONTAINER;
	input.paths[0].options = json_of(a);
	input.paths[1].options = json_of(b);
	rc = fixture_make(f, &input, 1, COMPRESSION_NONE);
	layer_input_release(&input);
	return rc;
}

static void path_of(struct fixture *f, const char *name, char out[200])
{
	snprintf(out, 200, "%s/%s", f->store, name);
}

static void test_same(void **state)
{
	struct fixture *f = *state;
	autofree char *blob = NULL;
	autostrbuf names = STRBUF_INIT;

	fixture_put(f, "aaa-x/bin/one", "1");
	fixture_put(f, "aaa-x/same", "x");
	fixture_put(f, "bbb-y/bin/two", "2");
	fixture_put(f, "bbb-y/same", "x");
	if (make_tree(f, "{" TO_ROOT "}", "{" TO_ROOT "}"))
		fail_msg("%s", f->err.msg);
	blob = fixture_read_blob(f, &f->layers[0]);
	for (const char *p = blob; *p;) {
		size_t size = strtoul(p + 124, NULL, 8);

		strbuf_addf(&names, "%s ", p);
		p += TAR_BLOCK * (1 + (size + TAR_BLOCK - 1) / TAR_BLOCK);
	}
	assert_string_equal(names.buf, "/ /bin /bin/one /bin/two /same ");
}

static void test_refused(void **state)
{
	static const struct {
		const char *name, *a, *b, *says;
	} cases[] = {
		{ "sizes", "{" TO_ROOT "}", "{" TO_ROOT "}",
		  "of different sizes" },
		{ "modes", "{" TO_ROOT "}", "{" TO_ROOT "}",
		  "of different modes" },
		{ "perms", "{" TO_ROOT ", \"perms\": [{\"regex\": \"a\"}]}",
		  "{" TO_ROOT "}", "of different perms" },
		{ "up",
		  "{\"rewrite\": {\"regex\": \"^/nix\", \"repl\": \"/..\"}}",
		  "{}", "goes up" },
		{ "no options", "{\"new\": 1}", "{}", "'new'" },
		{ "no options of the second", "{}", "{\"new\": 1}", "'new'" },
	};
	struct fixture *f = *state;
	char one[200], two[200];

	path_of(f, "aaa-x/file", one);
	path_of(f, "bbb-y/file", two);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool sizes = !strcmp(cases[i].name, "sizes");

		fixture_put(f, "aaa-x/file", "x");
		fixture_put(f, "bbb-y/file", sizes ? "longer" : "x");
		chmod(two, !strcmp(cases[i].name, "modes") ? 0755 : 0644);
		check(cases[i].name,
		      make_tree(f, cases[i].a, cases[i].b) == -1);
		check(f->err.msg, strstr(f->err.msg, cases[i].says));
		unlink(one);
		unlink(two);
	}
}

/* A blob that is a file is what it was promised to be, or none. */
static void test_blob(void **state)
{
	struct fixture *f = *state;
	static const char *const none[] = { NULL };
	static const struct {
		const char *name, *file, *says;
	} cases[] = {
		{ "not there", "/nix/store/aaa-x/none", "none" },
		{ "a folder", "/nix/store/aaa-x", "not a regular file" },
		{ "other bytes", "/nix/store/aaa-x/file", "sha256:" },
		{ "another size", "/nix/store/aaa-x/file",
		  "has 1 bytes, but it should have 0" },
	};

	fixture_put(f, "aaa-x/file", "x");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct layer_input input = input_of(LAYER_BLOB, none);

		input.file = xstrdup(cases[i].file);
		input.blob.media_type = MEDIA_LAYER;
		input.blob.size = !!strcmp(cases[i].name, "another size");
		digest_of(input.blob.size ? "y" : "x", 1, &input.blob.digest);
		check(cases[i].name,
		      fixture_make(f, &input, 1, COMPRESSION_NONE) == -1);
		check(f->err.msg, strstr(f->err.msg, cases[i].says));
		layer_input_release(&input);
	}
}

/* A promised size is kept to, and another promise is another layer. */
static void test_size(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "aaa-x", NULL };
	struct layer_input input = input_of(LAYER_TREE, names);

	fixture_put(f, "aaa-x/file", "x");
	fixture_make_ok(f, &input, 1, COMPRESSION_GZIP);
	input.blob.size = f->layers[0].blob.size;
	fixture_make_ok(f, &input, 1, COMPRESSION_GZIP);
	input.blob.size = 7;
	assert_int_equal(fixture_make(f, &input, 1, COMPRESSION_GZIP), -1);
	assert_non_null(strstr(f->err.msg, "layer 1 (/nix/store/aaa-x): "));
	assert_non_null(strstr(f->err.msg, "but it should have 7"));
	layer_input_release(&input);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_same),
		FIXTURE_TEST(test_refused),
		FIXTURE_TEST(test_blob),
		FIXTURE_TEST(test_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
