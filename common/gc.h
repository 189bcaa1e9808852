// SPDX-License-Identifier: MIT
#ifndef COMMON_GC_H
#define COMMON_GC_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cache.h"
#include "common/settings.h"

/*
 * Keeping the cache small: images that were pulled longest ago are evicted
 * while it is larger than cache-size, records go record-max-age after their
 * last pull, and what nothing needs any more goes at once. Nothing goes that
 * was used in the last ten minutes (lease.h), so a pull or a build under way
 * never loses what it was promised. An evicted image can be made again; its
 * record outlives its blobs.
 */

enum gc_kind {
	GC_IMAGE,  /* evicted; its record stays */
	GC_BLOB,   /* needed by no image */
	GC_RECORD, /* with the image, if that was still there */
	GC_TAG,	   /* of a record that is gone, as are the next two */
	GC_IDENTITY,
	GC_LINK,
	GC_LAYER,  /* entry of a layer whose blob is gone */
	GC_ROOT,   /* of Nix's garbage collector, of no image that is there */
	GC_BUILD,  /* log and failure */
	GC_LOCK,   /* that nobody holds */
	GC_MIRROR, /* git's, and refs and names, of a flake that is not set */
	GC_TEMPORARY,
	GC_KINDS, /* how many there are */
};

struct removals;

struct gc {
	const struct settings *settings;
	const struct cache *cache; /* writable, unless dry_run */
	bool dry_run;		   /* gc_run() tells, and leaves everything */
	/* Told of each thing that goes: its name for people, and its bytes of
	 * disk; of an image those of its manifest alone. May be NULL. */
	void (*gone)(void *arg, enum gc_kind kind, const char *name,
		     uint64_t bytes);
	void *arg;
	struct removals *removals; /* gc_run()'s, in a dry run */
};

struct gc_result {
	uint64_t before, after; /* bytes of disk that the cache takes up */
	size_t evicted;		/* images */
};

/*
 * Do all of it. A dry run tells what the real one then does. ERR_BUSY if another process does so and is not done after a
 * minute.
 */
MUST_CHECK int gc_run(const struct gc *gc, struct gc_result *result,
		      struct err *err);

/*
 * After an image was published: evict if the cache is too large, unless
 * another process is about to.
 */
MUST_CHECK int gc_evict(const struct gc *gc, struct gc_result *result,
			struct err *err);

/* For the modules behind this: tell of what goes. */
void gc_tell(const struct gc *gc, enum gc_kind kind, uint64_t bytes,
	     const char *format, ...) PRINTF_LIKE(4, 5);

#endif
