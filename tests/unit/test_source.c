// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <archive.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "tests/unit/pack.h"
#include "tests/unit/scratch.h"
#include "tests/unit/sourcefixture.h"

#include "common/banned.h"

/* What is no image at all. */
static void test_unknown_kinds(void **state)
{
	static const char *const texts[] = {
		"",
		"x",
		"{}",
		"{\"a\":1}",
		"[]",
		"{\"roots\":[]}",
		"{\"store_layers\":",
	};
	static const char suffix[] =
		" is no image and no package: a file that is neither a conf, "
		"an archive of an image, nor a program";
	autofree char *link_path = store_file(PATH("link"));
	autosource source = SOURCE_INIT;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		put_file(PATH("file"), texts[i], strlen(texts[i]));
		assert_int_equal(open_output(&source, PATH("file"), 9, &err),
				 -1);
		check(texts[i], err.code == ERR_REFUSED);
		check_str(texts[i], err.msg + strlen(PATH("file")), suffix);
	}
	assert_int_equal(symlink("/etc/passwd", link_path), 0);
	assert_int_equal(open_output(&source, PATH("link"), 9, &err), -1);
	assert_int_equal(err.code, ERR_REFUSED);
	assert_int_equal(open_output(&source, PATH("vanished"), 9, &err), -1);
	assert_int_equal(err.code, ERR_UNKNOWN);
	assert_string_equal(err.msg, PATH("vanished") " is not there");
}

/* An output that is a symlink is the image that it leads to. */
static void test_symlinks(void **state)
{
	static const char *const targets[] = { CONF, B, B "/conf.json" };
	const char *text = OURS TIMES "\"maxLayers\":9,"
				      "\"includeStorePaths\":true," OWNER;
	autofree char *link = store_file(PATH("image-link"));
	autofree char *to_file = store_file(B);

	put_file(CONF, text, strlen(text));
	assert_int_equal(symlink(CONF, to_file), 0);
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		autosource source = SOURCE_INIT;
		struct err err;

		if (i == 2) {
			unlink(to_file);
			put_file(B "/conf.json", text, strlen(text));
		}
		unlink(link);
		assert_int_equal(symlink(targets[i], link), 0);
		if (open_output(&source, PATH("image-link"), 9, &err))
			fail_msg("%s: %s", targets[i], err.msg);
		check_str(targets[i], source.kind->name, "dockertools-conf");
	}
	scratch_remove(xstrdup(to_file));
}

/* One to what is not in the closure has nothing that is kept: no image. */
static void test_symlink_out_of_the_closure(void **state)
{
	const char *text = OURS TIMES OWNER;
	autofree char *link = store_file(PATH("image-link"));
	autosource source = SOURCE_INIT;
	struct err err;

	put_file(PATH("unknown-conf.json"), text, strlen(text));
	unlink(link);
	assert_int_equal(symlink(PATH("unknown-conf.json"), link), 0);
	assert_int_equal(open_output(&source, PATH("image-link"), 9, &err), -1);
	assert_int_equal(err.code, ERR_REFUSED);
}

/* 100 MB that begin as JSON are refused for their size, unread. */
static void test_huge_json(void **state)
{
	autofree char *real = store_file(PATH("file"));
	autosource source = SOURCE_INIT;
	struct err err;

	put_file(PATH("file"), "{\"version\":1,", 13);
	assert_int_equal(truncate(real, 100000000), 0);
	assert_int_equal(open_output(&source, PATH("file"), 9, &err), -1);
	assert_int_equal(err.code, ERR_MALFORMED);
	assert_non_null(strstr(err.msg, "100000000 bytes"));
}

/* A conf of another name is known by its keys. */
static void test_known_by_content(void **state)
{
	autosource source = SOURCE_INIT;
	const char *text = " \n" OURS TIMES "\"maxLayers\":9,"
			   "\"includeStorePaths\":false," OWNER;
	struct err err;

	put_file(PATH("image"), text, strlen(text));
	if (open_output(&source, PATH("image"), 9, &err))
		fail_msg("%s", err.msg);
}

static void check_broken(const char *name)
{
	autosource source = SOURCE_INIT;
	struct err err;

	check(name, open_output(&source, PATH("file"), 9, &err) == -1);
	check(name, err.code == ERR_MALFORMED);
	check_str(name, err.msg + strlen(PATH("file")),
		  " begins as gzip, zstd, xz or bzip2 does, but nothing can be "
		  "unpacked from it: it is cut off, broken or empty, or takes "
		  "too much memory");
}

/* What begins as a compressed archive is not called something else. */
static void test_broken_archives(void **state)
{
	static const struct {
		const char *name;
		int filter;
	} cases[] = {
		{ "gzip", ARCHIVE_FILTER_GZIP },
		{ "zstd", ARCHIVE_FILTER_ZSTD },
		{ "xz", ARCHIVE_FILTER_XZ },
		{ "bzip2", ARCHIVE_FILTER_BZIP2 },
	};
	static const struct pack_entry entry = { .name = "manifest.json",
						 .data = "[]" };
	/* A frame of one byte, whose window is of 2 GB. */
	static const char window[] = "\x28\xb5\x2f\xfd\0\xa8\x09\0\0x";
	autofree char *real = store_file(PATH("file"));
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		pack(real, &entry, 1, cases[i].filter);
		assert_int_equal(stat(real, &st), 0);
		assert_int_equal(truncate(real, st.st_size / 2), 0);
		check_broken(cases[i].name);
	}
	put_file(PATH("file"), window, sizeof(window) - 1);
	check_broken("zstd --long=31");
}

/* A program may begin as it likes. */
static void test_program_like_gzip(void **state)
{
	autofree char *real = store_file(A);
	autosource source = SOURCE_INIT;
	struct err err;

	put_file(A, "\x1f\x8b and more", 10);
	assert_int_equal(chmod(real, 0555), 0);
	if (open_output(&source, A, 9, &err))
		fail_msg("%s", err.msg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown_kinds),
		cmocka_unit_test(test_symlinks),
		cmocka_unit_test(test_symlink_out_of_the_closure),
		cmocka_unit_test(test_huge_json),
		cmocka_unit_test(test_known_by_content),
		cmocka_unit_test(test_broken_archives),
		cmocka_unit_test(test_program_like_gzip),
	};

	return cmocka_run_group_tests(tests, sourcefixture_set_up,
				      sourcefixture_tear_down);
}
