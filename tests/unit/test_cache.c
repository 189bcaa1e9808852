// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cache.h"
#include "common/cachefile.h"
#include "tests/unit/cachefixture.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

static struct tag tag_of(const char *s)
{
	struct tag tag;
	struct err err;

	assert_int_equal(tag_parse(&tag, s, strlen(s), &err), 0);
	return tag;
}

/*
 * Another process may have our number: that of a container over the same
 * cache. What it has in tmp/ is not ours.
 */
static void test_tmp_is_shared(void **state)
{
	struct cachefixture *f = *state;
	struct err err = ERR_INIT;

	for (int i = 0; i < 100; i++) {
		autofree char *name =
			xasprintf("tmp/%ld.%d", (long)getpid(), i);
		int fd = openat(f->cache.fd, name, O_CREAT | O_WRONLY, 0644);

		assert_true(fd >= 0);
		close(fd);
	}
	assert_int_equal(cachefile_replace(f->cache.fd, "builds/x", "x", 1,
					   CACHEFILE_NO_SYNC, &err),
			 0);
	for (int i = 0; i < 100; i++) {
		autofree char *name =
			xasprintf("tmp/%ld.%d", (long)getpid(), i);

		assert_int_equal(faccessat(f->cache.fd, name, F_OK, 0), 0);
	}
}

static void test_tmp_names(void **state)
{
	autofree char *a = cachefile_tmp_name("home.");
	autofree char *b = cachefile_tmp_name("home.");

	assert_int_equal(strncmp(a, "tmp/home.", 9), 0);
	assert_int_equal(strlen(a), 9 + 16);
	assert_string_not_equal(a, b);
}

static void test_blob(void **state)
{
	struct cachefixture *f = *state;
	struct err err = ERR_INIT;
	struct digest d, again;
	autostrbuf back = STRBUF_INIT;
	autofree char *path = NULL;
	char blob[CACHE_BLOB_PATH_SIZE];
	struct stat st;
	uint64_t size;
	autoclose int fd = -1;

	assert_int_equal(cache_put_blob(&f->cache, "abc", 3, &d, &err), 0);
	assert_int_equal(cache_put_blob(&f->cache, "abc", 3, &again, &err), 0);
	assert_true(digest_equal(&d, &again));
	assert_true(cache_has_blob(&f->cache, &d, &size));
	assert_int_equal(size, 3);
	fd = cache_open_blob(&f->cache, &d, &size, &err);
	assert_true(fd >= 0);
	assert_int_equal(strbuf_read(&back, fd, 10, "blob", &err), 0);
	assert_string_equal(back.buf, "abc");
	path = xasprintf("%s/blobs/%s", f->dir, cache_blob_path(&d, blob));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0444);
	digest_of("other", 5, &d);
	assert_false(cache_has_blob(&f->cache, &d, NULL));
	assert_int_equal(cache_open_blob(&f->cache, &d, &size, &err), -1);
	assert_int_equal(err.code, ERR_UNKNOWN);
}

static void test_abandoned_blob(void **state)
{
	struct cachefixture *f = *state;
	struct err err = ERR_INIT;
	struct digest d;

	digest_of("abc", 3, &d);
	{
		autoblob writer = BLOB_WRITER_INIT;

		assert_int_equal(blob_begin(&writer, &f->cache, &err), 0);
		assert_int_equal(blob_write(&writer, "abc", 3, &err), 0);
		assert_int_equal(writer.size, 3);
	}
	assert_false(cache_has_blob(&f->cache, &d, NULL));
}

static void test_symlink_is_no_blob(void **state)
{
	struct cachefixture *f = *state;
	struct err err = ERR_INIT;
	struct digest d, other;
	char blob[CACHE_BLOB_PATH_SIZE], target[CACHE_BLOB_PATH_SIZE];
	autofree char *path = NULL, *link = NULL;

	assert_int_equal(cache_put_blob(&f->cache, "abc", 3, &d, &err), 0);
	memset(&other, 0, sizeof(other));
	path = xasprintf("%s/blobs/sha256/00", f->dir);
	assert_int_equal(mkdir(path, 0755), 0);
	link = xasprintf("%s/blobs/%s", f->dir, cache_blob_path(&other, blob));
	cache_blob_path(&d, target);
	assert_int_equal(symlink("/etc/passwd", link), 0);
	assert_false(cache_has_blob(&f->cache, &other, NULL));
	assert_int_equal(cache_open_blob(&f->cache, &other, NULL, &err), -1);
}

static void test_layer(void **state)
{
	struct cachefixture *f = *state;
	struct err err = ERR_INIT;
	struct layer layer = { .tar_size = 10240 }, back;
	char hex[DIGEST_HEX_SIZE];
	autofree char *path = NULL;

	digest_of("key", 3, &layer.key);
	digest_of("diff", 4, &layer.diff_id);
	layer.blob.media_type = MEDIA_LAYER_GZIP;
	digest_of("blob", 4, &layer.blob.digest);
	layer.blob.size = 77;
	assert_int_equal(cache_get_layer(&f->cache, &layer.key, &back, &err),
			 -1);
	assert_int_equal(err.code, ERR_UNKNOWN);
	assert_int_equal(cache_put_layer(&f->cache, &layer, &err), 0);
	assert_int_equal(cache_get_layer(&f->cache, &layer.key, &back, &err),
			 0);
	assert_true(digest_equal(&back.diff_id, &layer.diff_id));
	assert_true(digest_equal(&back.blob.digest, &layer.blob.digest));
	assert_int_equal(back.blob.size, 77);
	assert_int_equal(back.tar_size, 10240);
	assert_int_equal(back.blob.media_type, MEDIA_LAYER_GZIP);

	/* What power loss leaves of a file that was not synced. */
	digest_hex(&layer.key, hex);
	path = xasprintf("%s/layers/%.2s/%s", f->dir, hex, hex);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(cache_get_layer(&f->cache, &layer.key, &back, &err),
			 -1);
	assert_int_equal(err.code, ERR_UNKNOWN);
	assert_int_equal(cache_put_layer(&f->cache, &layer, &err), 0);
	assert_int_equal(cache_get_layer(&f->cache, &layer.key, &back, &err),
			 0);
}

static struct image_head head_of(const char *seed)
{
	struct image_head head = { .manifest.media_type = MEDIA_MANIFEST };

	digest_of(seed, strlen(seed), &head.manifest.digest);
	head.manifest.size = 5;
	digest_of("flake", 5, &head.flake);
	digest_of("identity", 8, &head.identity);
	return head;
}

static int count(const struct repository_name *name, void *arg)
{
	strbuf_addf(arg, "%s ", name->text);
	return 0;
}

static void test_images(void **state)
{
	struct cachefixture *f = *state;
	struct err err = ERR_INIT;
	struct repository_name web = repository_of("team/web"),
			       other = repository_of("a");
	struct tag latest = tag_of("latest");
	struct image_head head = head_of("m"), head_back;
	struct tag_record tag = { .image = head, .resolved = 1234 }, tag_back;
	struct blob_link link = { .manifest = head.manifest.digest,
				  .flake = head.flake },
			 link_back;
	struct digest manifest;
	autostrbuf body = STRBUF_INIT, names = STRBUF_INIT;

	assert_int_equal(
		cache_get_tag(&f->cache, &web, &latest, &tag_back, &err), -1);
	assert_int_equal(err.code, ERR_UNKNOWN);
	assert_int_equal(
		cache_put_record(&f->cache, &web, &head, "{}\n", 3, &err), 0);
	assert_int_equal(cache_get_record(&f->cache, &web,
					  &head.manifest.digest, &head_back,
					  &body, &err),
			 0);
	assert_string_equal(body.buf, "{}\n");
	assert_true(digest_equal(&head_back.identity, &head.identity));
	assert_int_equal(cache_get_record(&f->cache, &other,
					  &head.manifest.digest, &head_back,
					  NULL, &err),
			 -1);
	assert_int_equal(err.code, ERR_UNKNOWN);

	snprintf(tag.revision, sizeof(tag.revision), "%040d", 7);
	assert_int_equal(cache_put_tag(&f->cache, &web, &latest, &tag, &err),
			 0);
	assert_int_equal(
		cache_get_tag(&f->cache, &web, &latest, &tag_back, &err), 0);
	assert_int_equal(tag_back.resolved, 1234);
	assert_string_equal(tag_back.revision, tag.revision);

	link.blob.media_type = MEDIA_CONFIG;
	digest_of("c", 1, &link.blob.digest);
	assert_int_equal(cache_put_link(&f->cache, &web, &link, &err), 0);
	assert_int_equal(cache_get_link(&f->cache, &web, &link.blob.digest,
					&link_back, &err),
			 0);
	assert_true(digest_equal(&link_back.manifest, &link.manifest));
	/* Another repository's blob is unknown here. */
	assert_int_equal(cache_get_link(&f->cache, &other, &link.blob.digest,
					&link_back, &err),
			 -1);

	assert_int_equal(cache_put_identity(&f->cache, &web, &head.identity,
					    &head.manifest.digest, &err),
			 0);
	assert_int_equal(cache_get_identity(&f->cache, &web, &head.identity,
					    &manifest, &err),
			 0);
	assert_true(digest_equal(&manifest, &head.manifest.digest));
	assert_int_equal(cache_each_repository(&f->cache, count, &names, &err),
			 0);
	assert_string_equal(names.buf, "team/web ");
}

/* Until the file is old enough to be remembered, and is. */
static void wait_for_memo(struct cachefixture *f,
			  const struct repository_name *name,
			  const struct tag *tag, const char *path)
{
	const struct timespec pause = { .tv_nsec = 100000000 };
	struct tag_record record;
	struct stat st;
	bool is_known;

	do {
		autostrbuf text = STRBUF_INIT;
		struct err err = ERR_INIT;

		nanosleep(&pause, NULL);
		assert_int_equal(
			cache_get_tag(&f->cache, name, tag, &record, &err), 0);
		assert_int_equal(fstatat(f->cache.fd, path, &st, 0), 0);
		is_known = memo_get(f->cache.memo, path, &st, &text);
		assert_true(!is_known || text.len == (size_t)st.st_size);
	} while (!is_known);
}

/* What is remembered of a file is never answered for another. */
static void test_memo(void **state)
{
	static const char path[] = "repositories/web/_tags/latest";
	struct cachefixture *f = *state;
	struct err err = ERR_INIT;
	struct repository_name web = repository_of("web");
	struct tag latest = tag_of("latest");
	struct tag_record tag = { .image = head_of("m"), .resolved = 1 }, back;

	f->cache.memo = memo_new(1 << 16);
	assert_int_equal(cache_put_tag(&f->cache, &web, &latest, &tag, &err),
			 0);
	wait_for_memo(f, &web, &latest, path);
	tag.resolved = 2;
	assert_int_equal(cache_put_tag(&f->cache, &web, &latest, &tag, &err),
			 0);
	assert_int_equal(cache_get_tag(&f->cache, &web, &latest, &back, &err),
			 0);
	assert_int_equal(back.resolved, 2);
	assert_int_equal(unlinkat(f->cache.fd, path, 0), 0);
	assert_int_equal(cache_get_tag(&f->cache, &web, &latest, &back, &err),
			 -1);
	assert_int_equal(err.code, ERR_UNKNOWN);
	assert_int_equal(symlinkat("/etc/passwd", f->cache.fd, path), 0);
	err = (struct err)ERR_INIT;
	assert_int_equal(cache_get_tag(&f->cache, &web, &latest, &back, &err),
			 -1);
	assert_int_equal(err.code, ERR_SYSTEM);
	memo_free(f->cache.memo);
}

static void test_record_is_touched_when_read(void **state)
{
	struct cachefixture *f = *state;
	struct err err = ERR_INIT;
	struct repository_name web = repository_of("web");
	struct image_head head = head_of("m");
	const struct timespec old[2] = { { .tv_sec = 1000 },
					 { .tv_sec = 1000 } };
	char hex[DIGEST_HEX_SIZE];
	autofree char *path = NULL;
	struct stat st;

	assert_int_equal(cache_put_record(&f->cache, &web, &head, "", 0, &err),
			 0);
	path = xasprintf("%s/repositories/web/_manifests/%s", f->dir,
			 digest_hex(&head.manifest.digest, hex));
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	assert_int_equal(cache_get_record(&f->cache, &web,
					  &head.manifest.digest, &head, NULL,
					  &err),
			 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true(time(NULL) - st.st_mtime < 60);
}

static void test_failure(void **state)
{
	struct cachefixture *f = *state;
	struct err err = ERR_INIT;
	struct repository_name web = repository_of("web");
	struct reference ref = { .tag = tag_of("latest") };
	struct failure failure = { .when = 99 }, back;
	struct digest key;

	build_key(&web, &ref, &key);
	err_set(&failure.err, ERR_NIX, "two\nlines");
	assert_int_equal(cache_get_failure(&f->cache, &key, &back, &err), -1);
	assert_int_equal(err.code, ERR_UNKNOWN);
	assert_int_equal(cache_put_failure(&f->cache, &key, &failure, &err), 0);
	assert_int_equal(cache_get_failure(&f->cache, &key, &back, &err), 0);
	assert_int_equal(back.when, 99);
	assert_int_equal(back.err.code, ERR_NIX);
	assert_string_equal(back.err.msg, "two\nlines");
	assert_int_equal(cache_clear_failure(&f->cache, &key, &err), 0);
	assert_int_equal(cache_clear_failure(&f->cache, &key, &err), 0);
	assert_int_equal(cache_get_failure(&f->cache, &key, &back, &err), -1);
}

static void test_lock(void **state)
{
	struct cachefixture *f = *state;
	struct err err = ERR_INIT;
	int fd = cache_lock(&f->cache, "layer.abc", -1, &err);

	assert_true(fd >= 0);
	assert_int_equal(cache_lock(&f->cache, "layer.abc", 0, &err), -1);
	assert_int_equal(err.code, ERR_BUSY);
	assert_int_equal(cache_lock(&f->cache, "layer.abc", 50, &err), -1);
	assert_int_equal(err.code, ERR_BUSY);
	close(fd);
	fd = cache_lock(&f->cache, "layer.abc", 0, &err);
	assert_true(fd >= 0);
	close(fd);
}

static void put_version(const struct cachefixture *f, const char *text)
{
	struct err err;

	assert_int_equal(cachefile_replace(f->cache.fd, "./version", text,
					   strlen(text), CACHEFILE_SYNC, &err),
			 0);
}

static void test_version(void **state)
{
	struct cachefixture *f = *state;
	struct err err = ERR_INIT;
	struct cache again;

	put_version(f, "2\n");
	assert_int_equal(cache_open(&again, f->dir, CACHE_WRITE, &err), -1);
	assert_int_equal(err.code, ERR_REFUSED);
	assert_non_null(strstr(err.msg, "layout 2"));
	put_version(f, "what\n");
	assert_int_equal(cache_open(&again, f->dir, CACHE_READ, &err), -1);
	assert_int_equal(err.code, ERR_MALFORMED);
	put_version(f, "1\n");
	assert_int_equal(cache_open(&again, f->dir, CACHE_READ, &err), 0);
	cache_release(&again);
	assert_int_equal(cache_open(&again, "relative", CACHE_READ, &err), -1);
	assert_int_equal(err.code, ERR_MALFORMED);
	assert_int_equal(cache_open(&again, "/nonexistent/x", CACHE_READ, &err),
			 -1);
	assert_int_equal(err.code, ERR_SYSTEM);
}

static void test_other_owner(void **state)
{
	struct cachefixture *f = *state;
	struct err err = ERR_INIT;
	struct cache again;

	if (geteuid()) {
		/* Only root can give a folder away. */
		assert_int_equal(cache_open(&again, "/", CACHE_WRITE, &err),
				 -1);
		assert_int_equal(err.code, ERR_REFUSED);
		return;
	}
	assert_int_equal(chown(f->dir, 12345, 12345), 0);
	assert_int_equal(cache_open(&again, f->dir, CACHE_WRITE, &err), -1);
	assert_int_equal(err.code, ERR_REFUSED);
	assert_non_null(strstr(err.msg, "belongs to user 12345"));
	assert_int_equal(cache_open(&again, f->dir, CACHE_READ, &err), 0);
	cache_release(&again);
}

/* A lock that was swept while somebody waited for it is not had. */
static void test_swept_lock(void **state)
{
	struct cachefixture *f = *state;
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

static void test_refresh(void **state)
{
	struct cachefixture *f = *state;
	struct err err = ERR_INIT;
	autocache again = CACHE_INIT;
	struct digest digest;

	assert_int_equal(cache_refresh(&f->cache, &err), 0);
	scratch_remove(xstrdup(f->dir));
	assert_int_equal(cache_refresh(&f->cache, &err), 0);
	assert_int_equal(cache_open(&again, f->dir, CACHE_WRITE, &err), 0);
	assert_int_equal(cache_put_blob(&again, "abc", 3, &digest, &err), 0);
	assert_false(has_blob(f, &digest));
	assert_int_equal(cache_refresh(&f->cache, &err), 0);
	assert_true(has_blob(f, &digest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CACHE_TEST(test_blob),
		CACHE_TEST(test_tmp_is_shared),
		CACHE_TEST(test_tmp_names),
		CACHE_TEST(test_abandoned_blob),
		CACHE_TEST(test_symlink_is_no_blob),
		CACHE_TEST(test_layer),
		CACHE_TEST(test_images),
		CACHE_TEST(test_memo),
		CACHE_TEST(test_record_is_touched_when_read),
		CACHE_TEST(test_failure),
		CACHE_TEST(test_lock),
		CACHE_TEST(test_swept_lock),
		CACHE_TEST(test_refresh),
		CACHE_TEST(test_version),
		CACHE_TEST(test_other_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
