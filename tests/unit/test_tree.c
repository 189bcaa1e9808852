// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/store.h"
#include "common/strbuf.h"
#include "common/tree.h"
#include "common/utf8.h"
#include "tests/unit/check.h"
#include "tests/unit/broken.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

static int set_up(void **state)
{
	char *dir = scratch_make();

	store_set_real_dir(dir);
	*state = dir;
	return 0;
}

static int tear_down(void **state)
{
	scratch_remove(*state);
	return 0;
}

static void put(const char *dir, const char *path)
{
	autofree char *full = xasprintf("%s/%s", dir, path);
	char *slash = strrchr(full, '/');

	*slash = 0;
	scratch_mkdir(full);
	*slash = '/';
	if (slash[1])
		scratch_write(full, path, strlen(path));
}

/* All paths below the tree's, a line each; "!" before one that is skipped. */
static int list(struct strbuf *out, enum tree_order order, enum tree_read read,
		const char *skip, struct err *err)
{
	autotree *tree = tree_new("/nix/store/aaa-t", order, read);
	const struct tree_entry *entry;
	int rc;

	while ((rc = tree_next(tree, &entry, err)) > 0) {
		const char *path = entry->path + strlen("/nix/store/aaa-t");

		assert_int_equal(entry->path_len, strlen(entry->path));
		assert_string_equal(entry->name, strrchr(entry->path, '/') + 1);
		if (skip && !strcmp(path, skip)) {
			tree_skip(tree);
			strbuf_addch(out, '!');
		}
		strbuf_addf(out, "%s\n", path);
	}
	return rc;
}

static void test_order(void **state)
{
	static const char *const names[] = {
		"bin/h",	"bin-extra/a",
		"bin.d",	"bin0",
		"\xc3\xa9",	"\xff",
		"\xed\xa0\x80", "\xf0\x9f\x8c\x8d",
		"\xef\xbf\xbd", "Z",
	};
	autostrbuf characters = STRBUF_INIT, bytes = STRBUF_INIT;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		autofree char *path = xasprintf("aaa-t/%s", names[i]);

		put(*state, path);
	}
	assert_int_equal(
		list(&characters, TREE_BY_CHARACTERS, TREE_WHOLE, NULL, &err),
		0);
	check_str("characters", characters.buf,
		  "\n/Z\n/bin\n/bin/h\n/bin-extra\n/bin-extra/a\n/bin.d\n"
		  "/bin0\n/\xc3\xa9\n/\xed\xa0\x80\n/\xff\n/\xef\xbf\xbd\n"
		  "/\xf0\x9f\x8c\x8d\n");
	assert_int_equal(list(&bytes, TREE_BY_BYTES, TREE_NAMES_ONLY,
			      "/bin-extra", &err),
			 0);
	check_str("bytes", bytes.buf,
		  "\n/Z\n/bin\n/bin/h\n!/bin-extra\n/bin.d\n/bin0\n"
		  "/\xc3\xa9\n/\xed\xa0\x80\n/\xef\xbf\xbd\n"
		  "/\xf0\x9f\x8c\x8d\n/\xff\n");
}

static void test_entries(void **state)
{
	autotree *tree =
		tree_new("/nix/store/aaa-t", TREE_BY_BYTES, TREE_WHOLE);
	const struct tree_entry *entry;
	autofree char *link = xasprintf("%s/aaa-t/b", (char *)*state);
	autofree char *file = xasprintf("%s/aaa-t/a", (char *)*state);
	char data[64];
	struct err err;

	put(*state, "aaa-t/a");
	assert_int_equal(chmod(file, 04555), 0);
	assert_int_equal(symlink("/no/where", link), 0);
	assert_int_equal(tree_next(tree, &entry, &err), 1);
	assert_int_equal(entry->type, TREE_DIRECTORY);
	assert_int_equal(tree_next(tree, &entry, &err), 1);
	assert_int_equal(entry->type, TREE_FILE);
	assert_int_equal(entry->mode, 04555);
	assert_int_equal(entry->size, 7);
	assert_int_equal(read(entry->fd, data, sizeof(data)), 7);
	assert_int_equal(tree_next(tree, &entry, &err), 1);
	assert_int_equal(entry->type, TREE_SYMLINK);
	check_str("target", entry->target, "/no/where");
	assert_int_equal(tree_next(tree, &entry, &err), 0);
	assert_int_equal(tree_next(tree, &entry, &err), 0);
}

/* Deeper than directories stay open, and up again. */
static void test_deep(void **state)
{
	autostrbuf path = STRBUF_INIT, out = STRBUF_INIT, want = STRBUF_INIT;
	struct err err;

	strbuf_addstr(&path, "aaa-t");
	strbuf_addstr(&want, "\n");
	for (int i = 0; i < 40; i++) {
		autofree char *after = NULL;

		strbuf_addstr(&path, "/d");
		strbuf_addf(&want, "%s\n", path.buf + strlen("aaa-t"));
		after = xasprintf("%s/z", path.buf);
		put(*state, after);
	}
	for (; path.len > strlen("aaa-t"); path.len -= 2)
		strbuf_addf(&want, "%.*s/z\n",
			    (int)(path.len - strlen("aaa-t")),
			    path.buf + strlen("aaa-t"));
	assert_int_equal(list(&out, TREE_BY_CHARACTERS, TREE_WHOLE, NULL, &err),
			 0);
	check_str("deep", out.buf, want.buf);
}

static void test_many(void **state)
{
	autostrbuf out = STRBUF_INIT, want = STRBUF_INIT;
	struct err err;

	strbuf_addstr(&want, "\n");
	for (int i = 0; i < 3000; i++) {
		autofree char *path = xasprintf("aaa-t/a-long-name-%04d", i);

		put(*state, path);
		strbuf_addf(&want, "%s\n", path + strlen("aaa-t"));
	}
	assert_int_equal(list(&out, TREE_BY_CHARACTERS, TREE_WHOLE, NULL, &err),
			 0);
	check_str("many", out.buf, want.buf);
}

static void test_bad(void **state)
{
	autofree char *fifo = xasprintf("%s/aaa-t/fifo", (char *)*state);
	autostrbuf out = STRBUF_INIT;
	struct err err;

	assert_int_equal(list(&out, TREE_BY_BYTES, TREE_WHOLE, NULL, &err), -1);
	check_str("gone", err.msg, "/nix/store/aaa-t is not there");
	put(*state, "aaa-t/");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(list(&out, TREE_BY_BYTES, TREE_WHOLE, NULL, &err), -1);
	check_str("fifo", err.msg,
		  "/nix/store/aaa-t/fifo is neither a file nor a directory nor "
		  "a symlink");
}

static void test_compare(void **state)
{
	static const struct {
		const char *less, *more;
	} rows[] = {
		{ "", "a" },
		{ "a", "b" },
		{ "a", "ab" },
		{ "z", "\xc3\xa9" },
		/* U+00E9 before the lone byte, U+DCC3 */
		{ "\xc3\xa9", "\xc3" },
		{ "\xc3\xa9", "\xc3z" },
		{ "\x80", "\xff" },
		/* U+D7FF, U+DC80, U+E000 */
		{ "\xed\x9f\xbf", "\x80" },
		{ "\xff", "\xee\x80\x80" },
		{ "\xff", "\xf0\x90\x80\x80" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		check(rows[i].less,
		      utf8_compare(rows[i].less, rows[i].more) < 0);
		check(rows[i].less,
		      utf8_compare(rows[i].more, rows[i].less) > 0);
		check(rows[i].less, !utf8_compare(rows[i].less, rows[i].less));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* What a walk said. */
struct walk {
	struct strbuf out;
	struct err err;
};

static int walk(void *arg)
{
	struct walk *w = arg;

	strbuf_reset(&w->out);
	w->err = (struct err)ERR_INIT;
	return list(&w->out, TREE_BY_CHARACTERS, TREE_WHOLE, NULL, &w->err);
}

/* What cannot be read is an error that names it, never a smaller tree. */
static void test_faults(void **state)
{
	static const struct {
		const char *name;
		struct broken broken;
		bool is_whole;
	} cases[] = {
		{ "no descriptor", { SCMP_SYS(openat), EMFILE, 0, 0, 0 }, 0 },
#ifndef __SANITIZE_THREAD__ /* which calls another stat */
		{ "no stat", { SCMP_SYS(newfstatat), EIO, 0, 0, 0 }, 0 },
#endif
		{ "no names", { SCMP_SYS(getdents64), EIO, 0, 0, 0 }, 0 },
		{ "no link", { SCMP_SYS(readlinkat), EIO, 0, 0, 0 }, 0 },
		/* As in a store that is another user's. */
		{ "noatime",
		  { SCMP_SYS(openat), EPERM, 2, O_NOATIME, O_NOATIME },
		  1 },
	};
	autofree char *link = xasprintf("%s/aaa-t/dir/link", (char *)*state);
	struct walk want = { .out = STRBUF_INIT }, w = { .out = STRBUF_INIT };

	put(*state, "aaa-t/dir/file");
	put(*state, "aaa-t/file");
	assert_int_equal(symlink("file", link), 0);
	assert_int_equal(walk(&want), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int rc = broken_run(&cases[i].broken, walk, &w);

		check(cases[i].name, rc == (cases[i].is_whole ? 0 : -1));
		if (cases[i].is_whole)
			check_str(cases[i].name, w.out.buf, want.out.buf);
		else
			check(cases[i].name,
			      w.err.sys == cases[i].broken.error &&
				      strstr(w.err.msg, "/nix/store/aaa-t"));
	}
	strbuf_release(&want.out);
	strbuf_release(&w.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_order), TEST(test_entries),
		TEST(test_deep),  TEST(test_many),
		TEST(test_bad),	  cmocka_unit_test(test_compare),
	};

	const struct CMUnitTest faults[] = { TEST(test_faults) };

	return cmocka_run_group_tests(tests, NULL, NULL) +
	       (broken_works() ? cmocka_run_group_tests(faults, NULL, NULL)
			       : 0);
}
