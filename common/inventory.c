// SPDX-License-Identifier: MIT
#include "common/inventory.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cachefile.h"
#include "common/clock.h"
#include "common/folder.h"
#include "common/json.h"
#include "common/lease.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/record.h"

#include "common/banned.h"

/* What is needed while one is taken. */
struct taking {
	struct inventory *inventory;
	const struct cache *cache;
	size_t blobs_alloc, images_alloc;
	struct err *err;
};

void inventory_release(struct inventory *inventory)
{
	for (size_t i = 0; i < inventory->nr_images; i++) {
		free(inventory->images[i].needs);
		free(inventory->images[i].names);
	}
	free(inventory->images);
	free(inventory->blobs);
	*inventory = (struct inventory)INVENTORY_INIT;
}

bool inventory_is_fresh(const struct inventory *inventory)
{
	return clock_boottime_ms() - inventory->taken_ms < LEASE_S * 1000 / 2;
}

/* du(1) by hand: what a file of the cache is does not matter here. */
int inventory_size(const struct cache *cache, uint64_t *bytes, struct err *err)
{
	char *paths[] = { cache->path, NULL };
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	const FTSENT *entry;

	*bytes = 0;
	if (!fts)
		return err_errno(err, "cannot look through the cache %s",
				 cache->path);
	while ((entry = fts_read(fts)))
		if (entry->fts_info == FTS_F || entry->fts_info == FTS_D ||
		    entry->fts_info == FTS_SL)
			*bytes += (uint64_t)entry->fts_statp->st_blocks * 512;
	fts_close(fts);
	return 0;
}

/* A clock that was set back leaves times that would never come. */
static void set_right(const struct taking *t, const char *path,
		      const struct stat *st)
{
	const struct timespec now[2] = { { .tv_nsec = UTIME_NOW },
					 { .tv_nsec = UTIME_NOW } };

	if (t->cache->writable && (st->st_mtime > t->inventory->now ||
				   st->st_atime > t->inventory->now))
		utimensat(t->cache->fd, path, now, AT_SYMLINK_NOFOLLOW);
}

/*
 * -1 if it is not there. If that cannot be told it is, was used now, and takes
 * up nothing.
 */
static int stat_or_now(const struct taking *t, const char *path,
		       struct stat *st)
{
	if (!fstatat(t->cache->fd, path, st, AT_SYMLINK_NOFOLLOW)) {
		set_right(t, path, st);
		return 0;
	}
	if (errno == ENOENT || errno == ENOTDIR)
		return -1;
	*st = (struct stat){ .st_mode = S_IFREG,
			     .st_mtime = t->inventory->now };
	return 0;
}

static void add_blob(struct taking *t, const char *folder, const char *name)
{
	struct inventory *inventory = t->inventory;
	char path[CACHE_BLOB_FILE_SIZE];
	struct inventory_blob *blob;
	struct digest digest;
	struct err ignored;
	struct stat st;

	if (digest_parse_hex(&digest, name, strlen(name), &ignored))
		return;
	snprintf(path, sizeof(path), "blobs/sha256/%.2s/%.64s", folder, name);
	/* It is there, whatever else: no image is broken by that. */
	if (stat_or_now(t, path, &st) || !S_ISREG(st.st_mode))
		return;
	ALLOC_GROW(inventory->blobs, inventory->nr_blobs, t->blobs_alloc);
	blob = &inventory->blobs[inventory->nr_blobs++];
	*blob = (struct inventory_blob){
		.digest = digest,
		.bytes = (uint64_t)st.st_blocks * 512,
		.image = NO_IMAGE,
	};
}

static int compare_blobs(const void *a, const void *b)
{
	const struct inventory_blob *s = a, *t = b;

	return memcmp(s->digest.raw, t->digest.raw, DIGEST_RAW);
}

static int add_blobs(struct taking *t, struct err *err)
{
	autofolder folders = FOLDER_INIT;

	if (folder_read(&folders, t->cache->fd, "blobs/sha256", err))
		return -1;
	for (size_t i = 0; i < folders.nr; i++) {
		autofolder blobs = FOLDER_INIT;
		autofree char *path =
			xasprintf("blobs/sha256/%s", folders.names[i]);

		if (folder_read(&blobs, t->cache->fd, path, err))
			return -1;
		for (size_t j = 0; j < blobs.nr; j++)
			add_blob(t, folders.names[i], blobs.names[j]);
	}
	if (t->inventory->nr_blobs)
		qsort(t->inventory->blobs, t->inventory->nr_blobs,
		      sizeof(*t->inventory->blobs), compare_blobs);
	return 0;
}

struct inventory_blob *inventory_find(const struct inventory *inventory,
				      const struct digest *digest)
{
	const struct inventory_blob key = { .digest = *digest };

	if (!inventory->nr_blobs)
		return NULL;
	return bsearch(&key, inventory->blobs, inventory->nr_blobs,
		       sizeof(*inventory->blobs), compare_blobs);
}

/* The image whose manifest that blob is, added when it is new. */
static struct inventory_image *image_of(struct taking *t,
					struct inventory_blob *blob)
{
	struct inventory *inventory = t->inventory;

	if (blob->image == NO_IMAGE) {
		blob->image = inventory->nr_images;
		ALLOC_GROW(inventory->images, inventory->nr_images,
			   t->images_alloc);
		inventory->images[inventory->nr_images++] =
			(struct inventory_image){
				.blob = (size_t)(blob - inventory->blobs),
			};
	}
	return &inventory->images[blob->image];
}

static void add_record(struct taking *t, const struct repository_name *name,
		       const struct digest *digest)
{
	struct inventory_blob *blob = inventory_find(t->inventory, digest);
	char path[CACHE_RECORD_PATH_SIZE];
	struct inventory_image *image;
	struct stat st;
	int64_t used;

	cache_record_path(path, name, digest);
	if (stat_or_now(t, path, &st) || !blob)
		return;
	image = image_of(t, blob);
	used = lease_last_use(&st, LEASE_MTIME, t->inventory->now);
	if (used > image->used)
		image->used = used;
	image->names = xreallocarray(image->names, image->nr_names + 1,
				     sizeof(*image->names));
	image->names[image->nr_names++] = *name;
}

static int add_repository(const struct repository_name *name, void *arg)
{
	struct taking *t = arg;
	autofolder records = FOLDER_INIT;
	autofree char *path =
		xasprintf("repositories/%s/_manifests", name->text);

	if (folder_read(&records, t->cache->fd, path, t->err))
		return -1;
	for (size_t i = 0; i < records.nr; i++) {
		const char *hex = records.names[i];
		struct digest digest;
		struct err ignored;

		if (!digest_parse_hex(&digest, hex, strlen(hex), &ignored))
			add_record(t, name, &digest);
	}
	return 0;
}

/* The blob of a descriptor is needed. Equal layers are one blob. */
static int add_need(struct taking *t, struct inventory_image *image,
		    struct json_object *descriptor, struct err *err)
{
	struct inventory_blob *blob;
	struct digest digest;
	const char *text;
	size_t index;

	if (json_need_string(descriptor, "digest", &text, "manifest", err) ||
	    digest_parse(&digest, text, strlen(text), err))
		return -1;
	blob = inventory_find(t->inventory, &digest);
	if (!blob) {
		image->is_broken = true;
		return 0;
	}
	index = (size_t)(blob - t->inventory->blobs);
	for (size_t i = 0; i < image->nr_needs; i++)
		if (image->needs[i] == index)
			return 0;
	image->needs = xreallocarray(image->needs, image->nr_needs + 1,
				     sizeof(*image->needs));
	image->needs[image->nr_needs++] = index;
	blob->needed_by++;
	return 0;
}

static int add_needs(struct taking *t, struct inventory_image *image,
		     struct json_object *json, struct err *err)
{
	struct json_object *config = NULL, *list = NULL;

	if (json_want_array(json, "manifests", &list, "manifest", err))
		return -1;
	image->is_index = list != NULL;
	if (!list &&
	    (json_need_object(json, "config", &config, "manifest", err) ||
	     add_need(t, image, config, err) ||
	     json_need_array(json, "layers", &list, "manifest", err)))
		return -1;
	for (size_t i = 0; i < json_object_array_length(list); i++)
		if (add_need(t, image, json_object_array_get_idx(list, i), err))
			return -1;
	return 0;
}

/*
 * The layers of a lazy record are made when they are asked for. 1, 0, or -1 if
 * the record is there and cannot be read.
 */
static int is_lazy(const struct taking *t, const struct inventory_image *image,
		   struct err *err)
{
	const struct digest *digest = &t->inventory->blobs[image->blob].digest;
	autorecord record = RECORD_INIT;
	autostrbuf body = STRBUF_INIT;
	struct image_head head;

	if (cache_peek_record(t->cache, &image->names[0], digest, &head, &body,
			      err))
		return err->code == ERR_SYSTEM ? -1 : 0;
	return !record_parse(&record, body.buf, body.len, "record", err) &&
	       record.lazy;
}

/* -1 is of the disk if err says so, and else of this process. */
static int read_needs(struct taking *t, struct inventory_image *image,
		      struct err *err)
{
	const struct digest *digest = &t->inventory->blobs[image->blob].digest;
	char path[CACHE_BLOB_FILE_SIZE];
	autojson *json = NULL;
	/* O_NOATIME: that we read it is no use of it. */
	autoclose int fd =
		open_beneath(t->cache->fd, cache_blob_file(digest, path),
			     O_RDONLY | O_NONBLOCK | O_NOATIME);
	int lazy;

	if (fd < 0 && errno == ENOENT) {
		image->is_broken = true; /* evicted meanwhile */
		return 0;
	}
	if (fd < 0)
		return err_errno(err, "cannot open %s in the cache", path);
	if (json_read(&json, fd, MANIFEST_MAX, path, err) ||
	    add_needs(t, image, json, err))
		return -1;
	if (!image->is_broken)
		return 0;
	lazy = is_lazy(t, image, err);
	image->is_broken = lazy == 0;
	return lazy < 0 ? -1 : 0;
}

static bool is_of_disk(const struct err *err)
{
	return err->sys == EIO || err->sys == EUCLEAN || err->sys == EBADMSG;
}

static int read_image(struct taking *t, struct inventory_image *image,
		      struct err *err)
{
	struct err why = ERR_INIT;

	if (!read_needs(t, image, &why))
		return 0;
	if (why.code == ERR_SYSTEM && !is_of_disk(&why)) {
		*err = why;
		return -1;
	}
	log_err(&why, "event",
		why.code == ERR_SYSTEM ? "unread-manifest"
				       : "malformed-manifest",
		NULL);
	if (why.code == ERR_SYSTEM) {
		image->is_unread = true;
		t->inventory->nr_unread++;
	} else { /* it cannot be served either */
		image->is_broken = true;
	}
	return 0;
}

/* Whoever pulls an index pulls its members; it goes before they do. */
static void use_members(struct inventory *inventory,
			const struct inventory_image *index)
{
	for (size_t i = 0; i < index->nr_needs; i++) {
		size_t image = inventory->blobs[index->needs[i]].image;

		if (image != NO_IMAGE &&
		    inventory->images[image].used < index->used)
			inventory->images[image].used = index->used;
	}
}

int inventory_take(struct inventory *inventory, const struct cache *cache,
		   struct err *err)
{
	struct taking t = { .inventory = inventory,
			    .cache = cache,
			    .err = err };

	*inventory = (struct inventory){ .now = time(NULL),
					 .taken_ms = clock_boottime_ms() };
	err->code = ERR_NONE;
	if (inventory_size(cache, &inventory->bytes, err) ||
	    add_blobs(&t, err) ||
	    cache_each_repository(cache, add_repository, &t, err) ||
	    err->code) {
		inventory_release(inventory);
		return -1;
	}
	for (size_t i = 0; i < inventory->nr_images; i++)
		if (read_image(&t, &inventory->images[i], err)) {
			inventory_release(inventory);
			return -1;
		}
	for (size_t i = 0; i < inventory->nr_images; i++)
		if (inventory->images[i].is_index)
			use_members(inventory, &inventory->images[i]);
	return 0;
}
