// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/strbuf.h"
#include "tests/unit/check.h"
#include "tests/unit/layerfixture.h"

#include "common/banned.h"

/* The headers of a plain layer as lines "NAME MODE TARGET". */
static char *list_tar(struct fixture *f, const struct layer *layer)
{
	autofree char *tar = fixture_read_blob(f, layer);
	struct strbuf out = STRBUF_INIT;

	for (const char *p = tar; *p;) {
		strbuf_addf(&out, "%.100s %.7s %.100s\n", p, p + 100, p + 157);
		p += 512 + (strtoul(p + 124, NULL, 8) + 511) / 512 * 512;
	}
	return strbuf_detach(&out, NULL);
}

static void test_links(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "aaa-a", "bbb-b", "aaa-a", "ccc-c",
					     NULL };
	struct layer_input input = input_of(LAYER_LINKS, names);
	autofree char *list = NULL;

	fixture_put(f, "aaa-a/bin/a", "");
	fixture_put(f, "aaa-a/bin/both", "");
	fixture_put(f, "aaa-a/bin-extra", "");
	fixture_put(f, "aaa-a/share", "");
	fixture_put(f, "bbb-b/bin/both", "");
	fixture_put(f, "bbb-b/bin/b", "");
	fixture_put(f, "bbb-b/lib/deep/x", "");
	fixture_put(f, "bbb-b/share/man/b", "");
	fixture_put(f, "ccc-c/lib/deep", "");
	fixture_put(f, "ccc-c/lib/deeper", "");
	fixture_make_ok(f, &input, 1, COMPRESSION_NONE);
	list = list_tar(f, &f->layers[0]);
#define LINK(path, target) path " 0000777 /nix/store/" target path "\n"
	check_str(
		"list", list,
		"/bin/ 0000755 \n" LINK("/bin/a", "aaa-a") LINK(
			"/bin/b", "bbb-b") LINK("/bin/both", "aaa-a")
			LINK("/bin-extra",
			     "aaa-a") "/lib/ 0000755 \n"
				      "/lib/deep/ 0000755 \n" LINK(
					      "/lib/deep/x", "bbb-b")
					      LINK("/lib/deeper", "ccc-c")
						      LINK("/share", "aaa-a"));
	assert_int_equal(f->warnings, 3);
	check_str("warning", f->warning,
		  "/share is in /nix/store/aaa-a and in /nix/store/bbb-b: "
		  "the first is taken");
	layer_input_release(&input);
}

/* A root's own directories have their modes; others are for all to enter. */
static void test_root_modes(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "aaa-a", NULL };
	struct layer_input input = input_of(LAYER_ROOT, names);
	autofree char *list = NULL;

	fixture_put(f, "aaa-a/etc/group/x", "");
	fixture_put(f, "aaa-a/etc/passwd", "");
	fixture_put(f, "aaa-a/tmp/x", "");
	fixture_make_ok(f, &input, 1, COMPRESSION_NONE);
	list = list_tar(f, &f->layers[0]);
	check_str("list", list,
		  "/etc/ 0000755 \n/etc/group/ 0000755 \n" LINK("/etc/group/x",
								"aaa-a")
			  LINK("/etc/passwd",
			       "aaa-a") "/root/ 0000700 \n"
					"/tmp/ 0001777 \n" LINK("/tmp/x",
								"aaa-a"));
	layer_input_release(&input);
}

/* What is no directory in a package is none in the image: it is its own. */
static void test_root_without_directories(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "aaa-a", NULL };
	struct layer_input input = input_of(LAYER_ROOT, names);
	autofree char *list = NULL;

	fixture_put(f, "aaa-a/etc", "");
	fixture_put(f, "aaa-a/tmp", "");
	fixture_make_ok(f, &input, 1, COMPRESSION_NONE);
	list = list_tar(f, &f->layers[0]);
	check_str("list", list,
		  LINK("/etc", "aaa-a") "/root/ 0000700 \n" LINK("/tmp",
								 "aaa-a"));
	assert_int_equal(f->warnings, 2);
	check_str("warning", f->warning,
		  "/tmp is in /nix/store/aaa-a and is not a directory: the "
		  "image has no such directory");
	layer_input_release(&input);
}

static void put_link(struct fixture *f, const char *path, const char *target)
{
	autofree char *link = xasprintf("%s/%s", f->store, path);

	assert_int_equal(symlink(target, link), 0);
}

/* Packages aaa, bbb and ccc, and what their symlinks lead to. */
static void put_environment(struct fixture *f)
{
	fixture_put(f, "aaa-a/x", "");
	put_link(f, "aaa-a/bin", "/nix/store/ddd-d/bin");
	put_link(f, "aaa-a/etc", "/nix/store/ddd-d/etc");
	put_link(f, "aaa-a/lib", "/nix/store/ddd-d/bin");
	put_link(f, "aaa-a/loop", "/nix/store/aaa-a");
	put_link(f, "aaa-a/tmp", "/nix/store/eee-e");
	fixture_put(f, "bbb-b/bin/deep/b", "");
	put_link(f, "bbb-b/loop", "/nix/store/bbb-b");
	fixture_put(f, "ccc-c/lib", "");
	put_link(f, "ccc-c/bin", "/nix/store/fff-f");
	fixture_put(f, "ddd-d/bin/d", "");
	put_link(f, "ddd-d/bin/deep", "/nix/store/ddd-d/etc");
	fixture_put(f, "ddd-d/etc/passwd", "");
	fixture_put(f, "eee-e/e", "");
	put_link(f, "fff-f", "eee-e");
}

/*
 * buildEnv's symlink to a directory that one package alone had is that
 * directory where another, or the root, has one of that name.
 */
static void test_root_follows(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "aaa-a", "bbb-b", "ccc-c", NULL };
	struct layer_input input = input_of(LAYER_ROOT, names);
	autofree char *list = NULL;

	put_environment(f);
	fixture_make_ok(f, &input, 1, COMPRESSION_NONE);
	list = list_tar(f, &f->layers[0]);
	check_str(
		"list", list,
		"/bin/ 0000755 \n" LINK(
			"/bin/d",
			"ddd-d") "/bin/deep/ 0000755 \n" LINK("/bin/deep/b",
							      "bbb-b") "/bin/"
								       "deep/"
								       "passwd "
								       "0000777"
								       " /nix/"
								       "store/"
								       "ddd-d/"
								       "etc/"
								       "passwd"
								       "\n"
								       "/bin/e "
								       "0000777"
								       " /nix/"
								       "store/"
								       "eee-e/"
								       "e\n"
								       "/etc/ "
								       "0000755"
								       " \n/"
								       "etc/"
								       "group "
								       "0000644"
								       " "
								       "\n" LINK(
									       "/etc/passwd",
									       "ddd-d") LINK("/lib",
											     "aaa-a")
									       LINK("/loop",
										    "aaa-a") "/root/ 0000700 \n/tmp/ 0001777 \n"
											     "/tmp/e 0000777 /nix/store/eee-e/e\n" LINK(
												     "/x",
												     "aaa-a"));
	layer_input_release(&input);
}

/* The same through symlinks on the way to the directory. */
static void test_root_follows_all(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "aaa-a", "bbb-b", NULL };
	static const char *const lines[] = {
		"/bin/ 0000755 \n",
		"/bin/a 0000777 /nix/store/aaa-a/v/1/bin/a\n",
		LINK("/bin/b", "bbb-b"),
		"/etc/ 0000755 \n",
		"/etc/passwd 0000644 \n",
		"/etc/y 0000777 /nix/store/aaa-a/v/1/etc/y\n",
	};
	struct layer_input input = input_of(LAYER_ROOT, names);
	autofree char *list = NULL;

	fixture_put(f, "aaa-a/v/1/bin/a", "");
	fixture_put(f, "aaa-a/v/1/etc/y", "");
	put_link(f, "aaa-a/current", "v/1");
	put_link(f, "aaa-a/bin", "current/bin");
	put_link(f, "aaa-a/etc", "bin/../etc");
	fixture_put(f, "bbb-b/bin/b", "");
	fixture_make_ok(f, &input, 1, COMPRESSION_NONE);
	assert_int_equal(f->warnings, 0);
	list = list_tar(f, &f->layers[0]);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		check(lines[i], strstr(list, lines[i]) != NULL);
	layer_input_release(&input);
}

/* What would stand in the store's place is left out, in any content. */
static void test_links_keep_the_store(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "aaa-a", "bbb-b", "ccc-c", NULL };
	struct layer_input input = input_of(LAYER_LINKS, names);
	autofree char *list = NULL, *link = NULL;

	fixture_put(f, "aaa-a/nix/store", "");
	fixture_put(f, "aaa-a/nix/var", "");
	fixture_put(f, "bbb-b/a", "");
	link = xasprintf("%s/bbb-b/nix", f->store);
	assert_int_equal(symlink("a", link), 0);
	fixture_put(f, "ccc-c/nix/store/x", "");
	fixture_put(f, "ccc-c/nixx", "");
	fixture_make_ok(f, &input, 1, COMPRESSION_NONE);
	list = list_tar(f, &f->layers[0]);
	check_str("list", list,
		  LINK("/a", "bbb-b") "/nix/ 0000755 \n"
				      "/nix/store/ 0000755 \n" LINK(
					      "/nix/store/x", "ccc-c")
					      LINK("/nix/var", "aaa-a")
						      LINK("/nixx", "ccc-c"));
	assert_int_equal(f->warnings, 2);
	check_str("warning", f->warning,
		  "/nix/store is in /nix/store/aaa-a and is not a directory: "
		  "it is left out, since it would hide the store");
	layer_input_release(&input);
}

static void test_links_need_directories(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "aaa-a", "bbb-b", NULL };
	struct layer_input input = input_of(LAYER_LINKS, names);

	fixture_put(f, "aaa-a/x", "");
	fixture_put(f, "bbb-b", "a file");
	assert_int_equal(fixture_make(f, &input, 1, COMPRESSION_NONE), -1);
	check_str("message", f->err.msg,
		  "layer 1 (/nix/store/aaa-a and 1 more): /nix/store/bbb-b is "
		  "among the image's contents but is not a directory");
	layer_input_release(&input);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_links),
		FIXTURE_TEST(test_root_modes),
		FIXTURE_TEST(test_root_without_directories),
		FIXTURE_TEST(test_root_follows),
		FIXTURE_TEST(test_root_follows_all),
		FIXTURE_TEST(test_links_keep_the_store),
		FIXTURE_TEST(test_links_need_directories),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
