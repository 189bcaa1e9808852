// SPDX-License-Identifier: MIT
#include "tests/torture/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * What was done to the files below TORTURE_UNDER, appended to the file
 * TORTURE_RECORD. A line each, "-" for a file without a name below it; a file
 * goes by its number, as it has no name when it is written:
 *
 *	create INODE PATH     mkdir INODE PATH      symlink TARGET PATH
 *	write INODE OFFSET LENGTH, newline, the bytes, newline
 *	truncate INODE -      fsync INODE -         syncfs INODE -
 *	link INODE PATH       rename OLD PATH       unlink - PATH   rmdir - PATH
 *
 * The lock makes the order that of the operations.
 */

static int log_fd = -1;
static char under[PATH_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("TORTURE_RECORD");
	const char *folder = getenv("TORTURE_UNDER");

	if (!path || !folder || strlen(folder) >= sizeof(under))
		return;
	memcpy(under, folder, strlen(folder) + 1);
	log_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	/* No child begins with the lock of a thread that it has not. */
	pthread_atfork(record_lock, record_unlock, record_unlock);
}

bool record_is_on(void)
{
	return log_fd >= 0;
}

void record_lock(void)
{
	if (log_fd >= 0)
		pthread_mutex_lock(&lock);
}

void record_unlock(void)
{
	if (log_fd >= 0)
		pthread_mutex_unlock(&lock);
}

static int look(int dirfd, const char *path, struct stat *st)
{
	return fstatat(dirfd, path, st,
		       AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | 1 << 30);
}

/* Relative to the folder; false if it is not below it. */
static bool name_of(int dirfd, const char *path, char out[PATH_MAX])
{
	char folder[PATH_MAX / 2] = "", link[40], whole[PATH_MAX];
	size_t len = strlen(under);
	ssize_t n = 0;

	if (path[0] != '/') {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
		n = readlink(dirfd == AT_FDCWD ? "/proc/self/cwd" : link,
			     folder, sizeof(folder) - 1);
	}
	if (n < 0 || (size_t)snprintf(whole, sizeof(whole), "%s%s%s", folder,
				      n ? "/" : "", path) >= sizeof(whole))
		return false;
	if (strncmp(whole, under, len) != 0 ||
	    (whole[len] && whole[len] != '/'))
		return false;
	snprintf(out, PATH_MAX, "%s", whole[len] ? whole + len + 1 : ".");
	return true;
}

/* writev(2), for write(2) is the shim's. */
static void put(const void *data, size_t len)
{
	const struct iovec whole = { (void *)(uintptr_t)data, len };

	if (writev(log_fd, &whole, 1) != (ssize_t)len)
		abort();
}

static void line(const char *what, uintmax_t inode, const char *path)
{
	char text[PATH_MAX + 64];
	int n = snprintf(text, sizeof(text), "%s %ju %s\n", what, inode, path);

	put(text, (size_t)n);
}

struct record_open record_before_open(int dirfd, const char *path, int flags)
{
	struct record_open before = { false, false };
	struct stat st;
	int old = errno;

	if (log_fd < 0)
		return before;
	if ((flags & O_TMPFILE) == O_TMPFILE)
		before.creates = true;
	else if (flags & O_CREAT)
		before.creates = look(dirfd, path, &st) != 0;
	before.truncates = flags & O_TRUNC;
	errno = old;
	return before;
}

void record_open(struct record_open before, int fd)
{
	char link[40], path[PATH_MAX], name[PATH_MAX];
	struct stat st;
	int old = errno;
	ssize_t n;

	if (fd < 0 || (!before.creates && !before.truncates) ||
	    look(fd, "", &st) || !S_ISREG(st.st_mode))
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n > 0) {
		path[n] = 0;
		if (name_of(AT_FDCWD, path, name))
			line(before.creates ? "create" : "truncate", st.st_ino,
			     st.st_nlink ? name : "-");
	}
	errno = old;
}

void record_write(int fd, const void *data, ssize_t done, off_t offset)
{
	char text[96];
	struct stat st;
	int old = errno, n;

	if (log_fd < 0 || done <= 0 || look(fd, "", &st) ||
	    !S_ISREG(st.st_mode))
		return;
	n = snprintf(text, sizeof(text), "write %ju %jd %zd\n",
		     (uintmax_t)st.st_ino, (intmax_t)offset, done);
	put(text, (size_t)n);
	put(data, (size_t)done);
	put("\n", 1);
	errno = old;
}

void record_fd(const char *what, int fd)
{
	struct stat st;

	if (log_fd >= 0 && !look(fd, "", &st))
		line(what, st.st_ino, "-");
}

void record_path(const char *what, int dirfd, const char *path)
{
	char name[PATH_MAX];

	if (log_fd >= 0 && name_of(dirfd, path, name))
		line(what, 0, name);
}

void record_paths(const char *what, int olddirfd, const char *old, int dirfd,
		  const char *path)
{
	char from[PATH_MAX], to[PATH_MAX], text[2 * PATH_MAX + 16];

	if (log_fd < 0 || !name_of(olddirfd, old, from) ||
	    !name_of(dirfd, path, to))
		return;
	put(text,
	    (size_t)snprintf(text, sizeof(text), "%s %s %s\n", what, from, to));
}

void record_file(const char *what, int dirfd, const char *path)
{
	char name[PATH_MAX];
	struct stat st;

	if (log_fd >= 0 && name_of(dirfd, path, name) &&
	    !look(dirfd, path, &st))
		line(what, st.st_ino, name);
}

void record_symlink(const char *target, int dirfd, const char *path)
{
	char name[PATH_MAX], text[2 * PATH_MAX + 16];

	if (log_fd >= 0 && name_of(dirfd, path, name))
		put(text, (size_t)snprintf(text, sizeof(text),
					   "symlink %s %s\n", target, name));
}
