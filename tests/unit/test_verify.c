// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/lease.h"
#include "common/verify.h"
#include "tests/unit/broken.h"
#include "tests/unit/cachefixture.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

/* How many bad blobs verify told of. */
static size_t bad;

static void on_bad(void *arg, const struct digest *digest, const char *why)
{
	(void)arg;
	(void)digest;
	(void)why;
	bad++;
}

/* Change a blob of that text behind the cache's back. */
static struct digest damage(struct cachefixture *f, const char *text)
{
	char path[CACHE_BLOB_FILE_SIZE];
	autofree char *full = NULL, *other = xstrdup(text);
	struct digest digest;

	digest_of(text, strlen(text), &digest);
	full = xasprintf("%s/%s", f->dir, cache_blob_file(&digest, path));
	other[0] ^= 1;
	chmod(full, 0644);
	scratch_write(full, other, strlen(other));
	return digest;
}

/* The layer that image a alone has. */
static struct digest damage_layer(struct cachefixture *f)
{
	return damage(f, "layer of a");
}

static void lose(struct cachefixture *f, const struct digest *digest)
{
	char path[CACHE_BLOB_FILE_SIZE];

	assert_int_equal(
		unlinkat(f->cache.fd, cache_blob_file(digest, path), 0), 0);
}

static void test_verify(void **state)
{
	struct cachefixture *f = *state;
	const struct verify verify = { .settings = &f->settings,
				       .cache = &f->cache,
				       .bad = on_bad };
	struct digest a = put_image(f, "a"), b = put_image(f, "b"), layer;
	autofree char *aside = NULL;
	char hex[DIGEST_HEX_SIZE];
	struct verify_result result;
	struct err err = ERR_INIT;

	assert_int_equal(verify_run(&verify, &result, &err), 0);
	assert_int_equal(result.blobs, 7);
	assert_int_equal(result.bad, 0);
	layer = damage_layer(f);
	aside = xasprintf("%s/bad/%s", f->dir, digest_hex(&layer, hex));
	assert_int_equal(verify_run(&verify, &result, &err), 0);
	assert_int_equal(result.bad, 1);
	assert_int_equal(result.images, 1);
	assert_int_equal(result.unrepaired, 1);
	assert_int_equal(bad, 1);
	assert_false(has_blob(f, &layer));
	assert_false(has_blob(f, &a));
	assert_true(has_blob(f, &b));
	assert_int_equal(access(aside, F_OK), 0);
	assert_int_equal(verify_run(&verify, &result, &err), 0);
	assert_int_equal(result.bad, 0);
}

static int run_verify(void *arg)
{
	struct cachefixture *f = arg;
	const struct verify verify = { .settings = &f->settings,
				       .cache = &f->cache,
				       .rate = 1 << 30,
				       .bad = on_bad };
	struct verify_result result;
	struct err err = ERR_INIT;

	return verify_run(&verify, &result, &err) ? -1 : (int)result.bad;
}

/* Does the process wait for a lock? The kernel tells, /proc/locks. */
static bool waits_for_lock(pid_t pid)
{
	autofree char *who = xasprintf(" %d ", (int)pid);
	FILE *locks = fopen("/proc/locks", "re");
	char line[256];
	bool waits = false;

	assert_non_null(locks);
	while (!waits && fgets(line, sizeof(line), locks))
		waits = strstr(line, "-> FLOCK") && strstr(line, who);
	fclose(locks);
	return waits;
}

/*
 * Let a process verify, up to where it would touch what it found; let f change
 * the cache; and let it go on. How many were bad.
 */
static int verify_around(struct cachefixture *f,
			 void (*change)(struct cachefixture *f))
{
	struct err err = ERR_INIT;
	int hold = lease_hold(&f->cache, &err), status;
	pid_t pid = fork();

	assert_true(hold >= 0 && pid >= 0);
	if (!pid) {
		close(hold);
		_exit(run_verify(f));
	}
	while (!waits_for_lock(pid) && waitpid(pid, &status, WNOHANG) == 0)
		usleep(1000);
	change(f);
	close(hold);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static struct digest new_image;

static void put_b(struct cachefixture *f)
{
	new_image = put_image(f, "b");
}

/* An image that came while it was read needs the bad blob, too. */
static void test_verify_new_image(void **state)
{
	struct cachefixture *f = *state;
	struct digest a = put_image(f, "a"), layer = damage(f, SHARED_LAYER);

	assert_int_equal(verify_around(f, put_b), 1);
	assert_false(has_blob(f, &layer));
	assert_false(has_blob(f, &a));
	assert_false(has_blob(f, &new_image));
}

static void mend_layer(struct cachefixture *f)
{
	struct digest layer;

	digest_of(SHARED_LAYER, strlen(SHARED_LAYER), &layer);
	lose(f, &layer);
	put_text(f, SHARED_LAYER, &layer);
}

/* What was made anew while the bad one was read is good, and stays. */
static void test_verify_made_anew(void **state)
{
	struct cachefixture *f = *state;
	struct digest a = put_image(f, "a"), layer = damage(f, SHARED_LAYER);

	assert_int_equal(verify_around(f, mend_layer), 0);
	assert_true(has_blob(f, &layer));
	assert_true(has_blob(f, &a));
	assert_int_equal(run_verify(f), 0);
}

static void test_verify_once(void **state)
{
	struct cachefixture *f = *state;
	const struct verify verify = { .settings = &f->settings,
				       .cache = &f->cache };
	struct verify_result result;
	struct err err = ERR_INIT;
	int lock = cache_lock(&f->cache, "verify", 0, &err);

	assert_true(lock >= 0);
	assert_int_equal(verify_run(&verify, &result, &err), -1);
	assert_int_equal(err.code, ERR_BUSY);
	close(lock);
	assert_int_equal(verify_run(&verify, &result, &err), 0);
}

/* A blob that is not there: the manifest goes, so that it is made anew. */
static void test_verify_missing(void **state)
{
	struct cachefixture *f = *state;
	const struct verify verify = { .settings = &f->settings,
				       .cache = &f->cache };
	struct digest a = put_image(f, "a"), b = put_image(f, "b"), layer;
	struct verify_result result;
	struct err err = ERR_INIT;

	digest_of("layer of a", 10, &layer);
	lose(f, &layer);
	assert_int_equal(verify_run(&verify, &result, &err), 0);
	assert_int_equal(result.bad, 0);
	assert_int_equal(result.incomplete, 1);
	assert_int_equal(result.images, 1);
	assert_false(has_blob(f, &a));
	assert_true(has_blob(f, &b));
	assert_int_equal(verify_run(&verify, &result, &err), 0);
	assert_int_equal(result.incomplete, 0);
}

/*
 * A blob that is bad and cannot be moved aside ends verify, and is found
 * again.
 */
static void test_verify_faults(void **state)
{
	static const struct {
		const char *name;
		struct broken broken;
	} cases[] = {
		{ "no folder", { SCMP_SYS(mkdirat), ENOSPC, 0, 0, 0 } },
		{ "no rename", { SCMP_SYS(renameat), EIO, 0, 0, 0 } },
		{ "no unlink", { SCMP_SYS(unlinkat), EROFS, 0, 0, 0 } },
		{ "no lock", { SCMP_SYS(flock), ENOLCK, 0, 0, 0 } },
		{ "no folders", { SCMP_SYS(getdents64), EIO, 0, 0, 0 } },
		{ "no descriptors", { SCMP_SYS(openat2), EMFILE, 0, 0, 0 } },
		{ "no memory", { SCMP_SYS(read), ENOMEM, 0, 0, 0 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cachefixture *f;
		struct digest layer;

		bad = 0;
		cachefixture_set_up((void **)&f);
		put_image(f, "a");
		layer = damage_layer(f);
		check(cases[i].name,
		      broken_run(&cases[i].broken, run_verify, f) == -1);
		check(cases[i].name, bad == 0);
		check(cases[i].name, run_verify(f) == 1);
		check(cases[i].name, !has_blob(f, &layer));
		cachefixture_tear_down((void **)&f);
	}
}

/* What the disk does not give is moved aside. */
static void test_verify_unread(void **state)
{
	const struct broken broken = { SCMP_SYS(read), EIO, 0, 0, 0 };
	struct digest image, layer;
	struct cachefixture *f;

	cachefixture_set_up((void **)&f);
	image = put_image(f, "a");
	digest_of("layer of a", 10, &layer);
	assert_int_equal(broken_run(&broken, run_verify, f), 4);
	assert_false(has_blob(f, &image));
	assert_false(has_blob(f, &layer));
	assert_int_equal(run_verify(f), 0);
	cachefixture_tear_down((void **)&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CACHE_TEST(test_verify),
		CACHE_TEST(test_verify_new_image),
		CACHE_TEST(test_verify_made_anew),
		CACHE_TEST(test_verify_once),
		CACHE_TEST(test_verify_missing),
	};
	const struct CMUnitTest faults[] = {
		cmocka_unit_test(test_verify_faults),
		cmocka_unit_test(test_verify_unread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) +
	       (broken_works() ? cmocka_run_group_tests(faults, NULL, NULL)
			       : 0);
}
