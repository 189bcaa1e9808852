// SPDX-License-Identifier: MIT
#ifndef COMMON_IMAGE_H
#define COMMON_IMAGE_H

#include <stdbool.h>

#include "common/cache.h"
#include "common/layer.h"
#include "common/reference.h"
#include "common/settings.h"

/*
 * The story of a pull: from a repository name and a reference to a manifest
 * in the cache with all that it needs. A tag is resolved, found to be known
 * already or built; a digest is made again from its record, the same bytes or
 * an error. One process does it at a time, whoever asks.
 */

/* What is told as it goes on; any of its functions may be NULL. */
struct image_progress {
	/* "resolving", "evaluating", "building", "making layers", … */
	void (*phase)(void *arg, const char *phase);
	/* A line of Nix's, clean, without its newline. */
	void (*line)(void *arg, const char *line);
	/* How many layers there are, before the first is made. */
	void (*layers)(void *arg, size_t nr, uint64_t nar_bytes);
	void (*bytes)(void *arg, uint64_t tar_bytes);
	void (*layer)(void *arg, bool made);
	void (*warning)(void *arg, const char *message);
	void *arg;
};

struct image_build {
	const struct settings *settings;
	const struct cache *cache; /* writable */
	const struct repository_name *name;
	const struct reference *reference;
	const struct image_progress *progress; /* or NULL */
	/*
	 * Leave layers whose digests the output itself says to the first who
	 * asks for one: the image is made again by its digest then.
	 */
	bool lazy;
};

/*
 * Make the image be there. *head is what the reference names now. On an error
 * its failure record is in the cache, too, unless the error is that there is
 * no such flake, or the cache's own.
 */
MUST_CHECK int image_build(const struct image_build *build,
			   struct image_head *head, struct err *err);

#endif
