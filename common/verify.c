// SPDX-License-Identifier: MIT
#include "common/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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

/* An image that is to be made again. */
struct affected {
	struct digest manifest;
	struct repository_name *names; /* that have a record of it */
	size_t nr_names;
};

/* A finding, told when the lock is not held any more. */
struct finding {
	struct digest digest;
	struct repository_name name; /* of an image that lacks a blob */
	const char *why;	     /* or NULL */
};

/* One call of verify_run(). */
struct verifying {
	const struct verify *verify;
	struct verify_result *result;
	struct affected *affected;
	size_t nr_affected, affected_alloc;
	struct finding *findings;
	size_t nr_findings, findings_alloc;
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
 * give them; that descriptors or memory are short says nothing of it. *st is
 * the file's that was read.
 */
static int find_fault(struct verifying *v, const struct digest *digest,
		      struct stat *st, const char **why, struct err *err)
{
	char path[CACHE_BLOB_FILE_SIZE];
	int cache_fd = v->verify->cache->fd;
	/* O_NOATIME: that we read it is no use of it. */
	autoclose int fd = open_beneath(cache_fd, cache_blob_file(digest, path),
					O_RDONLY | O_NONBLOCK | O_NOATIME);
	int why_not = errno;
	struct digest is;

	*why = NULL;
	*st = (struct stat){ .st_size = 0 };
	if (fd < 0 && errno == ENOENT) /* evicted meanwhile */
		return 0;
	if (fd < 0 ? fstatat(cache_fd, path, st, AT_SYMLINK_NOFOLLOW)
		   : fstat(fd, st))
		*st = (struct stat){ .st_size = 0 };
	errno = why_not;
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

/*
 * Is the file of that name the one that was read? Another may have been made
 * meanwhile, which is hashed as it is written. All of below, up to set_aside(),
 * is called while barred.
 */
static bool is_same(const struct verifying *v, const char *path,
		    const struct stat *was)
{
	struct stat st;

	if (fstatat(v->verify->cache->fd, path, &st, AT_SYMLINK_NOFOLLOW))
		return errno != ENOENT;
	return st.st_dev == was->st_dev && st.st_ino == was->st_ino &&
	       st.st_size == was->st_size &&
	       st.st_mtim.tv_sec == was->st_mtim.tv_sec &&
	       st.st_mtim.tv_nsec == was->st_mtim.tv_nsec;
}

static void add_affected(struct verifying *v, const struct inventory *inventory,
			 const struct inventory_image *image)
{
	const struct digest *manifest = &inventory->blobs[image->blob].digest;
	struct affected *affected;

	for (size_t i = 0; i < v->nr_affected; i++)
		if (digest_equal(&v->affected[i].manifest, manifest))
			return;
	ALLOC_GROW(v->affected, v->nr_affected, v->affected_alloc);
	affected = &v->affected[v->nr_affected++];
	*affected = (struct affected){
		.manifest = *manifest,
		.names = xcalloc(image->nr_names, sizeof(*affected->names)),
		.nr_names = image->nr_names,
	};
	memcpy(affected->names, image->names,
	       image->nr_names * sizeof(*affected->names));
}

static void add_finding(struct verifying *v, const struct digest *digest,
			const struct repository_name *name, const char *why)
{
	struct finding *finding;

	ALLOC_GROW(v->findings, v->nr_findings, v->findings_alloc);
	finding = &v->findings[v->nr_findings++];
	*finding = (struct finding){ .digest = *digest, .why = why };
	if (name)
		finding->name = *name;
}

static int remove_manifest(struct verifying *v, struct inventory *inventory,
			   size_t image, struct err *err)
{
	size_t blob = inventory->images[image].blob;
	char path[CACHE_BLOB_FILE_SIZE];

	inventory->blobs[blob].is_gone = true;
	add_affected(v, inventory, &inventory->images[image]);
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
static int remove_manifests(struct verifying *v, struct inventory *inventory,
			    size_t blob, struct err *err)
{
	for (size_t i = 0; i < inventory->nr_images; i++) {
		const struct inventory_image *image = &inventory->images[i];

		if (inventory->blobs[image->blob].is_gone ||
		    !needs(image, blob))
			continue;
		if (remove_manifests(v, inventory, image->blob, err) ||
		    remove_manifest(v, inventory, i, err))
			return -1;
	}
	return 0;
}

static int set_aside(struct verifying *v, struct inventory *inventory,
		     size_t index, const char *why, struct err *err)
{
	struct inventory_blob *blob = &inventory->blobs[index];
	const struct cache *cache = v->verify->cache;
	char path[CACHE_BLOB_FILE_SIZE], hex[DIGEST_HEX_SIZE];
	autofree char *aside =
		xasprintf("bad/%s", digest_hex(&blob->digest, hex));

	if (mkdirat(cache->fd, "bad", 0700) && errno != EEXIST)
		return err_errno(err, "cannot make bad in the cache");
	/* On disk before what they need is gone. */
	if (remove_manifests(v, inventory, index, err) ||
	    cache_sync(cache, err))
		return -1;
	if (blob->image != NO_IMAGE)
		add_affected(v, inventory, &inventory->images[blob->image]);
	if (renameat(cache->fd, cache_blob_file(&blob->digest, path), cache->fd,
		     aside) &&
	    errno != ENOENT)
		return err_errno(err, "cannot move %s to %s in the cache", path,
				 aside);
	blob->is_gone = true;
	add_finding(v, &blob->digest, NULL, why);
	return 0;
}

/* First of all: which blobs these need, and so hold, nobody knows. */
static int set_unread_aside(struct verifying *v, struct inventory *inventory,
			    struct err *err)
{
	for (size_t i = 0; inventory->nr_unread && i < inventory->nr_images;
	     i++)
		if (inventory->images[i].is_unread &&
		    set_aside(v, inventory, inventory->images[i].blob,
			      "it, or its record, cannot be read", err))
			return -1;
	return 0;
}

/* The blob that was read as *was; digest may be NULL: what is unread alone. */
static int set_aside_barred(struct verifying *v, const struct digest *digest,
			    const struct stat *was, const char *why,
			    struct err *err)
{
	const struct cache *cache = v->verify->cache;
	autoinventory inventory = INVENTORY_INIT;
	autoclose int bar = lease_bar(cache, err);
	const struct inventory_blob *blob;
	char path[CACHE_BLOB_FILE_SIZE];

	if (bar < 0 || inventory_take(&inventory, cache, err) ||
	    set_unread_aside(v, &inventory, err))
		return -1;
	blob = digest ? inventory_find(&inventory, digest) : NULL;
	if (!blob || blob->is_gone ||
	    !is_same(v, cache_blob_file(digest, path), was))
		return 0;
	return set_aside(v, &inventory, (size_t)(blob - inventory.blobs), why,
			 err);
}

static int remove_incomplete_barred(struct verifying *v, struct err *err)
{
	const struct cache *cache = v->verify->cache;
	autoinventory inventory = INVENTORY_INIT;
	autoclose int bar = lease_bar(cache, err);

	if (bar < 0 || inventory_take(&inventory, cache, err))
		return -1;
	for (size_t i = 0; i < inventory.nr_images; i++) {
		const struct inventory_image *image = &inventory.images[i];
		const struct inventory_blob *blob =
			&inventory.blobs[image->blob];

		if (!image->is_broken)
			continue;
		if (!blob->is_gone &&
		    (remove_manifests(v, &inventory, image->blob, err) ||
		     remove_manifest(v, &inventory, i, err)))
			return -1;
		add_finding(v, &blob->digest, &image->names[0], NULL);
	}
	return 0;
}

static void tell(struct verifying *v, const struct finding *finding)
{
	const struct verify *verify = v->verify;
	char str[DIGEST_STR_SIZE];

	digest_str(&finding->digest, str);
	if (finding->why) {
		v->result->bad++;
		log_event(LOG_LEVEL_ERROR, "event", "bad-blob", "blob", str,
			  "msg", finding->why, NULL);
		if (verify->bad)
			verify->bad(verify->arg, &finding->digest,
				    finding->why);
	} else {
		v->result->incomplete++;
		log_event(LOG_LEVEL_ERROR, "event", "missing-blob", "name",
			  finding->name.text, "manifest", str, NULL);
		if (verify->missing)
			verify->missing(verify->arg, &finding->name,
					&finding->digest);
	}
}

static void tell_all(struct verifying *v)
{
	for (size_t i = 0; i < v->nr_findings; i++)
		tell(v, &v->findings[i]);
	v->nr_findings = 0;
}

static int check_blob(struct verifying *v, const struct digest *digest,
		      struct err *err)
{
	struct stat st;
	const char *why;

	v->result->blobs++;
	if (find_fault(v, digest, &st, &why, err))
		return -1;
	if (why && set_aside_barred(v, digest, &st, why, err))
		return -1;
	tell_all(v);
	return 0;
}

static int check_blobs(struct verifying *v, struct err *err)
{
	autoinventory inventory = INVENTORY_INIT;

	if (inventory_take(&inventory, v->verify->cache, err) ||
	    (inventory.nr_unread && set_aside_barred(v, NULL, NULL, NULL, err)))
		return -1;
	tell_all(v);
	for (size_t i = 0; i < inventory.nr_blobs; i++)
		if (check_blob(v, &inventory.blobs[i].digest, err))
			return -1;
	return 0;
}

/*
 * What was published by half while the inventory was taken may look so, too:
 * that it does while barred is what counts.
 */
static int check_images(struct verifying *v, struct err *err)
{
	autoinventory inventory = INVENTORY_INIT;
	bool is_any = false;

	if (inventory_take(&inventory, v->verify->cache, err))
		return -1;
	for (size_t i = 0; i < inventory.nr_images; i++)
		is_any |= inventory.images[i].is_broken;
	if (is_any && remove_incomplete_barred(v, err))
		return -1;
	tell_all(v);
	return 0;
}

/* By any of the repositories that know how; the error is the last one's. */
static int repair_image(struct verifying *v, const struct affected *affected,
			struct err *err)
{
	struct reference reference = {
		.is_digest = true,
		.digest = affected->manifest,
	};
	int rc = -1;

	for (size_t i = 0; rc && i < affected->nr_names; i++) {
		const struct image_build build = {
			.settings = v->verify->settings,
			.cache = v->verify->cache,
			.name = &affected->names[i],
			.reference = &reference,
		};
		struct image_head head;

		rc = image_build(&build, &head, err);
	}
	return rc;
}

static void repair_all(struct verifying *v)
{
	const struct verify *verify = v->verify;

	for (size_t i = 0; i < v->nr_affected; i++) {
		const struct affected *affected = &v->affected[i];
		struct err err = ERR_INIT;

		v->result->images++;
		if (!verify->repair || repair_image(v, affected, &err))
			v->result->unrepaired++;
		else
			err.code = ERR_NONE;
		if (verify->repair && verify->repaired)
			verify->repaired(verify->arg, &affected->names[0],
					 &affected->manifest, &err);
	}
}

static void release(struct verifying *v)
{
	for (size_t i = 0; i < v->nr_affected; i++)
		free(v->affected[i].names);
	free(v->affected);
	free(v->findings);
}

int verify_run(const struct verify *verify, struct verify_result *result,
	       struct err *err)
{
	autofree unsigned char *chunk = xmalloc(CHUNK);
	autoclose int lock = cache_lock(verify->cache, "verify", 0, err);
	struct verifying v = {
		.verify = verify,
		.result = result,
		.chunk = chunk,
		.began_ms = clock_monotonic_ms(),
	};
	int rc;

	*result = (struct verify_result){ .blobs = 0 };
	if (lock < 0 && err->code == ERR_BUSY)
		return err_set(err, ERR_BUSY,
			       "another verify of this cache is under way");
	if (lock < 0)
		return -1;
	rc = check_blobs(&v, err) || check_images(&v, err) ||
			     verify_records(verify, result, err)
		     ? -1
		     : 0;
	if (!rc)
		repair_all(&v);
	release(&v);
	return rc;
}
