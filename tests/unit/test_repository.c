// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cache.h"
#include "common/memo.h"
#include "tests/unit/cachefixture.h"

#include "common/banned.h"

static struct image_head head_of(const char *seed)
{
	struct image_head head = { .manifest.media_type = MEDIA_MANIFEST };

	digest_of(seed, strlen(seed), &head.manifest.digest);
	head.manifest.size = 5;
	digest_of("flake", 5, &head.flake);
	digest_of("identity", 8, &head.identity);
	return head;
}

static void test_record(void **state)
{
	struct cachefixture *f = *state;
	struct repository_name web = repository_of("team/web"),
			       other = repository_of("a");
	struct image_head head = head_of("m"), back;
	const struct digest *manifest = &head.manifest.digest;
	autostrbuf body = STRBUF_INIT;
	struct err err = ERR_INIT;

	assert_int_equal(
		cache_put_record(&f->cache, &web, &head, "{}\n", 3, &err), 0);
	assert_int_equal(
		cache_get_record(&f->cache, &web, manifest, &back, &body, &err),
		0);
	assert_string_equal(body.buf, "{}\n");
	assert_true(digest_equal(&back.identity, &head.identity));
	assert_int_equal(cache_get_record(&f->cache, &other, manifest, &back,
					  NULL, &err),
			 -1);
	assert_int_equal(err.code, ERR_UNKNOWN);
}

static void test_tag(void **state)
{
	struct cachefixture *f = *state;
	struct repository_name web = repository_of("team/web");
	struct tag latest = tag_of("latest");
	struct tag_record tag = { .image = head_of("m"), .resolved = 1234 };
	struct tag_record back;
	struct err err = ERR_INIT;

	assert_int_equal(cache_get_tag(&f->cache, &web, &latest, &back, &err),
			 -1);
	assert_int_equal(err.code, ERR_UNKNOWN);
	snprintf(tag.revision, sizeof(tag.revision), "%040d", 7);
	assert_int_equal(cache_put_tag(&f->cache, &web, &latest, &tag, &err),
			 0);
	assert_int_equal(cache_get_tag(&f->cache, &web, &latest, &back, &err),
			 0);
	assert_int_equal(back.resolved, 1234);
	assert_string_equal(back.revision, tag.revision);
}

static void test_link(void **state)
{
	struct cachefixture *f = *state;
	struct repository_name web = repository_of("team/web"),
			       other = repository_of("a");
	struct image_head head = head_of("m");
	struct blob_link link = { .blob.media_type = MEDIA_CONFIG,
				  .manifest = head.manifest.digest,
				  .flake = head.flake };
	struct blob_link back;
	struct err err = ERR_INIT;

	digest_of("c", 1, &link.blob.digest);
	assert_int_equal(cache_put_link(&f->cache, &web, &link, &err), 0);
	assert_int_equal(
		cache_get_link(&f->cache, &web, &link.blob.digest, &back, &err),
		0);
	assert_true(digest_equal(&back.manifest, &link.manifest));
	/* Another repository's blob is unknown here. */
	assert_int_equal(cache_get_link(&f->cache, &other, &link.blob.digest,
					&back, &err),
			 -1);
}

static void test_identity(void **state)
{
	struct cachefixture *f = *state;
	struct repository_name web = repository_of("team/web");
	struct image_head head = head_of("m");
	struct digest manifest;
	struct err err = ERR_INIT;

	assert_int_equal(cache_put_identity(&f->cache, &web, &head.identity,
					    &head.manifest.digest, &err),
			 0);
	assert_int_equal(cache_get_identity(&f->cache, &web, &head.identity,
					    &manifest, &err),
			 0);
	assert_true(digest_equal(&manifest, &head.manifest.digest));
}

static int add_name(const struct repository_name *name, void *arg)
{
	strbuf_addf(arg, "%s ", name->text);
	return 0;
}

static void test_repositories(void **state)
{
	struct cachefixture *f = *state;
	struct repository_name web = repository_of("team/web");
	struct image_head head = head_of("m");
	autostrbuf names = STRBUF_INIT;
	struct err err = ERR_INIT;

	assert_int_equal(
		cache_put_record(&f->cache, &web, &head, "{}\n", 3, &err), 0);
	assert_int_equal(
		cache_each_repository(&f->cache, add_name, &names, &err), 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		CACHE_TEST(test_record),
		CACHE_TEST(test_tag),
		CACHE_TEST(test_link),
		CACHE_TEST(test_identity),
		CACHE_TEST(test_repositories),
		CACHE_TEST(test_memo),
		CACHE_TEST(test_record_is_touched_when_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
