// SPDX-License-Identifier: MIT
#ifndef COMMON_REMOVAL_H
#define COMMON_REMOVAL_H

#include "common/gc.h"

/*
 * Removing files of the cache. In a dry run none is; but what comes after one
 * that would be is told that it is gone, and so finds what it would find.
 */

struct removals {
	void *paths;	/* tsearch(3)'s */
	uint64_t bytes; /* of disk, of all that gc_tell() told of */
};

void removals_release(struct removals *removals);
#define autoremovals __attribute__((cleanup(removals_release))) struct removals

/* lease_bar(), held while *bar is open. A dry run needs none. */
MUST_CHECK int removal_bar(const struct gc *gc, int *bar, struct err *err);

/* Unlink a file. That it is not there is success. */
MUST_CHECK int removal_unlink(const struct gc *gc, const char *path,
			      struct err *err);

/* Remove a folder, if it is empty. In a dry run it will be. */
void removal_rmdir(const struct gc *gc, const char *path);

/* Would a dry run have removed it? */
bool removal_was(const struct gc *gc, const char *path);

/* Is the blob there, and will be? */
bool removal_leaves_blob(const struct gc *gc, const struct digest *digest);

#endif
