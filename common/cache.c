// SPDX-License-Identifier: MIT
#include "common/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cachefile.h"
#include "common/clock.h"

#include "common/banned.h"

/* Of the layout that this program reads and writes. */
#define LAYOUT_VERSION 1

/* Mirrors and homes of flakes may hold private sources. */
static const struct {
	const char *name;
	mode_t mode;
} folders[] = {
	{ "blobs", 0755 },	  { "blobs/sha256", 0755 }, { "layers", 0755 },
	{ "repositories", 0755 }, { "git", 0700 },	    { "roots", 0755 },
	{ "builds", 0755 },	  { "locks", 0700 },	    { "tmp", 0755 },
};

static int check_version(const struct cache *cache, struct err *err)
{
	autostrbuf text = STRBUF_INIT;
	unsigned long version;
	char *end;

	if (cachefile_read(cache->fd, "version", SMALL_FILE_MAX, &text, err))
		return -1;
	version = strtoul(text.buf, &end, 10);
	if (end == text.buf || strcmp(end, "\n"))
		return err_set(err, ERR_MALFORMED,
			       "%s/version is not a number: is this a cache "
			       "of flakehub?",
			       cache->path);
	if (version > LAYOUT_VERSION)
		return err_set(err, ERR_REFUSED,
			       "the cache %s has layout %lu and this flakehub "
			       "knows %d: use the newer flakehub, or another "
			       "cache-dir",
			       cache->path, version, LAYOUT_VERSION);
	return 0;
}

static int check_owner(const struct cache *cache, struct err *err)
{
	struct stat st;

	if (fstat(cache->fd, &st))
		return err_errno(err, "cannot look at the cache %s",
				 cache->path);
	if (st.st_uid != geteuid())
		return err_set(err, ERR_REFUSED,
			       "the cache %s belongs to user %lu, and this is "
			       "user %lu: only its owner may write to it",
			       cache->path, (unsigned long)st.st_uid,
			       (unsigned long)geteuid());
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, ERR_REFUSED,
			       "the cache %s has mode %04o: other users could "
			       "write to it (chmod go-w)",
			       cache->path, st.st_mode & 07777u);
	return 0;
}

/* A folder that is ours, and no link to one. */
static int check_folder(const struct cache *cache, const char *name,
			mode_t mode, struct err *err)
{
	autoclose int fd =
		open_beneath(cache->fd, name, O_RDONLY | O_DIRECTORY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return err_errno(err, "cannot open %s/%s", cache->path, name);
	if (st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, ERR_REFUSED,
			       "%s/%s is another user's, or other users may "
			       "write to it",
			       cache->path, name);
	if ((st.st_mode & 0777) & ~mode && fchmod(fd, mode))
		return err_errno(err, "cannot close %s/%s to other users",
				 cache->path, name);
	return 0;
}

static int write_version(const struct cache *cache, struct err *err)
{
	char text[16];

	snprintf(text, sizeof(text), "%d\n", LAYOUT_VERSION);
	return cachefile_replace(cache->fd, "./version", text, strlen(text),
				 CACHEFILE_SYNC, err);
}

/*
 * Remove from a folder what is of no use to anybody, after a day: its process
 * may be on another host of an NFS cache, or in another container.
 */
static void sweep(const struct cache *cache, const char *folder,
		  bool (*is_left)(const char *name))
{
	int fd = openat(cache->fd, folder,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		struct stat st;

		if (is_left(entry->d_name) &&
		    !fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
		    time(NULL) - st.st_mtime > 24 * 3600)
			unlinkat(fd, entry->d_name, 0);
	}
	closedir(dir);
}

/* In tmp/ a process that died has left it. */
static bool is_temporary(const char *name)
{
	return name[0] != '.';
}

/* A GC root of a builder that was killed. */
static bool is_dead_root(const char *name)
{
	static const char prefix[] = "builder.";
	size_t len = sizeof(prefix) - 1;

	return !strncmp(name, prefix, len) &&
	       kill((pid_t)strtol(name + len, NULL, 10), 0) && errno == ESRCH;
}

/* Those that make room where there is none for another file. */
static void make_locks(const struct cache *cache)
{
	static const char *const names[] = { "locks/evict", "locks/gc",
					     "locks/usage" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int fd =
			openat(cache->fd, names[i],
			       O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

		if (fd >= 0)
			close(fd);
	}
}

static int prepare(const struct cache *cache, enum cache_mode mode,
		   struct err *err)
{
	if (check_owner(cache, err))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		const char *name = folders[i].name;

		if (mkdirat(cache->fd, name, folders[i].mode) &&
		    errno != EEXIST)
			return err_errno(err, "cannot make %s/%s", cache->path,
					 name);
		if (check_folder(cache, name, folders[i].mode, err))
			return -1;
	}
	if (check_version(cache, err)) {
		if (err->code != ERR_UNKNOWN || write_version(cache, err))
			return -1;
	}
	make_locks(cache);
	if (mode != CACHE_GC)
		sweep(cache, "tmp", is_temporary);
	sweep(cache, "roots", is_dead_root);
	return 0;
}

/* mkdir -p, but only when writing. */
static int open_folder(const char *path, enum cache_mode mode)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autofree char *copy = xstrdup(path);

	if (fd >= 0 || errno != ENOENT || mode == CACHE_READ)
		return fd;
	for (char *p = copy + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = 0;
		if (mkdir(copy, 0755) && errno != EEXIST)
			return -1;
		*p = '/';
	}
	if (mkdir(copy, 0755) && errno != EEXIST)
		return -1;
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int cache_open(struct cache *cache, const char *path, enum cache_mode mode,
	       struct err *err)
{
	*cache = (struct cache)CACHE_INIT;
	if (path[0] != '/')
		return err_set(err, ERR_MALFORMED,
			       "the cache's path must be absolute, not %s",
			       path);
	cache->fd = open_folder(path, mode);
	if (cache->fd < 0)
		return err_errno(err, "cannot open the cache %s", path);
	cache->path = xstrdup(path);
	cache->writable = mode != CACHE_READ;
	if (cache->writable ? prepare(cache, mode, err)
			    : check_version(cache, err)) {
		cache_release(cache);
		return -1;
	}
	return 0;
}

void cache_release(struct cache *cache)
{
	if (cache->fd >= 0)
		close(cache->fd);
	free(cache->path);
	*cache = (struct cache)CACHE_INIT;
}

int cache_sync(const struct cache *cache, struct err *err)
{
	if (syncfs(cache->fd))
		return err_errno(err, "cannot sync the cache %s", cache->path);
	return 0;
}

char *cache_root_path(const struct cache *cache, const char *name)
{
	return xasprintf("%s/roots/%s", cache->path, name);
}

/* flock(2) has no deadline of its own. */
static int flock_until(int fd, int64_t deadline_ms)
{
	const struct timespec pause = { .tv_nsec = 20000000 };

	for (;;) {
		if (!flock(fd, LOCK_EX | LOCK_NB))
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -1;
		if (clock_monotonic_ms() >= deadline_ms) {
			errno = EWOULDBLOCK;
			return -1;
		}
		nanosleep(&pause, NULL);
	}
}

/* Who only reads makes none: it would be another user's. */
static int open_lock(const struct cache *cache, const char *path)
{
	const int flags = O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(cache->fd, path,
			O_RDWR | (cache->writable ? O_CREAT : 0) | flags, 0600);

	if (fd < 0 && errno == EROFS && !cache->writable)
		fd = openat(cache->fd, path, O_RDONLY | flags);
	return fd;
}

/* For one that nobody holds, as it is not there. */
static int no_lock(const struct cache *cache, struct err *err)
{
	int fd = fcntl(cache->fd, F_DUPFD_CLOEXEC, 0);

	return fd < 0 ? err_errno(err, "cannot look at the cache %s",
				  cache->path)
		      : fd;
}

static int lock_once(const struct cache *cache, const char *path,
		     int timeout_ms, struct err *err)
{
	autoclose int fd = open_lock(cache, path);
	int rc;

	if (fd < 0 && errno == ENOENT && !cache->writable)
		return no_lock(cache, err);
	if (fd < 0)
		return err_errno(err, "cannot open the lock %s in the cache",
				 path);
	if (timeout_ms < 0) {
		do
			rc = flock(fd, LOCK_EX);
		while (rc && errno == EINTR);
	} else {
		rc = flock_until(fd, clock_monotonic_ms() + timeout_ms);
	}
	if (rc && errno == EWOULDBLOCK)
		return err_set(err, ERR_BUSY, "%s in the cache is taken", path);
	if (rc)
		return err_errno(err, "cannot take %s in the cache", path);
	return steal_fd(&fd);
}

/*
 * Locks that nobody holds are swept by who took them for that: what we have
 * waited for may have no name any more, and another file be the lock.
 */
int cache_lock(const struct cache *cache, const char *name, int timeout_ms,
	       struct err *err)
{
	autofree char *path = xasprintf("locks/%s", name);

	for (;;) {
		autoclose int fd = lock_once(cache, path, timeout_ms, err);
		struct stat st;

		if (fd < 0)
			return -1;
		if (fstat(fd, &st))
			return err_errno(err, "cannot look at %s", path);
		if (st.st_nlink)
			return steal_fd(&fd);
	}
}

int cache_refresh(const struct cache *cache, struct err *err)
{
	autoclose int fd = -1;
	struct stat st;

	if (fstat(cache->fd, &st))
		return err_errno(err, "cannot look at the cache %s",
				 cache->path);
	if (st.st_nlink)
		return 0;
	fd = open(cache->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	/* In place: other threads look up the number. */
	if (fd < 0 || dup3(fd, cache->fd, O_CLOEXEC) < 0)
		return err_errno(err, "cannot open the cache %s anew",
				 cache->path);
	return 0;
}
