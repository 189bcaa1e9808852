// SPDX-License-Identifier: MIT
#include "tests/unit/cachefixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "common/alloc.h"
#include "common/inventory.h"
#include "common/manifest.h"
#include "tests/unit/check.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

int cachefixture_set_up(void **state)
{
	struct cachefixture *f = xcalloc(1, sizeof(*f));
	struct err err = ERR_INIT;

	f->dir = scratch_make();
	settings_init(&f->settings);
	if (cache_open(&f->cache, f->dir, CACHE_WRITE, &err))
		fail_msg("%s", err.msg);
	*state = f;
	return 0;
}

int cachefixture_tear_down(void **state)
{
	struct cachefixture *f = *state;

	cache_release(&f->cache);
	settings_release(&f->settings);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

struct repository_name repository_of(const char *s)
{
	struct repository_name name;
	struct err err;

	assert_int_equal(repository_name_parse(&name, s, strlen(s), &err), 0);
	return name;
}

struct tag tag_of(const char *s)
{
	struct tag tag;
	struct err err;

	assert_int_equal(tag_parse(&tag, s, strlen(s), &err), 0);
	return tag;
}

void put_text(struct cachefixture *f, const char *text, struct digest *digest)
{
	struct err err = ERR_INIT;

	if (cache_put_blob(&f->cache, text, strlen(text), digest, &err))
		fail_msg("%s", err.msg);
}

struct digest put_image(struct cachefixture *f, const char *repository)
{
	const struct repository_name name = repository_of(repository);
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

	put_text(f, config, &parts[0].digest);
	put_text(f, layer, &parts[1].digest);
	put_text(f, SHARED_LAYER, &parts[2].digest);
	manifest_format(&manifest, &parts[0], parts + 1, 2, NULL);
	put_text(f, manifest.buf, &head.manifest.digest);
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

void set_age(struct cachefixture *f, const char *path, int64_t age_s)
{
	const struct timespec times[2] = {
		{ .tv_sec = time(NULL) - age_s },
		{ .tv_sec = time(NULL) - age_s },
	};

	if (utimensat(f->cache.fd, path, times, AT_SYMLINK_NOFOLLOW))
		fail_msg("%s: no such file", path);
}

void set_image_age(struct cachefixture *f, const char *repository,
		   const struct digest *manifest, int64_t age_s)
{
	char path[CACHE_RECORD_PATH_SIZE];
	const struct repository_name name = repository_of(repository);

	set_age(f, cache_record_path(path, &name, manifest), age_s);
}

void set_blobs_age(struct cachefixture *f, int64_t age_s)
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

bool has_blob(struct cachefixture *f, const struct digest *digest)
{
	return cache_has_blob(&f->cache, digest, NULL);
}
