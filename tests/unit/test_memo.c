// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/memo.h"

#include "common/banned.h"

/* A file that nobody has touched for a while. */
static struct stat file_of(ino_t inode)
{
	struct stat st = { .st_ino = inode, .st_dev = 7, .st_size = 3 };

	st.st_mtim.tv_sec = time(NULL) - 60;
	st.st_ctim = st.st_mtim;
	return st;
}

static bool holds(struct memo *memo, const char *path, const struct stat *st,
		  const char *data)
{
	autostrbuf out = STRBUF_INIT;

	strbuf_addstr(&out, "before ");
	if (!memo_get(memo, path, st, &out)) {
		assert_string_equal(out.buf, "before ");
		return false;
	}
	assert_string_equal(out.buf + 7, data);
	return true;
}

static void test_same_file(void **state)
{
	struct memo *memo = memo_new(1 << 20);
	const struct stat st = file_of(1);
	struct stat others[6] = { st, st, st, st, st, st };

	others[0].st_ino++;
	others[1].st_dev++;
	others[2].st_size++;
	others[3].st_mtim.tv_nsec++;
	others[4].st_ctim.tv_nsec++;
	others[5].st_ctim.tv_sec++;
	assert_false(holds(memo, "a", &st, ""));
	memo_put(memo, "a", &st, "abc", 3);
	assert_true(holds(memo, "a", &st, "abc"));
	assert_false(holds(memo, "b", &st, ""));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_false(holds(memo, "a", &others[i], ""));
	/* It was replaced. */
	memo_put(memo, "a", &others[0], "def", 3);
	assert_true(holds(memo, "a", &others[0], "def"));
	assert_false(holds(memo, "a", &st, ""));
	memo_free(memo);
	memo_free(NULL);
}

/* What was changed just now may change again and look the same. */
static void test_racy(void **state)
{
	static const int ages[] = { 0, 1, -5 };
	struct memo *memo = memo_new(1 << 20);

	for (size_t i = 0; i < ARRAY_SIZE(ages); i++) {
		struct stat st = file_of(1);

		st.st_ctim.tv_sec = time(NULL) - ages[i] + (ages[i] == 1);
		memo_put(memo, "a", &st, "abc", 3);
		assert_false(holds(memo, "a", &st, ""));
	}
	memo_free(memo);
}

static void test_size(void **state)
{
	struct memo *memo = memo_new(1 << 16);
	autofree char *data = xcalloc(1, 1 << 16);
	const struct stat st = file_of(1);
	size_t known = 0;
	char path[16];

	/* Too much for one. */
	memo_put(memo, "large", &st, data, 1 << 14);
	assert_false(holds(memo, "large", &st, ""));
	/* More than there is room for; one is asked for again and again. */
	memo_put(memo, "hot", &st, "abc", 3);
	for (int i = 0; i < 5000; i++) {
		assert_true(holds(memo, "hot", &st, "abc"));
		snprintf(path, sizeof(path), "%d", i);
		memo_put(memo, path, &st, data, 2000);
	}
	for (int i = 0; i < 5000; i++) {
		snprintf(path, sizeof(path), "%d", i);
		known += holds(memo, path, &st, "");
	}
	assert_in_range(known, 10, (1 << 16) / 2000);
	memo_free(memo);
}

/* Records are replaced by rename: the next look finds another inode. */
static void test_files(void **state)
{
	char dir[] = "/tmp/test_memo.XXXXXX";
	char path[64], other[64];
	struct memo *memo = memo_new(1 << 20);
	const struct timespec old[2] = { { .tv_sec = 1000 },
					 { .tv_sec = 1000 } };
	struct stat first, second;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a", dir);
	snprintf(other, sizeof(other), "%s/b", dir);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	close(open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	assert_int_equal(utimensat(AT_FDCWD, other, old, 0), 0);
	assert_int_equal(stat(path, &first), 0);
	/* Just made: its ctime says so, whatever its mtime. */
	memo_put(memo, path, &first, "abc", 3);
	assert_false(holds(memo, path, &first, ""));
	assert_int_equal(rename(other, path), 0);
	assert_int_equal(stat(path, &second), 0);
	first.st_ctim.tv_sec = second.st_ctim.tv_sec = 2000;
	first.st_ctim.tv_nsec = second.st_ctim.tv_nsec = 0;
	memo_put(memo, path, &first, "abc", 3);
	assert_true(holds(memo, path, &first, "abc"));
	assert_false(holds(memo, path, &second, ""));
	unlink(path);
	rmdir(dir);
	memo_free(memo);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_file),
		cmocka_unit_test(test_racy),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
