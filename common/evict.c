// SPDX-License-Identifier: MIT
#include "common/evict.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cachefile.h"
#include "common/lease.h"
#include "common/removal.h"

#include "common/banned.h"

/* One call of evict_images(). */
struct eviction {
	const struct gc *gc;
	struct inventory *inventory;
};

static bool is_leased(const struct eviction *e, const struct inventory_image *i)
{
	const struct cache *cache = e->gc->cache;
	const struct digest *digest = &e->inventory->blobs[i->blob].digest;
	char record[CACHE_RECORD_PATH_SIZE], blob[CACHE_BLOB_FILE_SIZE];

	for (size_t n = 0; n < i->nr_names; n++) {
		struct stat st;

		cache_record_path(record, &i->names[n], digest);
		if (fstatat(cache->fd, record, &st, AT_SYMLINK_NOFOLLOW) &&
		    errno == ENOENT)
			continue;
		/* Nor is it over where that cannot be told. */
		if (!lease_is_over(cache, record, LEASE_MTIME))
			return true;
	}
	return !lease_is_over(cache, cache_blob_file(digest, blob),
			      LEASE_ATIME);
}

/* On disk before anything that it names goes. */
static int sync_folder(const struct cache *cache, const struct digest *digest,
		       struct err *err)
{
	char path[CACHE_BLOB_FILE_SIZE];
	autoclose int fd = -1;

	cache_blob_file(digest, path);
	*strrchr(path, '/') = 0;
	fd = open_beneath(cache->fd, path, O_RDONLY | O_DIRECTORY);
	if (fd < 0 || fsync(fd))
		return err_errno(err, "cannot sync %s in the cache", path);
	return 0;
}

/* 1 it is gone, or -1. The caller bars. */
static int unlink_blob(struct eviction *e, struct inventory_blob *blob,
		       struct err *err)
{
	char path[CACHE_BLOB_FILE_SIZE];

	cache_blob_file(&blob->digest, path);
	if (removal_unlink(e->gc, path, err))
		return -1;
	blob->is_gone = true;
	e->inventory->bytes -= blob->bytes < e->inventory->bytes
				       ? blob->bytes
				       : e->inventory->bytes;
	return 1;
}

static int evict_blob(struct eviction *e, struct inventory_blob *blob,
		      struct err *err)
{
	char path[CACHE_BLOB_FILE_SIZE], str[DIGEST_STR_SIZE];
	autoclose int bar = -1;
	int rc;

	if (blob->is_gone || blob->needed_by || blob->image != NO_IMAGE ||
	    !inventory_is_fresh(e->inventory))
		return 0;
	if (removal_bar(e->gc, &bar, err))
		return -1;
	if (!lease_is_over(e->gc->cache, cache_blob_file(&blob->digest, path),
			   LEASE_ATIME))
		return 0;
	rc = unlink_blob(e, blob, err);
	if (rc > 0)
		gc_tell(e->gc, GC_BLOB, blob->bytes, "%s",
			digest_str(&blob->digest, str));
	return rc;
}

static int evict_manifest(struct eviction *e, struct inventory_image *image,
			  struct err *err)
{
	struct inventory_blob *blob = &e->inventory->blobs[image->blob];
	autoclose int bar = -1;

	if (blob->is_gone || blob->needed_by ||
	    !inventory_is_fresh(e->inventory))
		return 0;
	if (removal_bar(e->gc, &bar, err))
		return -1;
	if (is_leased(e, image))
		return 0;
	return unlink_blob(e, blob, err);
}

/* 1 it is evicted, 0 it must stay, or -1. */
static int evict_image(struct eviction *e, struct inventory_image *image,
		       struct err *err)
{
	struct inventory_blob *blob = &e->inventory->blobs[image->blob];
	char str[DIGEST_STR_SIZE];
	int rc = evict_manifest(e, image, err);

	if (rc <= 0)
		return rc;
	gc_tell(e->gc, GC_IMAGE, blob->bytes, "%s@%s", image->names[0].text,
		digest_str(&blob->digest, str));
	if (!e->gc->dry_run && sync_folder(e->gc->cache, &blob->digest, err))
		return -1;
	for (size_t i = 0; i < image->nr_needs; i++) {
		struct inventory_blob *need =
			&e->inventory->blobs[image->needs[i]];

		need->needed_by--;
		if (evict_blob(e, need, err) < 0)
			return -1;
	}
	return 1;
}

/* Longest ago first; an index before its members. */
static int compare_images(const void *a, const void *b)
{
	const struct inventory_image *s = *(struct inventory_image *const *)a;
	const struct inventory_image *t = *(struct inventory_image *const *)b;

	if (s->used != t->used)
		return s->used < t->used ? -1 : 1;
	if (s->is_index != t->is_index)
		return s->is_index ? -1 : 1;
	return s->blob < t->blob ? -1 : 1;
}

static int evict_all(struct eviction *e, struct inventory_image **order,
		     uint64_t limit, int64_t too_old, struct err *err)
{
	struct inventory *inventory = e->inventory;
	int evicted = 0;

	for (size_t i = 0; i < inventory->nr_images; i++) {
		struct inventory_image *image = order[i];
		int rc = 0;

		if (image->is_broken || image->used < too_old)
			rc = evict_image(e, image, err);
		if (rc < 0)
			return -1;
		evicted += rc;
	}
	for (size_t i = 0; i < inventory->nr_blobs; i++)
		if (evict_blob(e, &inventory->blobs[i], err) < 0)
			return -1;
	for (size_t i = 0; i < inventory->nr_images && inventory->bytes > limit;
	     i++) {
		int rc = evict_image(e, order[i], err);

		if (rc < 0)
			return -1;
		evicted += rc;
	}
	return evicted;
}

int evict_images(const struct gc *gc, struct inventory *inventory,
		 uint64_t limit, int64_t too_old, struct err *err)
{
	struct eviction e = { .gc = gc, .inventory = inventory };
	autofree struct inventory_image **order =
		xcalloc(inventory->nr_images, sizeof(struct inventory_image *));

	for (size_t i = 0; i < inventory->nr_images; i++)
		order[i] = &inventory->images[i];
	if (inventory->nr_images)
		qsort(order, inventory->nr_images,
		      sizeof(struct inventory_image *), compare_images);
	return evict_all(&e, order, limit, too_old, err);
}
