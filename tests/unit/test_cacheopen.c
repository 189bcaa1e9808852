// SPDX-License-Identifier: MIT
/* Opening a cache, and what does not depend on what is in it: faults, too. */
#include "tests/unit/check.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cache.h"
#include "tests/unit/broken.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

/* What fstat(3) calls: with the thread sanitizer another than without. */
#ifdef __SANITIZE_THREAD__
#define STAT SCMP_SYS(fstat)
#else
#define STAT SCMP_SYS(newfstatat)
#endif

struct fixture {
	char *dir;
	struct cache cache;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct err err = ERR_INIT;

	f->dir = scratch_make();
	if (cache_open(&f->cache, f->dir, CACHE_WRITE, &err))
		fail_msg("%s", err.msg);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	cache_release(&f->cache);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

static void make_old(const struct fixture *f, const char *path, int64_t age_s)
{
	const struct timespec times[2] = {
		{ .tv_sec = time(NULL) - age_s },
		{ .tv_sec = time(NULL) - age_s },
	};

	assert_int_equal(
		utimensat(f->cache.fd, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

/* What opening sweeps: a day old, of processes that are no more. */
static void test_sweeps(void **state)
{
	struct fixture *f = *state;
	autofree char *mine = xasprintf("roots/builder.%ld.1", (long)getpid());
	const struct {
		const char *name;
		int64_t age_s;
		bool stays;
	} cases[] = {
		{ "tmp/1.2", 25 * 3600, false },
		{ "tmp/1.3", 23 * 3600, true },
		{ "roots/builder.999999999.1", 25 * 3600, false },
		{ "roots/builder.999999999.2", 23 * 3600, true },
		{ mine, 25 * 3600, true },
		{ "roots/tag.1", 25 * 3600, true },
	};
	struct err err = ERR_INIT;
	autocache again = CACHE_INIT;
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(symlinkat("/x", f->cache.fd, cases[i].name),
				 0);
		make_old(f, cases[i].name, cases[i].age_s);
	}
	assert_int_equal(cache_open(&again, f->dir, CACHE_WRITE, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(cases[i].name,
		      !fstatat(f->cache.fd, cases[i].name, &st,
			       AT_SYMLINK_NOFOLLOW) == cases[i].stays);
}

/* Folders that others may read are closed, or write to are refused. */
static void test_modes(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	autocache again = CACHE_INIT;
	struct stat st;

	assert_int_equal(fchmodat(f->cache.fd, "git", 0755, 0), 0);
	assert_int_equal(cache_open(&again, f->dir, CACHE_WRITE, &err), 0);
	assert_int_equal(fstatat(f->cache.fd, "git", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	cache_release(&again);
	assert_int_equal(fchmodat(f->cache.fd, "tmp", 0777, 0), 0);
	assert_int_equal(cache_open(&again, f->dir, CACHE_WRITE, &err), -1);
	assert_int_equal(err.code, ERR_REFUSED);
	assert_non_null(strstr(err.msg, "/tmp is another user's, or other"));
	assert_int_equal(fchmodat(f->cache.fd, "tmp", 0755, 0), 0);
	assert_int_equal(chmod(f->dir, 0775), 0);
	assert_int_equal(cache_open(&again, f->dir, CACHE_WRITE, &err), -1);
	assert_non_null(strstr(err.msg, "has mode 0775"));
}

struct opening {
	char *dir;
	struct err err;
};

static int open_it(void *arg)
{
	struct opening *o = arg;
	struct cache cache;

	if (cache_open(&cache, o->dir, CACHE_WRITE, &o->err))
		return cache.fd < 0 && !cache.path ? -1 : -2;
	cache_release(&cache);
	return 0;
}

/*
 * One call after the other fails as a cache is made, and the next time it is
 * made: an error that names what, and all is well when it is opened again.
 */
static void test_open_faults(void **state)
{
	static const struct {
		const char *name;
		struct broken broken;
	} cases[] = {
		{ "mkdirat", { SCMP_SYS(mkdirat), ENOSPC, 0, 0, 0 } },
		{ "mkdir", { SCMP_SYS(mkdir), EACCES, 0, 0, 0 } },
		{ "openat", { SCMP_SYS(openat), EMFILE, 0, 0, 0 } },
		{ "openat2", { SCMP_SYS(openat2), EMFILE, 0, 0, 0 } },
		{ "fstat", { STAT, EIO, 0, 0, 0 } },
		{ "fchmod", { SCMP_SYS(fchmod), EPERM, 0, 0, 0 } },
		{ "write", { SCMP_SYS(write), ENOSPC, 0, 0, 0 } },
		{ "renameat", { SCMP_SYS(renameat), EIO, 0, 0, 0 } },
	};
	const struct fixture *f = *state;
	unsigned int nr = 0;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool was_reached = true;

		for (unsigned int nth = 1; was_reached; nth++) {
			struct opening o = { .err = ERR_INIT };
			int rc;

			o.dir = xasprintf("%s/%u/new", f->dir, nr++);
			was_reached = broken_run_nth(&cases[i].broken, nth,
						     open_it, &o, &rc);
			check(cases[i].name, rc == 0 || rc == -1);
			check(cases[i].name,
			      !rc || (o.err.code == ERR_SYSTEM && *o.err.msg));
			check(cases[i].name, !open_it(&o));
			free(o.dir);
		}
	}
}

static int lock_it(void *arg)
{
	struct fixture *f = arg;
	struct err err = ERR_INIT;
	autoclose int waited = cache_lock(&f->cache, "a", -1, &err);
	autoclose int tried =
		waited < 0 ? -1 : cache_lock(&f->cache, "b", 100, &err);

	return tried < 0 ? (int)err.code : 0;
}

/* One that cannot be had is not had; but a signal is no reason. */
static void test_lock_faults(void **state)
{
	static const struct {
		const char *name;
		struct broken broken;
		int want;
	} cases[] = {
		{ "open", { SCMP_SYS(openat), EMFILE, 0, 0, 0 }, ERR_SYSTEM },
		{ "stat", { STAT, EIO, 0, 0, 0 }, ERR_SYSTEM },
		{ "flock", { SCMP_SYS(flock), ENOLCK, 0, 0, 0 }, ERR_SYSTEM },
		{ "signal", { SCMP_SYS(flock), EINTR, 0, 0, 0 }, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (unsigned int nth = 1; nth <= 2; nth++) {
			int rc;

			check(cases[i].name,
			      broken_run_nth(&cases[i].broken, nth, lock_it,
					     *state, &rc));
			check(cases[i].name, rc == cases[i].want);
			check(cases[i].name, !lock_it(*state));
		}
}

static int sync_it(void *arg)
{
	struct fixture *f = arg;
	struct err err = ERR_INIT;

	return cache_sync(&f->cache, &err) ? (int)err.code : 0;
}

static int refresh_it(void *arg)
{
	struct fixture *f = arg;
	struct err err = ERR_INIT;

	return cache_refresh(&f->cache, &err) ? (int)err.code : 0;
}

/* A disk that does not answer is an error, and gone is no longer one. */
static void test_disk_faults(void **state)
{
	static const struct broken sync = { .call = SCMP_SYS(syncfs),
					    .error = EIO };
	static const struct broken stat = { .call = STAT, .error = EIO };
	static const struct broken open = { .call = SCMP_SYS(openat),
					    .error = EMFILE };
	struct fixture *f = *state;

	assert_int_equal(broken_run(&sync, sync_it, f), ERR_SYSTEM);
	assert_int_equal(broken_run(&stat, refresh_it, f), ERR_SYSTEM);
	scratch_remove(xstrdup(f->dir));
	assert_int_equal(refresh_it(f), 0);
	assert_int_equal(broken_run(&open, refresh_it, f), ERR_SYSTEM);
	scratch_mkdir(f->dir);
	assert_int_equal(refresh_it(f), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sweeps),
		TEST(test_modes),
	};
	const struct CMUnitTest faults[] = {
		TEST(test_open_faults),
		TEST(test_lock_faults),
		TEST(test_disk_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) +
	       (broken_works() ? cmocka_run_group_tests(faults, NULL, NULL)
			       : 0);
}
