// SPDX-License-Identifier: MIT
#include "common/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cachefile.h"
#include "common/clock.h"
#include "common/image.h"
#include "common/inventory.h"
#include "common/lease.h"
#include "common/log.h"

#include "common/banned.h"

#define CHUNK (1u << 20)

/* One call of verify_run(). */
struct verifying {
	const struct verify *verify;
	struct verify_result *result;
	struct inventory inventory;
	bool *is_affected; /* images that needed a bad blob */
	unsigned char *chunk;
	int64_t began_ms;
};

/* Wait until so many bytes may have been read. */
static void keep_rate(const struct verifying *v)
{
	uint64_t rate = v->verify->rate;
	int64_t ahead_ms;

	if (!rate)
		return;
	ahead_ms = (int64_t)((double)v->result->bytes * 1000 / (double)rate) -
		   (clock_monotonic_ms() - v->began_ms);
	if (ahead_ms > 0)
		nanosleep(&(struct timespec){ .tv_sec = ahead_ms / 1000,
					      .tv_nsec = ahead_ms % 1000 *
							 1000000 },
			  NULL);
}

/* The digest of a file. 0, or -1 and errno. */
static int hash(struct verifying *v, int fd, struct digest *digest)
{
	autohasher *hasher = hasher_new();
	ssize_t n;

	while ((n = read(fd, v->chunk, CHUNK))) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		hasher_update(hasher, v->chunk, (size_t)n);
		v->result->bytes += (uint64_t)n;
		keep_rate(v);
	}
	hasher_final(hasher, digest);
	return 0;
}

/*
 * *why the blob is bad, or NULL. Its bytes are others, or the disk does not
 * give them; that descriptors or memory are short says nothing of it.
 */
static int find_fault(struct verifying *v, const struct digest *digest,
		      const char **why, struct err *err)
{
	char path[CACHE_BLOB_FILE_SIZE];
	/* O_NOATIME: that we read it is no use of it. */
	autoclose int fd = open_beneath(v->verify->cache->fd,
					cache_blob_file(digest, path),
					O_RDONLY | O_NONBLOCK | O_NOATIME);
	struct digest is;

	*why = NULL;
	if (fd < 0 && errno == ENOENT) /* evicted meanwhile */
		return 0;
	if (fd >= 0 && !hash(v, fd, &is)) {
		if (!digest_equal(&is, digest))
			*why = "its bytes are others";
		return 0;
	}
	if (errno != EIO && errno != EUCLEAN && errno != EBADMSG)
		return err_errno(err, "cannot read %s in the cache", path);
	*why = strerrordesc_np(errno);
	return 0;
}

static int remove_manifest(struct verifying *v, size_t image, struct err *err)
{
	const struct inventory *inventory = &v->inventory;
	size_t blob = inventory->images[image].blob;
	char path[CACHE_BLOB_FILE_SIZE];

	v->is_affected[image] = true;
	cache_blob_file(&inventory->blobs[blob].digest, path);
	if (unlinkat(v->verify->cache->fd, path, 0) && errno != ENOENT)
		return err_errno(err, "cannot remove %s from the cache", path);
	return 0;
}

static bool needs(const struct inventory_image *image, size_t blob)
{
	for (size_t i = 0; i < image->nr_needs; i++)
		if (image->needs[i] == blob)
			return true;
	return false;
}

/* The manifests that need a blob, and before them the indices of these. */
static int remove_manifests(struct verifying *v, size_t blob, struct err *err)
{
	const struct inventory *inventory = &v->inventory;

	for (size_t i = 0; i < inventory->nr_images; i++) {
		const struct inventory_image *image = &inventory->images[i];

		if (v->is_affected[i] || !needs(image, blob))
			continue;
		if (remove_manifests(v, image->blob, err) ||
		    remove_manifest(v, i, err))
			return -1;
	}
	return 0;
}

static int move_aside(struct verifying *v, size_t index, struct err *err)
{
	const struct inventory_blob *blob = &v->inventory.blobs[index];
	const struct cache *cache = v->verify->cache;
	char path[CACHE_BLOB_FILE_SIZE], hex[DIGEST_HEX_SIZE];
	autofree char *aside =
		xasprintf("bad/%s", digest_hex(&blob->digest, hex));
	autoclose int bar = lease_bar(cache, err);

	if (bar < 0)
		return -1;
	if (mkdirat(cache->fd, "bad", 0700) && errno != EEXIST)
		return err_errno(err, "cannot make bad in the cache");
	/* On disk before what they need is gone. */
	if (remove_manifests(v, index, err) || cache_sync(cache, err))
		return -1;
	if (blob->image != NO_IMAGE)
		v->is_affected[blob->image] = true;
	if (renameat(cache->fd, cache_blob_file(&blob->digest, path), cache->fd,
		     aside) &&
	    errno != ENOENT)
		return err_errno(err, "cannot move %s to %s in the cache", path,
				 aside);
	return 0;
}

static int found_bad(struct verifying *v, size_t i, const char *why,
		     struct err *err)
{
	const struct digest *digest = &v->inventory.blobs[i].digest;
	char str[DIGEST_STR_SIZE];

	v->result->bad++;
	log_event(LOG_LEVEL_ERROR, "event", "bad-blob", "blob",
		  digest_str(digest, str), "msg", why, NULL);
	if (move_aside(v, i, err))
		return -1;
	if (v->verify->bad)
		v->verify->bad(v->verify->arg, digest, why);
	return 0;
}

/* First of all: which blobs these need, and so hold, nobody knows. */
static int check_unread(struct verifying *v, struct err *err)
{
	const struct inventory *inventory = &v->inventory;

	for (size_t i = 0; i < inventory->nr_images; i++)
		if (inventory->images[i].is_unread &&
		    found_bad(v, inventory->images[i].blob,
			      "it, or its record, cannot be read", err))
			return -1;
	return 0;
}

static int check_all(struct verifying *v, struct err *err)
{
	if (check_unread(v, err))
		return -1;
	for (size_t i = 0; i < v->inventory.nr_blobs; i++) {
		const struct inventory_blob *blob = &v->inventory.blobs[i];
		const char *why;

		v->result->blobs++;
		if (blob->image != NO_IMAGE &&
		    v->inventory.images[blob->image].is_unread)
			continue;
		if (find_fault(v, &blob->digest, &why, err) ||
		    (why && found_bad(v, i, why, err)))
			return -1;
	}
	return 0;
}

/* By any of the repositories that know how; the error is the last one's. */
static int repair_image(struct verifying *v,
			const struct inventory_image *image, struct err *err)
{
	struct reference reference = {
		.is_digest = true,
		.digest = v->inventory.blobs[image->blob].digest,
	};
	int rc = -1;

	for (size_t i = 0; rc && i < image->nr_names; i++) {
		const struct image_build build = {
			.settings = v->verify->settings,
			.cache = v->verify->cache,
			.name = &image->names[i],
			.reference = &reference,
		};
		struct image_head head;

		rc = image_build(&build, &head, err);
	}
	return rc;
}

static void repair_all(struct verifying *v)
{
	for (size_t i = 0; i < v->inventory.nr_images; i++) {
		const struct inventory_image *image = &v->inventory.images[i];
		struct err err = ERR_INIT;

		if (!v->is_affected[i])
			continue;
		v->result->images++;
		if (!v->verify->repair || repair_image(v, image, &err))
			v->result->unrepaired++;
		else
			err.code = ERR_NONE;
		if (v->verify->repair && v->verify->repaired)
			v->verify->repaired(
				v->verify->arg, &image->names[0],
				&v->inventory.blobs[image->blob].digest, &err);
	}
}

int verify_run(const struct verify *verify, struct verify_result *result,
	       struct err *err)
{
	autofree unsigned char *chunk = xmalloc(CHUNK);
	autofree bool *is_affected = NULL;
	struct verifying v = {
		.verify = verify,
		.result = result,
		.inventory = INVENTORY_INIT,
		.chunk = chunk,
		.began_ms = clock_monotonic_ms(),
	};
	int rc;

	*result = (struct verify_result){ .blobs = 0 };
	if (inventory_take(&v.inventory, verify->cache, err))
		return -1;
	is_affected = xcalloc(v.inventory.nr_images, sizeof(*is_affected));
	v.is_affected = is_affected;
	rc = check_all(&v, err);
	if (!rc)
		repair_all(&v);
	inventory_release(&v.inventory);
	return rc;
}
