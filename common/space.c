// SPDX-License-Identifier: MIT
#include "common/space.h"

#include <inttypes.h>
#include <sys/statvfs.h>

#include "common/banned.h"

#define BYTES_MIN  (UINT64_C(64) << 20)
/* An image of a hundred layers has three files of each. */
#define INODES_MIN UINT64_C(1000)
#define PART	   20
/* A record of a failure, its temporary file, a folder. */
#define RECORD_MIN (UINT64_C(64) << 10)

static uint64_t least(uint64_t want, uint64_t all)
{
	return want < all / PART ? want : all / PART;
}

uint64_t space_free(const struct cache *cache)
{
	struct statvfs fs;

	if (fstatvfs(cache->fd, &fs))
		return 0;
	return (uint64_t)fs.f_bavail * fs.f_frsize;
}

const char *space_none(const struct cache *cache)
{
	struct statvfs fs;

	if (fstatvfs(cache->fd, &fs))
		return NULL;
	if (fs.f_flag & ST_RDONLY)
		return "the cache's file system is read-only";
	if ((uint64_t)fs.f_bavail * fs.f_frsize < RECORD_MIN ||
	    (fs.f_files && !fs.f_favail))
		return "no space is left on the cache's file system";
	return NULL;
}

int space_check(const struct cache *cache, struct err *err)
{
	uint64_t free_bytes, min_bytes, min_inodes;
	struct statvfs fs;

	if (fstatvfs(cache->fd, &fs))
		return err_errno(err,
				 "the disk of the cache %s does not "
				 "answer",
				 cache->path);
	free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	min_bytes = least(BYTES_MIN, (uint64_t)fs.f_blocks * fs.f_frsize);
	min_inodes = least(INODES_MIN, fs.f_files);
	if (free_bytes < min_bytes)
		return err_set(err, ERR_REFUSED,
			       "no space is left for a build: the disk of the "
			       "cache %s has %" PRIu64 " KB free, and a build "
			       "begins with no less than %" PRIu64
			       " KB. Make room, or lower cache-size",
			       cache->path, free_bytes >> 10, min_bytes >> 10);
	/* Some file systems count none. */
	if (fs.f_files && fs.f_favail < min_inodes)
		return err_set(err, ERR_REFUSED,
			       "no space is left for a build: the disk of the "
			       "cache %s has %" PRIu64 " inodes free, and a "
			       "build begins with no less than %" PRIu64,
			       cache->path, (uint64_t)fs.f_favail, min_inodes);
	return 0;
}
