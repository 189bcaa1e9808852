// SPDX-License-Identifier: MIT
#include "common/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/folder.h"
#include "common/lease.h"
#include "common/removal.h"

#include "common/banned.h"

/* Making a lock anew costs nothing; but why for every pull. */
#define LOCK_AGE_S 3600

bool sweep_is_older(const struct gc *gc, const char *path, int64_t age_s)
{
	struct stat st;

	return !fstatat(gc->cache->fd, path, &st, AT_SYMLINK_NOFOLLOW) &&
	       time(NULL) - st.st_mtime >= age_s;
}

int64_t sweep_record_age(const struct gc *gc)
{
	int64_t age = gc->settings->record_max_age;

	return age > LEASE_S ? age : LEASE_S;
}

int sweep_file(const struct gc *gc, enum gc_kind kind, const char *path,
	       struct err *err)
{
	struct stat st;

	if (fstatat(gc->cache->fd, path, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (removal_unlink(gc, path, err))
		return -1;
	gc_tell(gc, kind, (uint64_t)st.st_blocks * 512, "%s", path);
	return 0;
}

/* Remove all below a path of the cache; what cannot be is left. */
static void sweep_tree(const struct gc *gc, enum gc_kind kind, const char *path)
{
	autofree char *full = xasprintf("%s/%s", gc->cache->path, path);
	char *paths[] = { full, NULL };
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	const FTSENT *entry;
	uint64_t bytes = 0;

	while (fts && (entry = fts_read(fts))) {
		if (entry->fts_info == FTS_D)
			continue;
		if (entry->fts_statp)
			bytes += (uint64_t)entry->fts_statp->st_blocks * 512;
		if (!gc->dry_run)
			remove(entry->fts_accpath);
	}
	if (fts)
		fts_close(fts);
	gc_tell(gc, kind, bytes, "%s", path);
}

static int sweep_layer(const struct gc *gc, const char *folder, const char *hex,
		       struct err *err)
{
	autofree char *path = xasprintf("layers/%s/%s", folder, hex);
	autoclose int bar = -1;
	struct digest key;
	struct layer layer;
	struct err ignored;

	if (digest_parse_hex(&key, hex, strlen(hex), &ignored) ||
	    !lease_is_over(gc->cache, path, LEASE_MTIME))
		return 0;
	if (!cache_get_layer(gc->cache, &key, &layer, &ignored) &&
	    removal_leaves_blob(gc, &layer.blob.digest))
		return 0;
	if (removal_bar(gc, &bar, err))
		return -1;
	if (!lease_is_over(gc->cache, path, LEASE_MTIME))
		return 0;
	return sweep_file(gc, GC_LAYER, path, err);
}

int sweep_layers(const struct gc *gc, struct err *err)
{
	autofolder folders = FOLDER_INIT;

	if (folder_read(&folders, gc->cache->fd, "layers", err))
		return -1;
	for (size_t i = 0; i < folders.nr; i++) {
		autofolder keys = FOLDER_INIT;
		autofree char *path = xasprintf("layers/%s", folders.names[i]);

		if (folder_read(&keys, gc->cache->fd, path, err))
			return -1;
		for (size_t j = 0; j < keys.nr; j++)
			if (sweep_layer(gc, folders.names[i], keys.names[j],
					err))
				return -1;
	}
	return 0;
}

static bool flake_is_set(const struct gc *gc, const struct digest *flake)
{
	for (size_t i = 0; i < gc->settings->nr_flakes; i++)
		if (digest_equal(&gc->settings->flakes[i].id, flake))
			return true;
	return false;
}

int sweep_mirrors(const struct gc *gc, struct err *err)
{
	autofolder files = FOLDER_INIT;

	if (folder_read(&files, gc->cache->fd, "git", err))
		return -1;
	for (size_t i = 0; i < files.nr; i++) {
		const char *name = files.names[i];
		size_t len = strcspn(name, ".");
		autofree char *path = xasprintf("git/%s", name);
		autofree char *lock_name =
			xasprintf("git.%.*s", (int)len, name);
		autoclose int lock = -1;
		struct digest flake;
		struct err ignored;

		/* A day: other settings may be in force for a moment. */
		if (digest_parse_hex(&flake, name, len, &ignored) ||
		    flake_is_set(gc, &flake) ||
		    !sweep_is_older(gc, path, SWEEP_AFTER_S))
			continue;
		lock = cache_lock(gc->cache, lock_name, 0, &ignored);
		if (lock >= 0)
			sweep_tree(gc, GC_MIRROR, path);
	}
	return 0;
}

/* There are few of these, and always the same. */
static bool stays(const char *lock)
{
	static const char *const few[] = { "slot.", "layer.", "evict", "gc",
					   "usage" };

	for (size_t i = 0; i < ARRAY_SIZE(few); i++)
		if (!strncmp(lock, few[i], strlen(few[i])))
			return true;
	return false;
}

int sweep_locks(const struct gc *gc, struct err *err)
{
	autofolder locks = FOLDER_INIT;

	if (folder_read(&locks, gc->cache->fd, "locks", err))
		return -1;
	for (size_t i = 0; i < locks.nr; i++) {
		autofree char *path = xasprintf("locks/%s", locks.names[i]);
		autoclose int lock = -1;
		struct err busy;

		if (stays(locks.names[i]) ||
		    !sweep_is_older(gc, path, LOCK_AGE_S))
			continue;
		/* Unlinked while it is ours: see cache_lock(). */
		lock = cache_lock(gc->cache, locks.names[i], 0, &busy);
		if (lock >= 0 && sweep_file(gc, GC_LOCK, path, err))
			return -1;
	}
	return 0;
}

int sweep_temporary(const struct gc *gc, struct err *err)
{
	autofolder temporary = FOLDER_INIT, bad = FOLDER_INIT;

	if (folder_read(&temporary, gc->cache->fd, "tmp", err) ||
	    folder_read(&bad, gc->cache->fd, "bad", err))
		return -1;
	for (size_t i = 0; i < temporary.nr; i++) {
		autofree char *path = xasprintf("tmp/%s", temporary.names[i]);

		if (sweep_is_older(gc, path, SWEEP_AFTER_S))
			sweep_tree(gc, GC_TEMPORARY, path);
	}
	for (size_t i = 0; i < bad.nr; i++) {
		autofree char *path = xasprintf("bad/%s", bad.names[i]);

		if (sweep_is_older(gc, path, sweep_record_age(gc)))
			sweep_tree(gc, GC_TEMPORARY, path);
	}
	return 0;
}
