// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/git.h"
#include "common/spawn.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccccccccccc"

static const char listing[] =
	"ref: refs/heads/main\tHEAD\n" A "\tHEAD\n" A "\trefs/heads/main\n" B
	"\trefs/heads/feat/x\n" B "\trefs/heads/feat/y\n" C
	"\trefs/heads/feat-y\n" C "\trefs/heads/a/b\n" C "\trefs/heads/a@b\n" C
	"\trefs/heads/v1\n" C "\trefs/pull/1/head\n" A "\trefs/tags/v1\n" C
	"\trefs/tags/v2\n" B "\trefs/tags/v2^{}\n";

static struct tag tag_of(const char *s)
{
	struct tag tag;
	struct err err;

	assert_int_equal(tag_parse(&tag, s, strlen(s), &err), 0);
	return tag;
}

static void test_find(void **state)
{
	static const struct {
		const char *tag, *name, *hash, *says;
	} cases[] = {
		{ "main", "refs/heads/main", A, NULL },
		{ "feat-x", "refs/heads/feat/x", B, NULL },
		/* The exact name wins over the one that is written so. */
		{ "feat-y", "refs/heads/feat-y", C, NULL },
		/* A tag wins over a branch, and is peeled. */
		{ "v1", "refs/tags/v1", A, NULL },
		{ "v2", "refs/tags/v2", B, NULL },
		{ "a-b", NULL, NULL, "refs/heads/a/b or refs/heads/a@b" },
		{ "mian", NULL, NULL, "nearest: main" },
		{ "head", NULL, NULL, "no git tag, branch or revision head" },
	};
	autorefs refs = GIT_REFS_INIT;
	struct err err = ERR_INIT;

	assert_int_equal(git_refs_parse(&refs, listing, strlen(listing), &err),
			 0);
	assert_string_equal(refs.head_name, "refs/heads/main");
	assert_string_equal(refs.head, A);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tag tag = tag_of(cases[i].tag);
		const struct git_ref *ref;

		if (git_refs_find(&refs, &tag, &ref, &err)) {
			if (cases[i].name || err.code != ERR_UNKNOWN ||
			    !strstr(err.msg, cases[i].says))
				fail_msg("%s: %s", cases[i].tag, err.msg);
			continue;
		}
		if (!cases[i].name || strcmp(ref->name, cases[i].name) ||
		    strcmp(ref->hash, cases[i].hash))
			fail_msg("%s: found %s", cases[i].tag, ref->name);
	}
	assert_string_equal(git_refs_named(&refs, "main")->hash, A);
	assert_string_equal(git_refs_named(&refs, "refs/heads/v1")->hash, C);
	assert_null(git_refs_named(&refs, "none"));
	assert_string_equal(git_refs_of_commit(&refs, B)->name,
			    "refs/heads/feat/x");
}

static void test_tag_of(void **state)
{
	struct tag tag;
	char name[200] = "refs/heads/";

	assert_int_equal(git_tag_of("refs/heads/a/b+c", &tag), 0);
	assert_string_equal(tag.text, "a-b-c");
	assert_int_equal(git_tag_of("refs/tags/@x", &tag), -1);
	memset(name + 11, 'a', 129);
	assert_int_equal(git_tag_of(name, &tag), -1);
	name[11 + 128] = 0;
	assert_int_equal(git_tag_of(name, &tag), 0);
}

static void test_malformed(void **state)
{
	static const char *const cases[] = {
		"fatal: something\n",
		"abc\trefs/heads/main\n",
		A " refs/heads/main\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autorefs refs = GIT_REFS_INIT;
		struct err err = ERR_INIT;

		if (!git_refs_parse(&refs, cases[i], strlen(cases[i]), &err))
			fail_msg("accepted: %s", cases[i]);
	}
}

static void test_host_is_down(void **state)
{
	autostrbuf out = STRBUF_INIT;
	struct err err = ERR_INIT;

	assert_int_equal(
		git_ls_remote("git://127.0.0.1:1/x", NULL, 10000, &out, &err),
		-1);
	assert_int_equal(err.code, ERR_UPSTREAM);
	assert_int_equal(git_ls_remote("http://me:geheim@127.0.0.1:1/x", NULL,
				       10000, &out, &err),
			 -1);
	assert_null(strstr(err.msg, "geheim"));
}

static void make_repository(const char *path, const char *option)
{
	const struct spawn_run run = {
		.argv = (const char *const[]){ "git", "init", "-q", option,
					       path, NULL },
		.timeout_ms = 60000,
	};
	autostrbuf out = STRBUF_INIT;
	struct err err = ERR_INIT;
	int status = -1;

	assert_int_equal(spawn_run(&run, &out, &status, &err), 0);
	assert_int_equal(status, 0);
}

/* In a work tree, in a bare repository, in none. */
static void test_folders(void **state)
{
	autofree char *folder = scratch_make();
	autofree char *bare = xasprintf("%s/bare", folder);
	autofree char *tree = xasprintf("%s/tree", folder);
	autofree char *sub = xasprintf("%s/tree/sub", folder);
	autofree char *git = xasprintf("%s/tree/.git", folder);
	autostrbuf common = STRBUF_INIT, top = STRBUF_INIT;
	struct err err = ERR_INIT;

	make_repository(bare, "--bare");
	make_repository(tree, "--initial-branch=main");
	scratch_mkdir(sub);
	assert_int_equal(git_folders(sub, &common, &top, &err), 0);
	assert_string_equal(common.buf, git);
	assert_string_equal(top.buf, tree);
	strbuf_reset(&common);
	strbuf_reset(&top);
	assert_int_equal(git_folders(bare, &common, &top, &err), 0);
	assert_string_equal(common.buf, bare);
	assert_string_equal(top.buf, "");
	assert_int_equal(git_folders(folder, &common, &top, &err), -1);
	assert_int_equal(err.code, ERR_UPSTREAM);
	scratch_remove(xstrdup(folder));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_tag_of),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_host_is_down),
		cmocka_unit_test(test_folders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
