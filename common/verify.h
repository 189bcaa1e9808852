// SPDX-License-Identifier: MIT
#ifndef COMMON_VERIFY_H
#define COMMON_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cache.h"
#include "common/settings.h"

/*
 * Reading every blob and hashing it. One whose bytes do not hash to its name,
 * or cannot be read, is moved to bad/, after the manifests that need it are
 * removed: it is not served again, and the next pull makes it anew. So is an
 * image of which a blob is not there that should be.
 *
 * Reading takes long, and what it found may be of yesterday: before anything
 * is touched, the lock "evict" is taken alone, the file that was read must be
 * the one that is there still, and who needs it is looked for again.
 */
struct verify {
	const struct settings *settings;
	const struct cache *cache; /* writable */
	bool repair;		   /* make what was bad anew at once */
	uint64_t rate;		   /* bytes a second to read; 0: no limit */
	/* Told of each bad blob, of each image of which a blob is missing, and
	 * of what came of making images anew: an error with code ERR_NONE is
	 * success. May be NULL. */
	void (*bad)(void *arg, const struct digest *digest, const char *why);
	void (*missing)(void *arg, const struct repository_name *name,
			const struct digest *manifest);
	/* Of each record that was wrong, and whether it is right now. */
	void (*record)(void *arg, const struct repository_name *name,
		       const struct digest *manifest, const char *why,
		       bool is_mended);
	void (*repaired)(void *arg, const struct repository_name *name,
			 const struct digest *manifest, const struct err *err);
	void *arg;
};

struct verify_result {
	size_t blobs, bad;
	uint64_t bytes;
	size_t incomplete; /* images of which a blob was missing */
	size_t images;	   /* these, and those that needed a bad blob */
	size_t unrepaired; /* of them, that are not as they were */
	size_t records;	   /* that were wrong, or whose links were */
	size_t lost_records;
};

/* ERR_BUSY if another one is under way. */
MUST_CHECK int verify_run(const struct verify *verify,
			  struct verify_result *result, struct err *err);

/*
 * The part of it that is about records: does each fit the manifest that it is
 * named after, and is each blob of that linked? A head and a link are written
 * anew at once, by what the body says; a record that cannot be read stays, and
 * the next build of a tag that is this image's makes it anew, with repair now.
 */
MUST_CHECK int verify_records(const struct verify *verify,
			      struct verify_result *result, struct err *err);

#endif
