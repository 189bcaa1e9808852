// SPDX-License-Identifier: MIT
/* Sweeping and evicting where calls fail: nothing that is needed is lost. */
#include "tests/unit/check.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/gc.h"
#include "tests/unit/broken.h"
#include "tests/unit/cachefixture.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

/* What gc finds of each kind that it sweeps, two days old. */
static void make_garbage(struct cachefixture *f)
{
	const char *const files[] = { "tmp/x/y",    "tmp/z",   "bad/x",
				      "git/x.refs", "locks/x", "roots/x" };
	struct digest old = put_image(f, "old");
	struct layer layer = { .blob.media_type = MEDIA_LAYER };
	char hex[DIGEST_HEX_SIZE], record[CACHE_RECORD_PATH_SIZE];
	const struct repository_name name = repository_of("old");
	autofree char *entry = NULL, *log = NULL, *tmp = NULL, *bad = NULL;
	struct digest key;
	struct err err = ERR_INIT;
	int fd;

	tmp = xasprintf("%s/tmp/x", f->dir);
	bad = xasprintf("%s/bad", f->dir);
	scratch_mkdir(tmp);
	scratch_mkdir(bad);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		autofree char *path = xasprintf("%s/%s", f->dir, files[i]);

		scratch_write(path, "x", 1);
		set_age(f, files[i], 200 * DAY);
	}
	set_age(f, "tmp/x", 200 * DAY);
	put_text(f, "a blob that nothing needs", &key);
	layer.key = layer.diff_id = key;
	digest_of("no such blob", 12, &layer.blob.digest);
	assert_int_equal(cache_put_layer(&f->cache, &layer, &err), 0);
	digest_hex(&key, hex);
	entry = xasprintf("layers/%.2s/%s", hex, hex);
	set_age(f, entry, 2 * DAY);
	fd = cache_create_log(&f->cache, &key, &err);
	close(fd);
	log = xasprintf("builds/%s/log", hex);
	set_age(f, log, 2 * DAY);
	unlinkat(f->cache.fd, cache_record_path(record, &name, &old), 0);
}

static int run_gc(void *arg)
{
	struct cachefixture *f = arg;
	const struct gc gc = { .settings = &f->settings, .cache = &f->cache };
	struct gc_result result;
	struct err err = ERR_INIT;
	int rc = gc_run(&gc, &result, &err);

	if (rc && (!err.code || !*err.msg))
		return -2;
	return rc;
}

/*
 * Whatever call fails, what an image needs stays, and once the fault is gone
 * all goes that should. A call on which nothing depends may fail unnoticed.
 */
static void test_faults(void **state)
{
	static const struct {
		const char *name;
		struct broken broken;
		bool unnoticed;
	} cases[] = {
		{ "openat", { SCMP_SYS(openat), EMFILE, 0, 0, 0 }, false },
		{ "openat2", { SCMP_SYS(openat2), EIO, 0, 0, 0 }, false },
		{ "modes", { SCMP_SYS(openat2), EACCES, 0, 0, 0 }, false },
		{ "getdents64", { SCMP_SYS(getdents64), EIO, 0, 0, 0 }, false },
		{ "stat", { SCMP_SYS(newfstatat), EIO, 0, 0, 0 }, false },
		{ "read", { SCMP_SYS(read), EIO, 0, 0, 0 }, false },
		{ "pread", { SCMP_SYS(pread64), EIO, 0, 0, 0 }, true },
		{ "memory", { SCMP_SYS(read), ENOMEM, 0, 0, 0 }, false },
		{ "unlinkat", { SCMP_SYS(unlinkat), EROFS, 0, 0, 0 }, false },
		{ "flock", { SCMP_SYS(flock), ENOLCK, 0, 0, 0 }, false },
		{ "renameat", { SCMP_SYS(renameat), ENOSPC, 0, 0, 0 }, true },
		{ "utimensat", { SCMP_SYS(utimensat), EROFS, 0, 0, 0 }, true },
	};
	const struct repository_name name = repository_of("live");

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cachefixture *f;
		struct digest live, layer;
		int rc;

		cachefixture_set_up((void **)&f);
		f->settings.cache_size = 1 << 30;
		live = put_image(f, "live");
		digest_of("layer of live", 13, &layer);
		make_garbage(f);
		set_blobs_age(f, DAY);
		set_image_age(f, "live", &live, DAY);
		rc = broken_run(&cases[i].broken, run_gc, f);
		check(cases[i].name, rc == -1 || (!rc && cases[i].unnoticed));
		check(cases[i].name, has_blob(f, &live) && has_blob(f, &layer));
		check(cases[i].name, cache_has_record(&f->cache, &name, &live));
		check(cases[i].name, !run_gc(f));
		digest_of("a blob that nothing needs", 25, &layer);
		check(cases[i].name, !has_blob(f, &layer));
		check(cases[i].name,
		      faccessat(f->cache.fd, "tmp/x", F_OK, 0) &&
			      faccessat(f->cache.fd, "bad/x", F_OK, 0));
		cachefixture_tear_down((void **)&f);
	}
}

static int run_dry(void *arg)
{
	struct cachefixture *f = arg;
	const struct gc gc = { .settings = &f->settings,
			       .cache = &f->cache,
			       .dry_run = true };
	struct gc_result result;
	struct err err = ERR_INIT;

	return gc_run(&gc, &result, &err) && (!err.code || !*err.msg) ? -2 : 0;
}

/*
 * One call after the other fails, once each: what then goes wrong has a
 * message, and all that was opened is closed.
 */
static void test_each_call(void **state)
{
	static const struct {
		const char *name;
		struct broken broken;
		unsigned int step; /* one for each folder is much the same */
	} cases[] = {
		{ "openat", { SCMP_SYS(openat), EMFILE, 0, 0, 0 }, 1 },
		{ "openat2", { SCMP_SYS(openat2), EIO, 0, 0, 0 }, 1 },
		{ "getdents64", { SCMP_SYS(getdents64), EIO, 0, 0, 0 }, 2 },
		{ "stat", { SCMP_SYS(newfstatat), EIO, 0, 0, 0 }, 5 },
	};
	struct cachefixture *f = *state;
	struct digest live = put_image(f, "live");
	size_t before;

	make_garbage(f);
	set_blobs_age(f, DAY);
	set_image_age(f, "live", &live, DAY);
	f->settings.cache_size = 1;
	before = count_open();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned int nth = 1;
		int rc = 0;

		while (broken_run_nth(&cases[i].broken, nth, run_dry, f, &rc)) {
			check(cases[i].name, !rc);
			check(cases[i].name, count_open() == before);
			nth += cases[i].step;
		}
		check(cases[i].name, nth > cases[i].step);
	}
	assert_true(has_blob(f, &live));
	assert_int_equal(faccessat(f->cache.fd, "tmp/x", F_OK, 0), 0);
}

/* The same of calls that change something: the next gc does what is left. */
static void test_each_change(void **state)
{
	static const struct {
		const char *name;
		struct broken broken;
	} cases[] = {
		{ "unlinkat", { SCMP_SYS(unlinkat), EROFS, 0, 0, 0 } },
		{ "flock", { SCMP_SYS(flock), ENOLCK, 0, 0, 0 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool was_reached = true;

		for (unsigned int nth = 1; was_reached; nth++) {
			struct cachefixture *f;
			struct digest live, garbage;
			int rc;

			cachefixture_set_up((void **)&f);
			f->settings.cache_size = 1 << 30;
			live = put_image(f, "live");
			make_garbage(f);
			set_blobs_age(f, DAY);
			was_reached = broken_run_nth(&cases[i].broken, nth,
						     run_gc, f, &rc);
			check(cases[i].name, rc >= -1);
			check(cases[i].name, has_blob(f, &live));
			check(cases[i].name, !run_gc(f));
			digest_of("a blob that nothing needs", 25, &garbage);
			check(cases[i].name, !has_blob(f, &garbage));
			check(cases[i].name,
			      faccessat(f->cache.fd, "tmp/x", F_OK, 0));
			cachefixture_tear_down((void **)&f);
		}
	}
}

/* All that a pull of live:latest finds. */
static bool is_whole(struct cachefixture *f, const struct digest *live)
{
	const struct repository_name name = repository_of("live");
	const struct tag latest = { .text = "latest" };
	struct tag_record tag;
	struct blob_link link;
	struct digest layer;
	struct err err;

	digest_of("layer of live", 13, &layer);
	return has_blob(f, live) && has_blob(f, &layer) &&
	       cache_has_record(&f->cache, &name, live) &&
	       !cache_get_tag(&f->cache, &name, &latest, &tag, &err) &&
	       !cache_get_link(&f->cache, &name, &layer, &link, &err);
}

/* What cannot be read for once is neither broken nor dangling. */
static void test_each_unread(void **state)
{
	static const struct {
		const char *name;
		struct broken broken;
	} cases[] = {
		{ "open", { SCMP_SYS(openat2), EMFILE, 0, 0, 0 } },
		{ "read", { SCMP_SYS(read), EIO, 0, 0, 0 } },
		{ "pread", { SCMP_SYS(pread64), EIO, 0, 0, 0 } },
		{ "stat", { SCMP_SYS(newfstatat), EIO, 0, 0, 0 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cachefixture *f;
		unsigned int nth = 1;
		struct digest live;
		int rc;

		cachefixture_set_up((void **)&f);
		f->settings.cache_size = 1 << 30;
		live = put_image(f, "live");
		set_blobs_age(f, DAY);
		set_image_age(f, "live", &live, DAY);
		while (broken_run_nth(&cases[i].broken, nth, run_gc, f, &rc)) {
			check(cases[i].name, rc >= -1);
			check(cases[i].name, is_whole(f, &live));
			nth++;
		}
		check(cases[i].name, nth > 2);
		cachefixture_tear_down((void **)&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults),
		cmocka_unit_test_setup_teardown(test_each_call,
						cachefixture_set_up,
						cachefixture_tear_down),
		cmocka_unit_test(test_each_change),
		cmocka_unit_test(test_each_unread),
	};

	return broken_works() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
