// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cachefile.h"
#include "common/gc.h"
#include "common/inventory.h"
#include "common/lease.h"
#include "common/manifest.h"
#include "common/steadiness.h"
#include "common/verify.h"
#include "tests/unit/broken.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

#define DAY (24 * 3600)

/* A cache with images that nobody built, and what gc told. */
struct fixture {
	char *dir;
	struct cache cache;
	struct settings settings;
	size_t gone[GC_KINDS];
	size_t bad;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct err err = ERR_INIT;

	f->dir = scratch_make();
	settings_init(&f->settings);
	if (cache_open(&f->cache, f->dir, CACHE_WRITE, &err))
		fail_msg("%s", err.msg);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	cache_release(&f->cache);
	settings_release(&f->settings);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

static struct repository_name name_of(const char *s)
{
	struct repository_name name;
	struct err err;

	assert_int_equal(repository_name_parse(&name, s, strlen(s), &err), 0);
	return name;
}

static void put(struct fixture *f, const char *text, struct digest *digest)
{
	struct err err = ERR_INIT;

	if (cache_put_blob(&f->cache, text, strlen(text), digest, &err))
		fail_msg("%s", err.msg);
}

/* An image of a config and two layers, the second shared by all. */
static struct digest make_image(struct fixture *f, const char *repository)
{
	const struct repository_name name = name_of(repository);
	struct descriptor parts[3] = {
		{ .media_type = MEDIA_CONFIG, .size = 1 },
		{ .media_type = MEDIA_LAYER, .size = 1 },
		{ .media_type = MEDIA_LAYER, .size = 1 },
	};
	autofree char *config = xasprintf("config of %s", repository);
	autofree char *layer = xasprintf("layer of %s", repository);
	autostrbuf manifest = STRBUF_INIT;
	struct image_head head = { .manifest.media_type = MEDIA_MANIFEST };
	struct tag_record tag = { .revision = "" };
	const struct tag latest = { .text = "latest" };
	struct err err = ERR_INIT;

	put(f, config, &parts[0].digest);
	put(f, layer, &parts[1].digest);
	put(f, "the layer that all have", &parts[2].digest);
	manifest_format(&manifest, &parts[0], parts + 1, 2, NULL);
	put(f, manifest.buf, &head.manifest.digest);
	head.manifest.size = manifest.len;
	tag.image = head;
	assert_int_equal(
		cache_put_record(&f->cache, &name, &head, "{}", 2, &err), 0);
	assert_int_equal(cache_put_tag(&f->cache, &name, &latest, &tag, &err),
			 0);
	for (size_t i = 0; i < 3; i++) {
		const struct blob_link link = { .blob = parts[i],
						.manifest =
							head.manifest.digest };

		assert_int_equal(cache_put_link(&f->cache, &name, &link, &err),
				 0);
	}
	return head.manifest.digest;
}

static void set_age(struct fixture *f, const char *path, int64_t age_s)
{
	const struct timespec times[2] = {
		{ .tv_sec = time(NULL) - age_s },
		{ .tv_sec = time(NULL) - age_s },
	};

	if (utimensat(f->cache.fd, path, times, AT_SYMLINK_NOFOLLOW))
		fail_msg("%s: no such file", path);
}

static void set_image_age(struct fixture *f, const char *repository,
			  const struct digest *manifest, int64_t age_s)
{
	char path[CACHE_RECORD_PATH_SIZE];
	const struct repository_name name = name_of(repository);

	set_age(f, cache_record_path(path, &name, manifest), age_s);
}

/* All blobs were last asked for so long ago. */
static void set_blobs_age(struct fixture *f, int64_t age_s)
{
	autoinventory inventory = INVENTORY_INIT;
	struct err err = ERR_INIT;

	assert_int_equal(inventory_take(&inventory, &f->cache, &err), 0);
	for (size_t i = 0; i < inventory.nr_blobs; i++) {
		char path[CACHE_BLOB_FILE_SIZE];

		set_age(f, cache_blob_file(&inventory.blobs[i].digest, path),
			age_s);
	}
}

static void count(void *arg, enum gc_kind kind, const char *name,
		  uint64_t bytes)
{
	struct fixture *f = arg;

	(void)name;
	(void)bytes;
	f->gone[kind]++;
}

static struct gc_result collect(struct fixture *f, int64_t size, bool dry_run)
{
	const struct gc gc = { .settings = &f->settings,
			       .cache = &f->cache,
			       .dry_run = dry_run,
			       .gone = count,
			       .arg = f };
	struct gc_result result;
	struct err err = ERR_INIT;

	f->settings.cache_size = size;
	memset(f->gone, 0, sizeof(f->gone));
	if (gc_run(&gc, &result, &err))
		fail_msg("%s", err.msg);
	return result;
}

static bool has(struct fixture *f, const struct digest *digest)
{
	return cache_has_blob(&f->cache, digest, NULL);
}

static void test_inventory(void **state)
{
	struct fixture *f = *state;
	struct digest a = make_image(f, "a");
	autoinventory inventory = INVENTORY_INIT;
	struct err err = ERR_INIT;

	make_image(f, "b");
	assert_int_equal(inventory_take(&inventory, &f->cache, &err), 0);
	assert_int_equal(inventory.nr_images, 2);
	assert_int_equal(inventory.nr_blobs, 7);
	assert_true(inventory_is_fresh(&inventory));
	for (size_t i = 0; i < inventory.nr_images; i++) {
		assert_int_equal(inventory.images[i].nr_needs, 3);
		assert_int_equal(inventory.images[i].nr_names, 1);
		assert_false(inventory.images[i].is_broken);
	}
	for (size_t i = 0; i < inventory.nr_blobs; i++) {
		const struct inventory_blob *blob = &inventory.blobs[i];
		struct digest shared;

		digest_of("the layer that all have", 23, &shared);
		if (digest_equal(&blob->digest, &shared))
			assert_int_equal(blob->needed_by, 2);
		else if (digest_equal(&blob->digest, &a))
			assert_int_not_equal(blob->image, NO_IMAGE);
		else
			assert_true(blob->needed_by <= 1);
	}
}

static void test_order(void **state)
{
	struct fixture *f = *state;
	struct digest old = make_image(f, "old"),
		      young = make_image(f, "young");
	struct digest shared, used = make_image(f, "used");
	struct gc_result before;

	digest_of("the layer that all have", 23, &shared);
	set_blobs_age(f, DAY);
	set_image_age(f, "old", &old, 3 * DAY);
	set_image_age(f, "young", &young, 2 * DAY);
	before = collect(f, 1 << 30, false);
	assert_int_equal(before.evicted, 0);
	/* One byte too much is one image. */
	assert_int_equal(collect(f, (int64_t)before.after - 1, true).evicted,
			 1);
	assert_true(has(f, &old));
	assert_int_equal(collect(f, (int64_t)before.after - 1, false).evicted,
			 1);
	assert_false(has(f, &old));
	assert_int_equal(f->gone[GC_IMAGE], 1);
	assert_int_equal(f->gone[GC_BLOB], 2);
	assert_int_equal(f->gone[GC_RECORD], 0);
	/* What was used lately stays, whatever the size. */
	collect(f, 1, false);
	assert_false(has(f, &young));
	assert_true(has(f, &used));
	assert_true(has(f, &shared));
	set_blobs_age(f, DAY);
	set_image_age(f, "used", &used, DAY);
	collect(f, 1, false);
	assert_false(has(f, &used));
	assert_false(has(f, &shared));
}

static void test_leased(void **state)
{
	struct fixture *f = *state;
	struct digest image = make_image(f, "image");
	const struct repository_name name = name_of("image");
	struct image_head head;
	struct err err = ERR_INIT;

	set_blobs_age(f, DAY);
	set_image_age(f, "image", &image, DAY);
	/* To read a record is to use it; to peek is not. */
	assert_int_equal(
		cache_get_record(&f->cache, &name, &image, &head, NULL, &err),
		0);
	collect(f, 1, false);
	assert_true(has(f, &image));
	set_image_age(f, "image", &image, DAY);
	assert_int_equal(
		cache_peek_record(&f->cache, &name, &image, &head, NULL, &err),
		0);
	/* So is finding the blob. */
	assert_true(cache_use_blob(&f->cache, &image, NULL));
	collect(f, 1, false);
	assert_true(has(f, &image));
	set_blobs_age(f, DAY);
	collect(f, 1, false);
	assert_false(has(f, &image));
	assert_false(cache_use_blob(&f->cache, &image, NULL));
}

static void test_broken(void **state)
{
	struct fixture *f = *state;
	struct digest image = make_image(f, "image"), layer;
	char path[CACHE_BLOB_FILE_SIZE];

	set_blobs_age(f, DAY);
	set_image_age(f, "image", &image, DAY);
	digest_of("layer of image", 14, &layer);
	assert_int_equal(
		unlinkat(f->cache.fd, cache_blob_file(&layer, path), 0), 0);
	collect(f, 1 << 30, false);
	assert_false(has(f, &image));
}

static void test_records(void **state)
{
	struct fixture *f = *state;
	struct digest old = make_image(f, "old"),
		      young = make_image(f, "young");
	const struct repository_name name = name_of("old");
	const struct tag latest = { .text = "latest" };
	struct tag_record tag;
	struct err err = ERR_INIT;

	set_blobs_age(f, 100 * DAY);
	set_image_age(f, "old", &old, 91 * DAY);
	set_image_age(f, "young", &young, 89 * DAY);
	collect(f, 1 << 30, true);
	assert_int_equal(f->gone[GC_RECORD], 1);
	assert_int_equal(f->gone[GC_LINK], 3);
	assert_true(cache_has_record(&f->cache, &name, &old));
	collect(f, 1 << 30, false);
	assert_int_equal(f->gone[GC_IMAGE], 1);
	assert_int_equal(f->gone[GC_RECORD], 1);
	assert_int_equal(f->gone[GC_TAG], 1);
	assert_int_equal(f->gone[GC_LINK], 3);
	assert_false(cache_has_record(&f->cache, &name, &old));
	assert_int_equal(cache_get_tag(&f->cache, &name, &latest, &tag, &err),
			 -1);
	assert_true(has(f, &young));
}

static void test_sweep(void **state)
{
	struct fixture *f = *state;
	struct layer layer = { .blob.media_type = MEDIA_LAYER };
	struct digest key, image;
	char hex[DIGEST_HEX_SIZE];
	autofree char *entry = NULL, *log = NULL, *folder = NULL, *root = NULL;
	struct stat st;
	struct err err = ERR_INIT;
	int fd;

	image = make_image(f, "image");
	digest_of("key", 3, &key);
	layer.key = layer.diff_id = layer.blob.digest = key;
	assert_int_equal(cache_put_layer(&f->cache, &layer, &err), 0);
	digest_hex(&key, hex);
	entry = xasprintf("layers/%.2s/%s", hex, hex);
	folder = xasprintf("builds/%s", hex);
	log = xasprintf("%s/log", folder);
	root = xasprintf("roots/tag.%s.x86_64-linux", hex);
	fd = cache_create_log(&f->cache, &key, &err);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(symlinkat("/nix/store/x", f->cache.fd, root), 0);
	/* Its build is under way: root and log stay. */
	{
		autofree char *name = xasprintf("build.%s", hex);
		autoclose int lock = cache_lock(&f->cache, name, 0, &err);

		assert_true(lock >= 0);
		set_age(f, log, 2 * DAY);
		set_age(f, folder, 2 * DAY);
		set_age(f, entry, DAY);
		collect(f, 1 << 30, false);
		assert_int_equal(f->gone[GC_LAYER], 1);
		assert_int_equal(f->gone[GC_ROOT] + f->gone[GC_BUILD], 0);
		assert_int_not_equal(fstatat(f->cache.fd, entry, &st, 0), 0);
		assert_int_equal(fstatat(f->cache.fd, log, &st, 0), 0);
	}
	collect(f, 1 << 30, false);
	assert_int_equal(f->gone[GC_ROOT], 1);
	assert_int_equal(f->gone[GC_BUILD], 1);
	assert_int_not_equal(fstatat(f->cache.fd, folder, &st, 0), 0);
	assert_true(has(f, &image));
}

/* A lock that was swept while somebody waited for it is not had. */
static void test_swept_lock(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	int first = cache_lock(&f->cache, "build.0", 0, &err), status = 0;
	pid_t pid;

	assert_true(first >= 0);
	pid = fork();
	if (!pid) {
		/* Or it would go on holding what its parent holds. */
		int rc = close(first);
		int fd = rc ? -1 : cache_lock(&f->cache, "build.0", 5000, &err);
		struct stat st, now;

		if (fd < 0 || fstat(fd, &st) ||
		    fstatat(f->cache.fd, "locks/build.0", &now, 0))
			_exit(1);
		_exit(st.st_ino == now.st_ino && st.st_nlink == 1 ? 0 : 2);
	}
	usleep(100000);
	assert_int_equal(unlinkat(f->cache.fd, "locks/build.0", 0), 0);
	close(first);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_gc_evict(void **state)
{
	struct fixture *f = *state;
	struct digest image = make_image(f, "image");
	const struct gc gc = { .settings = &f->settings, .cache = &f->cache };
	struct gc_result result;
	struct err err = ERR_INIT;

	set_blobs_age(f, DAY);
	set_image_age(f, "image", &image, DAY);
	f->settings.cache_size = 1 << 30;
	assert_int_equal(gc_evict(&gc, &result, &err), 0);
	assert_int_equal(result.evicted, 0);
	f->settings.cache_size = 1;
	assert_int_equal(gc_evict(&gc, &result, &err), 0);
	assert_int_equal(result.evicted, 1);
	assert_true(result.after < result.before);
	assert_false(has(f, &image));
}

static void test_steadiness(void **state)
{
	struct fixture *f = *state;
	autostrbuf text = STRBUF_INIT, other = STRBUF_INIT;
	struct err err = ERR_INIT;
	bool is_steady = false;
	char *real;

	assert_int_equal(steadiness_look(&f->cache, &is_steady, &err), 0);
	assert_true(is_steady);
	assert_int_equal(steadiness_look(&f->cache, &is_steady, &err), 0);
	assert_true(is_steady);
	assert_int_equal(
		cachefile_read(f->cache.fd, "clock", 4096, &text, &err), 0);
	real = strchr(text.buf, '\n');
	strbuf_addf(&other, "real %jd%s", (intmax_t)time(NULL) + DAY, real);
	assert_int_equal(cachefile_replace(f->cache.fd, "./clock", other.buf,
					   other.len, CACHEFILE_NO_SYNC, &err),
			 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(steadiness_look(&f->cache, &is_steady, &err),
				 0);
		assert_false(is_steady);
	}
}

static void test_future(void **state)
{
	struct fixture *f = *state;
	struct digest image = make_image(f, "image");
	char path[CACHE_BLOB_FILE_SIZE];
	struct stat st;

	set_blobs_age(f, -100 * DAY);
	set_image_age(f, "image", &image, -100 * DAY);
	collect(f, 1, false);
	assert_true(has(f, &image));
	assert_int_equal(
		fstatat(f->cache.fd, cache_blob_file(&image, path), &st, 0), 0);
	assert_true(labs(time(NULL) - st.st_mtime) < 60);
}

static void on_bad(void *arg, const struct digest *digest, const char *why)
{
	struct fixture *f = arg;

	(void)digest;
	(void)why;
	f->bad++;
}

static void test_verify(void **state)
{
	struct fixture *f = *state;
	const struct verify verify = { .settings = &f->settings,
				       .cache = &f->cache,
				       .bad = on_bad,
				       .arg = f };
	struct digest a = make_image(f, "a"), b = make_image(f, "b"), layer;
	char path[CACHE_BLOB_FILE_SIZE], hex[DIGEST_HEX_SIZE];
	autofree char *full = NULL, *aside = NULL;
	struct verify_result result;
	struct err err = ERR_INIT;

	assert_int_equal(verify_run(&verify, &result, &err), 0);
	assert_int_equal(result.blobs, 7);
	assert_int_equal(result.bad, 0);
	digest_of("layer of a", 10, &layer);
	full = xasprintf("%s/%s", f->dir, cache_blob_file(&layer, path));
	aside = xasprintf("%s/bad/%s", f->dir, digest_hex(&layer, hex));
	chmod(full, 0644);
	scratch_write(full, "layer of A", 10);
	assert_int_equal(verify_run(&verify, &result, &err), 0);
	assert_int_equal(result.bad, 1);
	assert_int_equal(result.images, 1);
	assert_int_equal(result.unrepaired, 1);
	assert_int_equal(f->bad, 1);
	assert_false(has(f, &layer));
	assert_false(has(f, &a));
	assert_true(has(f, &b));
	assert_int_equal(access(aside, F_OK), 0);
	assert_int_equal(verify_run(&verify, &result, &err), 0);
	assert_int_equal(result.bad, 0);
}

static void test_refresh(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	autocache again = CACHE_INIT;
	struct digest digest;

	assert_int_equal(cache_refresh(&f->cache, &err), 0);
	scratch_remove(xstrdup(f->dir));
	assert_int_equal(cache_refresh(&f->cache, &err), 0);
	assert_int_equal(cache_open(&again, f->dir, CACHE_WRITE, &err), 0);
	assert_int_equal(cache_put_blob(&again, "abc", 3, &digest, &err), 0);
	assert_false(has(f, &digest));
	assert_int_equal(cache_refresh(&f->cache, &err), 0);
	assert_true(has(f, &digest));
}

/* What gc finds of each kind that it sweeps, two days old. */
static void make_garbage(struct fixture *f)
{
	const char *const files[] = { "tmp/x/y",    "tmp/z",   "bad/x",
				      "git/x.refs", "locks/x", "roots/x" };
	struct digest old = make_image(f, "old");
	struct layer layer = { .blob.media_type = MEDIA_LAYER };
	char hex[DIGEST_HEX_SIZE], record[CACHE_RECORD_PATH_SIZE];
	const struct repository_name name = name_of("old");
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
	put(f, "a blob that nothing needs", &key);
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
	struct fixture *f = arg;
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
		{ "getdents64", { SCMP_SYS(getdents64), EIO, 0, 0, 0 }, false },
		{ "stat", { SCMP_SYS(newfstatat), EIO, 0, 0, 0 }, false },
		{ "read", { SCMP_SYS(read), EIO, 0, 0, 0 }, true },
		{ "unlinkat", { SCMP_SYS(unlinkat), EROFS, 0, 0, 0 }, false },
		{ "flock", { SCMP_SYS(flock), ENOLCK, 0, 0, 0 }, false },
		{ "renameat", { SCMP_SYS(renameat), ENOSPC, 0, 0, 0 }, true },
		{ "utimensat", { SCMP_SYS(utimensat), EROFS, 0, 0, 0 }, true },
	};
	const struct repository_name name = name_of("live");

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture *f;
		struct digest live, layer;
		int rc;

		setup((void **)&f);
		f->settings.cache_size = 1 << 30;
		live = make_image(f, "live");
		digest_of("layer of live", 13, &layer);
		make_garbage(f);
		set_blobs_age(f, DAY);
		set_image_age(f, "live", &live, DAY);
		rc = broken_run(&cases[i].broken, run_gc, f);
		check(cases[i].name, rc == -1 || (!rc && cases[i].unnoticed));
		/* What cannot be read cannot be served; it is made again. */
		if (cases[i].broken.call != SCMP_SYS(read))
			check(cases[i].name, has(f, &live) && has(f, &layer));
		check(cases[i].name, cache_has_record(&f->cache, &name, &live));
		check(cases[i].name, !run_gc(f));
		digest_of("a blob that nothing needs", 25, &layer);
		check(cases[i].name, !has(f, &layer));
		check(cases[i].name,
		      faccessat(f->cache.fd, "tmp/x", F_OK, 0) &&
			      faccessat(f->cache.fd, "bad/x", F_OK, 0));
		teardown((void **)&f);
	}
}

static int run_verify(void *arg)
{
	struct fixture *f = arg;
	const struct verify verify = { .settings = &f->settings,
				       .cache = &f->cache,
				       .rate = 1 << 30,
				       .bad = on_bad,
				       .arg = f };
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
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autofree char *full = NULL;
		char path[CACHE_BLOB_FILE_SIZE];
		struct digest layer;
		struct fixture *f;

		setup((void **)&f);
		make_image(f, "a");
		digest_of("layer of a", 10, &layer);
		full = xasprintf("%s/%s", f->dir,
				 cache_blob_file(&layer, path));
		chmod(full, 0644);
		scratch_write(full, "layer of A", 10);
		check(cases[i].name,
		      broken_run(&cases[i].broken, run_verify, f) == -1);
		check(cases[i].name, f->bad == 0);
		check(cases[i].name, run_verify(f) == 1);
		check(cases[i].name, !has(f, &layer));
		teardown((void **)&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_inventory, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leased, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_records, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sweep, setup, teardown),
		cmocka_unit_test_setup_teardown(test_swept_lock, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_gc_evict, setup, teardown),
		cmocka_unit_test_setup_teardown(test_steadiness, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_future, setup, teardown),
		cmocka_unit_test_setup_teardown(test_verify, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refresh, setup, teardown),
	};
	const struct CMUnitTest faults[] = {
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_verify_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) +
	       (broken_works() ? cmocka_run_group_tests(faults, NULL, NULL)
			       : 0);
}
