// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <errno.h>
#include <seccomp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
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

/* Change the layer that image a alone has behind the cache's back. */
static struct digest damage_layer(struct cachefixture *f)
{
	char path[CACHE_BLOB_FILE_SIZE];
	autofree char *full = NULL;
	struct digest layer;

	digest_of("layer of a", 10, &layer);
	full = xasprintf("%s/%s", f->dir, cache_blob_file(&layer, path));
	chmod(full, 0644);
	scratch_write(full, "layer of A", 10);
	return layer;
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
	};
	const struct CMUnitTest faults[] = {
		cmocka_unit_test(test_verify_faults),
		cmocka_unit_test(test_verify_unread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) +
	       (broken_works() ? cmocka_run_group_tests(faults, NULL, NULL)
			       : 0);
}
