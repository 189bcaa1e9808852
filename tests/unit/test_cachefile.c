// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cachefile.h"
#include "common/descriptor.h"
#include "common/folder.h"
#include "tests/unit/broken.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

struct fixture {
	char *dir;
	int fd;
	struct err err;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	autofree char *tmp = NULL;

	f->dir = scratch_make();
	tmp = xasprintf("%s/tmp", f->dir);
	scratch_mkdir(tmp);
	f->fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->fd);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

static size_t count(struct fixture *f, const char *folder)
{
	autofolder files = FOLDER_INIT;
	struct err err = ERR_INIT;

	if (folder_read(&files, f->fd, folder, &err))
		fail_msg("%s", err.msg);
	return files.nr;
}

/* What is opened below a folder, and by which way never. */
static int open_all(void *arg)
{
	static const struct {
		const char *path;
		int error;
	} cases[] = {
		{ "a/b/file", 0 },	 { "a/none", ENOENT },
		{ "none/file", ENOENT }, { "a/b/file/x", ENOTDIR },
		{ "link/file", 1 },	 { "a/link", ELOOP },
	};
	const struct fixture *f = arg;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autoclose int fd = open_beneath(f->fd, cases[i].path, O_RDONLY);
		int sys = errno;

		/* A link on the way is ENOTDIR without openat2(2). */
		if (cases[i].error == 1
			    ? fd >= 0 || (sys != ELOOP && sys != ENOTDIR)
		    : cases[i].error ? fd >= 0 || sys != cases[i].error
				     : fd < 0) {
			print_error("%s: %d\n", cases[i].path, sys);
			return -1;
		}
	}
	return 0;
}

static void make_links(struct fixture *f)
{
	autofree char *folder = xasprintf("%s/a/b", f->dir);
	autofree char *file = xasprintf("%s/a/b/file", f->dir);

	scratch_mkdir(folder);
	scratch_write(file, "x", 1);
	assert_int_equal(symlinkat("a/b", f->fd, "link"), 0);
	assert_int_equal(symlinkat("b/file", f->fd, "a/link"), 0);
}

static void test_beneath(void **state)
{
	make_links(*state);
	assert_int_equal(open_all(*state), 0);
}

/* As on a kernel without openat2(2), and under a filter that forbids it. */
static void test_beneath_without_openat2(void **state)
{
	const struct broken none = { .call = SCMP_SYS(openat2),
				     .error = ENOSYS };
	const struct broken forbidden = { .call = SCMP_SYS(openat2),
					  .error = EPERM };

	make_links(*state);
	assert_int_equal(broken_run(&none, open_all, *state), 0);
	assert_int_equal(broken_run(&forbidden, open_all, *state), 0);
}

static int publish(void *arg)
{
	struct fixture *f = arg;
	autofree char *tmp = NULL;
	autoclose int fd = cachefile_create(f->fd, 0444, &tmp, &f->err);

	if (fd < 0)
		return -1;
	if (write(fd, "new", 3) != 3)
		return -2;
	return cachefile_link(f->fd, fd, tmp, "files/x", &f->err);
}

static int replace(void *arg)
{
	struct fixture *f = arg;

	return cachefile_replace(f->fd, "files/x", "new", 3, CACHEFILE_SYNC,
				 &f->err);
}

static void check_content(const char *name, struct fixture *f, const char *want)
{
	autostrbuf text = STRBUF_INIT;

	if (cachefile_read(f->fd, "files/x", 100, &text, &f->err))
		fail_msg("%s: %s", name, f->err.msg);
	check_str(name, text.buf, want);
}

/* Without O_TMPFILE a file is made in tmp/, and nothing is left there. */
static void test_without_tmpfile(void **state)
{
	static const int errors[] = { EOPNOTSUPP, EISDIR };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		const struct broken broken = { .call = SCMP_SYS(openat),
					       .error = errors[i],
					       .argument = 2,
					       .mask = O_TMPFILE,
					       .value = O_TMPFILE };

		assert_int_equal(broken_run(&broken, publish, f), 0);
		check_content("published", f, "new");
		/* That it is there already is success. */
		assert_int_equal(broken_run(&broken, publish, f), 0);
		assert_int_equal(count(f, "tmp"), 0);
		assert_int_equal(unlinkat(f->fd, "files/x", 0), 0);
	}
}

/* What fails leaves what was there, and nothing in tmp/. */
static void test_faults(void **state)
{
	static const struct {
		const char *name;
		int (*f)(void *arg);
		struct broken broken;
	} cases[] = {
		{ "no file", publish, { SCMP_SYS(openat), EMFILE, 0, 0, 0 } },
		{ "no mode", publish, { SCMP_SYS(fchmod), EIO, 0, 0, 0 } },
		{ "no link", publish, { SCMP_SYS(linkat), EIO, 0, 0, 0 } },
		{ "no file",
		  replace,
		  { SCMP_SYS(openat), ENOSPC, 2, O_CREAT, O_CREAT } },
		{ "no mode", replace, { SCMP_SYS(fchmod), EIO, 0, 0, 0 } },
		{ "no space", replace, { SCMP_SYS(write), ENOSPC, 0, 0, 0 } },
		{ "no sync", replace, { SCMP_SYS(fsync), EIO, 0, 0, 0 } },
		{ "no rename", replace, { SCMP_SYS(renameat), EIO, 0, 0, 0 } },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(cachefile_replace(f->fd, "files/x", "old", 3,
						   CACHEFILE_NO_SYNC, &f->err),
				 0);
		f->err = (struct err)ERR_INIT;
		check(cases[i].name,
		      broken_run(&cases[i].broken, cases[i].f, f) == -1);
		check(cases[i].name, f->err.code == ERR_SYSTEM);
		check(cases[i].name, f->err.sys == cases[i].broken.error);
		check_content(cases[i].name, f, "old");
		check(cases[i].name, count(f, "tmp") == 0);
		check(cases[i].name, count(f, "files") == 1);
	}
}

static void test_read(void **state)
{
	struct fixture *f = *state;
	autostrbuf out = STRBUF_INIT;

	make_links(f);
	assert_int_equal(cachefile_read(f->fd, "a/none", 9, &out, &f->err), -1);
	assert_int_equal(f->err.code, ERR_UNKNOWN);
	assert_int_equal(cachefile_read(f->fd, "a/link", 9, &out, &f->err), -1);
	assert_int_equal(f->err.code, ERR_SYSTEM);
	assert_int_equal(cachefile_read(f->fd, "a/b", 9, &out, &f->err), -1);
	assert_int_equal(cachefile_open_folder(f->fd, "none", false, &f->err),
			 -1);
	assert_int_equal(f->err.code, ERR_UNKNOWN);
	assert_int_equal(cachefile_open_folder(f->fd, "link", false, &f->err),
			 -1);
	assert_int_equal(f->err.code, ERR_SYSTEM);
}

struct entry {
	uint64_t size;
	int64_t when;
	enum media_type media_type;
	char text[4];
	enum err_code code;
};

static const struct field fields[] = {
	{ "size", FIELD_UINT, offsetof(struct entry, size), 0 },
	{ "when", FIELD_INT, offsetof(struct entry, when), 0 },
	{ "type", FIELD_MEDIA_TYPE, offsetof(struct entry, media_type), 0 },
	{ "text", FIELD_TEXT, offsetof(struct entry, text), 4 },
	{ "code", FIELD_ERR_CODE, offsetof(struct entry, code), 0 },
};

static void test_fields(void **state)
{
	static const char *const bad[] = {
		"",
		"size 1\n",
		"size -1\nwhen 1\ntype \ntext a\ncode nix\n\n",
		"size 1x\nwhen 1\ntype \ntext a\ncode nix\n\n",
		("size 99999999999999999999\nwhen 1\ntype \ntext a\n"
		 "code nix\n\n"),
		"size 1\nwhen \ntype \ntext a\ncode nix\n\n",
		"size 1\nwhen 1\ntype no/such\ntext a\ncode nix\n\n",
		"size 1\nwhen 1\ntype \ntext abcd\ncode nix\n\n",
		"when 1\nsize 1\ntype \ntext a\ncode nix\n\n",
		"size 1\nwhen 1\ntype \ntext a\ncode nix\nmore\n\n",
		"size 1\nwhen 1\ntype \ntext a\ncode nix\n",
	};
	const struct entry entry = { .size = UINT32_MAX,
				     .when = -5,
				     .media_type = MEDIA_MANIFEST,
				     .text = "a b",
				     .code = ERR_NIX };
	autostrbuf text = STRBUF_INIT;
	struct err err = ERR_INIT;
	struct entry back;
	size_t used;

	fields_format(&text, fields, ARRAY_SIZE(fields), &entry);
	strbuf_addstr(&text, "what follows");
	assert_int_equal(fields_parse(fields, ARRAY_SIZE(fields), &back,
				      text.buf, text.len, &used, "it", &err),
			 0);
	assert_string_equal(text.buf + used, "what follows");
	assert_int_equal(back.size, entry.size);
	assert_int_equal(back.when, entry.when);
	assert_int_equal(back.media_type, entry.media_type);
	assert_string_equal(back.text, entry.text);
	assert_int_equal(back.code, entry.code);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		err = (struct err)ERR_INIT;
		check(bad[i],
		      fields_parse(fields, ARRAY_SIZE(fields), &back, bad[i],
				   strlen(bad[i]), NULL, "it", &err) == -1);
		check(bad[i], err.code == ERR_MALFORMED);
		check(bad[i], strstr(err.msg, "it in the cache"));
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_beneath),
		TEST(test_read),
		cmocka_unit_test(test_fields),
	};
	const struct CMUnitTest broken[] = {
		TEST(test_beneath_without_openat2),
		TEST(test_without_tmpfile),
		TEST(test_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) +
	       (broken_works() ? cmocka_run_group_tests(broken, NULL, NULL)
			       : 0);
}
