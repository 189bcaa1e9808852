// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/gc.h"
#include "common/lease.h"
#include "tests/unit/cachefixture.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

/* What gc told of. */
static size_t gone[GC_KINDS];

static void count(void *arg, enum gc_kind kind, const char *name,
		  uint64_t bytes)
{
	(void)arg;
	(void)name;
	(void)bytes;
	gone[kind]++;
}

static struct gc_result collect(struct cachefixture *f, int64_t size,
				bool dry_run)
{
	const struct gc gc = { .settings = &f->settings,
			       .cache = &f->cache,
			       .dry_run = dry_run,
			       .gone = count };
	struct gc_result result;
	struct err err = ERR_INIT;

	f->settings.cache_size = size;
	memset(gone, 0, sizeof(gone));
	if (gc_run(&gc, &result, &err))
		fail_msg("%s", err.msg);
	return result;
}

static void test_order(void **state)
{
	struct cachefixture *f = *state;
	struct digest old = put_image(f, "old"), young = put_image(f, "young");
	struct digest shared, used = put_image(f, "used");
	struct gc_result before;

	digest_of(SHARED_LAYER, strlen(SHARED_LAYER), &shared);
	set_blobs_age(f, DAY);
	set_image_age(f, "old", &old, 3 * DAY);
	set_image_age(f, "young", &young, 2 * DAY);
	before = collect(f, 1 << 30, false);
	assert_int_equal(before.evicted, 0);
	/* One byte too much is one image. */
	assert_int_equal(collect(f, (int64_t)before.after - 1, true).evicted,
			 1);
	assert_true(has_blob(f, &old));
	assert_int_equal(collect(f, (int64_t)before.after - 1, false).evicted,
			 1);
	assert_false(has_blob(f, &old));
	assert_int_equal(gone[GC_IMAGE], 1);
	assert_int_equal(gone[GC_BLOB], 2);
	assert_int_equal(gone[GC_RECORD], 0);
	/* What was used lately stays, whatever the size. */
	collect(f, 1, false);
	assert_false(has_blob(f, &young));
	assert_true(has_blob(f, &used));
	assert_true(has_blob(f, &shared));
	set_blobs_age(f, DAY);
	set_image_age(f, "used", &used, DAY);
	collect(f, 1, false);
	assert_false(has_blob(f, &used));
	assert_false(has_blob(f, &shared));
}

static void test_leased(void **state)
{
	struct cachefixture *f = *state;
	struct digest image = put_image(f, "image");
	const struct repository_name name = repository_of("image");
	struct image_head head;
	struct err err = ERR_INIT;

	set_blobs_age(f, DAY);
	set_image_age(f, "image", &image, DAY);
	/* To read a record is to use it; to peek is not. */
	assert_int_equal(
		cache_get_record(&f->cache, &name, &image, &head, NULL, &err),
		0);
	collect(f, 1, false);
	assert_true(has_blob(f, &image));
	set_image_age(f, "image", &image, DAY);
	assert_int_equal(
		cache_peek_record(&f->cache, &name, &image, &head, NULL, &err),
		0);
	/* So is finding the blob. */
	assert_true(cache_use_blob(&f->cache, &image, NULL));
	collect(f, 1, false);
	assert_true(has_blob(f, &image));
	set_blobs_age(f, DAY);
	collect(f, 1, false);
	assert_false(has_blob(f, &image));
	assert_false(cache_use_blob(&f->cache, &image, NULL));
}

static void test_broken(void **state)
{
	struct cachefixture *f = *state;
	struct digest image = put_image(f, "image"), layer;
	char path[CACHE_BLOB_FILE_SIZE];

	set_blobs_age(f, DAY);
	set_image_age(f, "image", &image, DAY);
	digest_of("layer of image", 14, &layer);
	assert_int_equal(
		unlinkat(f->cache.fd, cache_blob_file(&layer, path), 0), 0);
	collect(f, 1 << 30, false);
	assert_false(has_blob(f, &image));
}

static void test_records(void **state)
{
	struct cachefixture *f = *state;
	struct digest old = put_image(f, "old"), young = put_image(f, "young");
	const struct repository_name name = repository_of("old");
	const struct tag latest = { .text = "latest" };
	struct tag_record tag;
	struct err err = ERR_INIT;

	set_blobs_age(f, 100 * DAY);
	set_image_age(f, "old", &old, 91 * DAY);
	set_image_age(f, "young", &young, 89 * DAY);
	collect(f, 1 << 30, true);
	assert_int_equal(gone[GC_RECORD], 1);
	assert_int_equal(gone[GC_LINK], 3);
	assert_true(cache_has_record(&f->cache, &name, &old));
	collect(f, 1 << 30, false);
	assert_int_equal(gone[GC_IMAGE], 1);
	assert_int_equal(gone[GC_RECORD], 1);
	assert_int_equal(gone[GC_TAG], 1);
	assert_int_equal(gone[GC_LINK], 3);
	assert_false(cache_has_record(&f->cache, &name, &old));
	assert_int_equal(cache_get_tag(&f->cache, &name, &latest, &tag, &err),
			 -1);
	assert_true(has_blob(f, &young));
}

static void test_sweep(void **state)
{
	struct cachefixture *f = *state;
	struct layer layer = { .blob.media_type = MEDIA_LAYER };
	struct digest key, image;
	char hex[DIGEST_HEX_SIZE];
	autofree char *entry = NULL, *log = NULL, *folder = NULL, *root = NULL;
	struct stat st;
	struct err err = ERR_INIT;
	int fd;

	image = put_image(f, "image");
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
		assert_int_equal(gone[GC_LAYER], 1);
		assert_int_equal(gone[GC_ROOT] + gone[GC_BUILD], 0);
		assert_int_not_equal(fstatat(f->cache.fd, entry, &st, 0), 0);
		assert_int_equal(fstatat(f->cache.fd, log, &st, 0), 0);
	}
	collect(f, 1 << 30, false);
	assert_int_equal(gone[GC_ROOT], 1);
	assert_int_equal(gone[GC_BUILD], 1);
	assert_int_not_equal(fstatat(f->cache.fd, folder, &st, 0), 0);
	assert_true(has_blob(f, &image));
}

/* A first build that ended between its record and its tag. */
static void test_no_tags(void **state)
{
	struct cachefixture *f = *state;
	const struct repository_name name = repository_of("image");
	struct image_head head = { .manifest.media_type = MEDIA_MANIFEST };
	struct err err = ERR_INIT;

	digest_of("manifest", 8, &head.manifest.digest);
	assert_int_equal(
		cache_put_record(&f->cache, &name, &head, "{}", 2, &err), 0);
	collect(f, 1, false);
}

/* Folders where a tag and a record should be, one empty and one not. */
static void test_folder_in_the_way(void **state)
{
	struct cachefixture *f = *state;
	const char *const tag = "repositories/image/_tags/latest";
	const struct repository_name name = repository_of("image");
	const struct tag latest = tag_of("latest");
	char record[CACHE_RECORD_PATH_SIZE];
	struct digest image = put_image(f, "image");
	autofree char *inside = NULL;
	struct tag_record found;
	struct image_head head;
	struct stat st;
	struct err err = ERR_INIT;

	cache_record_path(record, &name, &image);
	inside = xasprintf("%s/inside", record);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(unlinkat(f->cache.fd, tag, 0), 0);
		assert_int_equal(unlinkat(f->cache.fd, record, 0), 0);
		assert_int_equal(mkdirat(f->cache.fd, tag, 0755), 0);
		assert_int_equal(mkdirat(f->cache.fd, record, 0755), 0);
		assert_int_equal(mkdirat(f->cache.fd, inside, 0755), 0);
		assert_int_equal(
			cache_get_tag(&f->cache, &name, &latest, &found, &err),
			-1);
		assert_int_equal(err.code, ERR_UNKNOWN);
		assert_int_equal(cache_get_record(&f->cache, &name, &image,
						  &head, NULL, &err),
				 -1);
		assert_int_equal(err.code, ERR_MALFORMED);
		if (i) {
			set_age(f, tag, 100 * DAY);
			set_age(f, record, 100 * DAY);
			collect(f, 1 << 30, false);
			assert_int_equal(gone[GC_TAG] + gone[GC_RECORD], 2);
		}
		put_image(f, "image");
		assert_int_equal(
			cache_get_tag(&f->cache, &name, &latest, &found, &err),
			0);
		assert_int_equal(cache_get_record(&f->cache, &name, &image,
						  &head, NULL, &err),
				 0);
	}
	assert_int_equal(fstatat(f->cache.fd, "bad", &st, 0), 0);
}

/* Put the entry of an image's own layer. */
static void put_layer(struct cachefixture *f, const char *repository)
{
	autofree char *text = xasprintf("layer of %s", repository);
	struct layer layer = { .blob.media_type = MEDIA_LAYER };
	char hex[DIGEST_HEX_SIZE];
	autofree char *path = NULL;
	struct err err = ERR_INIT;

	digest_of(text, strlen(text), &layer.blob.digest);
	layer.key = layer.diff_id = layer.blob.digest;
	assert_int_equal(cache_put_layer(&f->cache, &layer, &err), 0);
	digest_hex(&layer.key, hex);
	path = xasprintf("layers/%.2s/%s", hex, hex);
	set_age(f, path, DAY);
}

/* Put the root and the log of the build of REPOSITORY:latest. */
static void put_build(struct cachefixture *f, const char *repository)
{
	const struct reference latest = { .tag = tag_of("latest") };
	const struct repository_name name = repository_of(repository);
	char hex[DIGEST_HEX_SIZE];
	autofree char *root = NULL, *log = NULL, *folder = NULL;
	struct err err = ERR_INIT;
	struct digest key;
	int fd;

	build_key(&name, &latest, &key);
	digest_hex(&key, hex);
	root = xasprintf("roots/tag.%s.x86_64-linux", hex);
	folder = xasprintf("builds/%s", hex);
	log = xasprintf("%s/log", folder);
	assert_int_equal(symlinkat("/nix/store/x", f->cache.fd, root), 0);
	fd = cache_create_log(&f->cache, &key, &err);
	assert_true(fd >= 0);
	close(fd);
	set_age(f, log, 2 * DAY);
	set_age(f, folder, 2 * DAY);
}

/* What the real run tells of and leaves is what the dry run did before. */
static void test_dry_run(void **state)
{
	static const struct {
		const char *repository;
		int64_t age_s;
	} images[] = {
		{ "forgotten", 100 * DAY },
		{ "evicted", 2 * DAY },
		{ "leased", 60 },
	};
	const struct repository_name other = repository_of("other");
	struct image_head head = { .manifest.media_type = MEDIA_MANIFEST };
	struct cachefixture *f = *state;
	struct gc_result dry, real;
	struct err err = ERR_INIT;
	size_t told[GC_KINDS];

	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		head.manifest.digest = put_image(f, images[i].repository);
		put_layer(f, images[i].repository);
		put_build(f, images[i].repository);
		set_image_age(f, images[i].repository, &head.manifest.digest,
			      images[i].age_s);
	}
	/* One whose own record is too old, while another has its manifest. */
	head.manifest.digest = put_image(f, "shared");
	put_build(f, "shared");
	set_image_age(f, "shared", &head.manifest.digest, 100 * DAY);
	assert_int_equal(
		cache_put_record(&f->cache, &other, &head, "{}", 2, &err), 0);
	set_blobs_age(f, DAY);
	dry = collect(f, 1, true);
	memcpy(told, gone, sizeof(told));
	real = collect(f, 1, false);
	assert_memory_equal(told, gone, sizeof(told));
	assert_int_equal(dry.evicted, real.evicted);
	assert_int_equal(dry.before, real.before);
	assert_int_equal(dry.after, real.after);
	assert_int_equal(gone[GC_IMAGE], 2);
	assert_int_equal(gone[GC_RECORD], 2);
	assert_int_equal(gone[GC_LAYER], 2);
	assert_int_equal(gone[GC_ROOT], 3);
	assert_int_equal(gone[GC_BUILD], 2);
}

static void test_gc_evict(void **state)
{
	struct cachefixture *f = *state;
	struct digest image = put_image(f, "image");
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
	assert_false(has_blob(f, &image));
}

static void test_future(void **state)
{
	struct cachefixture *f = *state;
	struct digest image = put_image(f, "image");
	char path[CACHE_BLOB_FILE_SIZE];
	struct stat st;

	set_blobs_age(f, -100 * DAY);
	set_image_age(f, "image", &image, -100 * DAY);
	collect(f, 1, false);
	assert_true(has_blob(f, &image));
	assert_int_equal(
		fstatat(f->cache.fd, cache_blob_file(&image, path), &st, 0), 0);
	assert_true(labs(time(NULL) - st.st_mtime) < 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CACHE_TEST(test_order),
		CACHE_TEST(test_leased),
		CACHE_TEST(test_broken),
		CACHE_TEST(test_records),
		CACHE_TEST(test_sweep),
		CACHE_TEST(test_gc_evict),
		CACHE_TEST(test_future),
		CACHE_TEST(test_no_tags),
		CACHE_TEST(test_folder_in_the_way),
		CACHE_TEST(test_dry_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
