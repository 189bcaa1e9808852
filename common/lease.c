// SPDX-License-Identifier: MIT
#include "common/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"

#include "common/banned.h"

#define LOCK_NAME "locks/evict"

/* A lease has at least nine of its ten minutes left. */
#define RENEW_S 60

static int open_lock(const struct cache *cache)
{
	return openat(cache->fd, LOCK_NAME,
		      O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static int take(const struct cache *cache, int operation, struct err *err)
{
	autoclose int fd = open_lock(cache);
	int rc;

	if (fd < 0)
		return err_errno(err, "cannot open the lock " LOCK_NAME
				      " in the cache");
	do
		rc = flock(fd, operation);
	while (rc && errno == EINTR);
	if (rc)
		return err_errno(err, "cannot take " LOCK_NAME " in the cache");
	return steal_fd(&fd);
}

int lease_hold(const struct cache *cache, struct err *err)
{
	return take(cache, LOCK_SH, err);
}

int lease_bar(const struct cache *cache, struct err *err)
{
	return take(cache, LOCK_EX, err);
}

bool lease_file(const struct cache *cache, const char *path,
		const struct stat *st, enum lease_time which)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_NOW },
				     { .tv_nsec = UTIME_NOW } };
	time_t age = time(NULL) -
		     (which == LEASE_ATIME ? st->st_atime : st->st_mtime);
	struct err ignored;

	if (age >= 0 && age <= RENEW_S)
		return true;
	if (which == LEASE_ATIME)
		times[1].tv_nsec = UTIME_OMIT;
	autoclose int hold = lease_hold(cache, &ignored);

	(void)hold; /* held until the end; clang takes that for unused */
	return !utimensat(cache->fd, path, times, AT_SYMLINK_NOFOLLOW) ||
	       (errno != ENOENT && errno != ENOTDIR);
}

int64_t lease_last_use(const struct stat *st, enum lease_time which,
		       int64_t now)
{
	int64_t used = st->st_mtime;

	if (which == LEASE_ATIME && st->st_atime > used)
		used = st->st_atime;

	return used > now ? now : used;
}

bool lease_is_over(const struct cache *cache, const char *path,
		   enum lease_time which)
{
	int64_t now = time(NULL);
	struct stat st;

	return !fstatat(cache->fd, path, &st, AT_SYMLINK_NOFOLLOW) &&
	       now - lease_last_use(&st, which, now) >= LEASE_S;
}
