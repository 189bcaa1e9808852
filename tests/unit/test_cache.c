// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cache.h"
#include "common/cachefile.h"
#include "tests/unit/cachefixture.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

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
		CACHE_TEST(test_failure),
		CACHE_TEST(test_lock),
		CACHE_TEST(test_swept_lock),
		CACHE_TEST(test_refresh),
		CACHE_TEST(test_version),
		CACHE_TEST(test_other_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
