// SPDX-License-Identifier: MIT
#include "common/removal.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cachefile.h"
#include "common/lease.h"

#include "common/banned.h"

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

void removals_release(struct removals *removals)
{
	tdestroy(removals->paths, free);
}

int removal_bar(const struct gc *gc, int *bar, struct err *err)
{
	if (gc->dry_run)
		return 0;
	*bar = lease_bar(gc->cache, err);
	return *bar < 0 ? -1 : 0;
}

static void remember(struct removals *removals, const char *path)
{
	char *copy = xstrdup(path);
	char *const *node = tsearch(copy, &removals->paths, compare);

	if (!node)
		abort(); /* no memory */
	if (*node != copy)
		free(copy);
}

int removal_unlink(const struct gc *gc, const char *path, struct err *err)
{
	if (gc->dry_run) {
		remember(gc->removals, path);
		return 0;
	}
	if (!unlinkat(gc->cache->fd, path, 0) || errno == ENOENT)
		return 0;
	if (errno == EISDIR)
		return cachefile_set_aside(gc->cache->fd, path, err);
	return err_errno(err, "cannot remove %s from the cache", path);
}

void removal_rmdir(const struct gc *gc, const char *path)
{
	struct stat st;

	if (!gc->dry_run)
		unlinkat(gc->cache->fd, path, AT_REMOVEDIR);
	else if (!fstatat(gc->cache->fd, path, &st, AT_SYMLINK_NOFOLLOW))
		gc->removals->bytes += (uint64_t)st.st_blocks * 512;
}

bool removal_was(const struct gc *gc, const char *path)
{
	return gc->dry_run && tfind(path, &gc->removals->paths, compare);
}

bool removal_leaves_blob(const struct gc *gc, const struct digest *digest)
{
	char path[CACHE_BLOB_FILE_SIZE];

	return cache_has_blob(gc->cache, digest, NULL) &&
	       !removal_was(gc, cache_blob_file(digest, path));
}
