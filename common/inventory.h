// SPDX-License-Identifier: MIT
#ifndef COMMON_INVENTORY_H
#define COMMON_INVENTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cache.h"

/*
 * What the cache held when it was looked through: its blobs, the manifests
 * among them that a record names, and which blob each of these needs. What is
 * published while it is taken may be in it by half; but that is leased
 * (lease.h), and who removes anything asks for the lease again.
 */

#define NO_IMAGE SIZE_MAX

struct inventory_blob {
	struct digest digest;
	uint64_t bytes;	  /* of disk that its removal frees */
	size_t needed_by; /* manifests and indices that are there */
	size_t image;	  /* that this is the manifest of, or NO_IMAGE */
	bool is_gone;	  /* removed since */
};

struct inventory_image {
	size_t blob;  /* its manifest */
	int64_t used; /* last, by any repository or index it is in */
	bool is_index;
	bool is_broken; /* a blob that it needs is not there, or is no manifest */
	bool is_unread; /* the disk did not give it, so who knows what it needs */
	size_t *needs; /* blobs, each once */
	size_t nr_needs;
	struct repository_name *names; /* that have a record of it */
	size_t nr_names;
};

struct inventory {
	struct inventory_blob *blobs; /* sorted by digest */
	size_t nr_blobs;
	struct inventory_image *images;
	size_t nr_images, nr_unread;
	uint64_t bytes;	  /* of all that is in the cache */
	int64_t now;	  /* when it was taken, in seconds since 1970 */
	int64_t taken_ms; /* CLOCK_BOOTTIME */
};

void inventory_release(struct inventory *inventory);
#define autoinventory                                                          \
	__attribute__((cleanup(inventory_release))) struct inventory
#define INVENTORY_INIT                                                         \
	{                                                                      \
		.blobs = NULL                                                  \
	}

/*
 * Look through the cache. Times of use that lie in the future are set to now,
 * if it may be written to, so that what has them ages as all else does. A manifest that the disk does
 * not give (EIO) is said to be unread; that any other call fails, for want of
 * memory, descriptors or permission, is an error of the whole.
 */
MUST_CHECK int inventory_take(struct inventory *inventory,
			      const struct cache *cache, struct err *err);

/* The blob of that digest, or NULL. */
struct inventory_blob *inventory_find(const struct inventory *inventory,
				      const struct digest *digest);

/*
 * May it still be acted upon? What came to be needed since it was taken is
 * leased, and no lease that began then has run out.
 */
bool inventory_is_fresh(const struct inventory *inventory);

/* Bytes of disk that all of the cache takes up. */
MUST_CHECK int inventory_size(const struct cache *cache, uint64_t *bytes,
			      struct err *err);

#endif
