// SPDX-License-Identifier: MIT
#include "tests/torture/shim.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* The function that this one stands in front of. */
#define REAL(name)                                                             \
	static __typeof__(name) *real;                                         \
	if (!real)                                                             \
	*(void **)&real = dlsym(RTLD_NEXT, #name)

/* Fail as told. ACT_DROP is for the caller to see. */
static bool fails(enum call call, int *action)
{
	*action = shim_fault(call);
	if (!*action || *action >= ACT_SHORT)
		return false;
	errno = *action;
	return true;
}

#define FAIL_IF(call, value)                                                   \
	do {                                                                   \
		int action_;                                                   \
		if (fails(call, &action_))                                     \
			return value;                                          \
	} while (0)

/* Do it and, if it was done, record it, in the order in which it was done. */
#define RECORDED(done, record)                                                 \
	do {                                                                   \
		int rc_;                                                       \
		record_lock();                                                 \
		rc_ = (done);                                                  \
		if (!rc_) {                                                    \
			record;                                                \
		}                                                              \
		record_unlock();                                               \
		return rc_;                                                    \
	} while (0)

static size_t shorter(int action, size_t len)
{
	return action == ACT_SHORT && len > 1 ? (len + 1) / 2 : len;
}

static enum call reading(int fd)
{
	return shim_is_file(fd) ? CALL_READ : CALL_PIPE_READ;
}

static enum call writing(int fd)
{
	return shim_is_file(fd) ? CALL_WRITE : CALL_PIPE_WRITE;
}

ssize_t read(int fd, void *buf, size_t len)
{
	int action;

	REAL(read);
	if (fails(reading(fd), &action))
		return -1;
	return real(fd, buf, shorter(action, len));
}

ssize_t pread(int fd, void *buf, size_t len, off_t offset)
{
	int action;

	REAL(pread);
	if (fails(CALL_READ, &action))
		return -1;
	return real(fd, buf, shorter(action, len), offset);
}

ssize_t write(int fd, const void *buf, size_t len)
{
	int action;
	ssize_t done;

	REAL(write);
	/* What they say is for the test to read. */
	if (fd <= 2)
		return real(fd, buf, len);
	if (fails(writing(fd), &action))
		return -1;
	if (!record_is_on())
		return real(fd, buf, shorter(action, len));
	record_lock();
	done = real(fd, buf, shorter(action, len));
	record_write(fd, buf, done, lseek(fd, 0, SEEK_CUR) - done);
	record_unlock();
	return done;
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	int action;
	ssize_t done;

	REAL(pwrite);
	if (fails(CALL_WRITE, &action))
		return -1;
	record_lock();
	done = real(fd, buf, shorter(action, len), offset);
	record_write(fd, buf, done, offset);
	record_unlock();
	return done;
}

static mode_t mode_of(int flags, va_list list)
{
	bool has = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;

	return has ? va_arg(list, mode_t) : 0;
}

/* One for open(2), openat(2) and what fortified programs call. */
static int open_any(int dirfd, const char *path, int flags, mode_t mode)
{
	struct record_open before;
	int fd;

	REAL(openat);
	FAIL_IF(CALL_OPEN, -1);
	record_lock();
	before = record_before_open(dirfd, path, flags);
	fd = real(dirfd, path, flags, mode);
	record_open(before, fd);
	record_unlock();
	return fd;
}

int open(const char *path, int flags, ...)
{
	va_list list;
	mode_t mode;

	va_start(list, flags);
	mode = mode_of(flags, list);
	va_end(list);
	return open_any(AT_FDCWD, path, flags, mode);
}

int openat(int dirfd, const char *path, int flags, ...)
{
	va_list list;
	mode_t mode;

	va_start(list, flags);
	mode = mode_of(flags, list);
	va_end(list);
	return open_any(dirfd, path, flags, mode);
}

int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
	return open_any(AT_FDCWD, path, flags, 0);
}

int __openat_2(int dirfd, const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags)
{
	return open_any(dirfd, path, flags, 0);
}

/* For openat2(2), which has no function. */
long syscall(long number, ...)
{
	long a[6];
	va_list list;

	REAL(syscall);
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_openat2)
		FAIL_IF(CALL_OPEN, -1);
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static int sync_any(int fd, int (*real)(int), enum call call, const char *what)
{
	int action;

	if (fails(call, &action))
		return -1;
	if (action == ACT_DROP)
		return 0;
	RECORDED(real(fd), record_fd(what, fd));
}

int fsync(int fd)
{
	REAL(fsync);
	return sync_any(fd, real, CALL_FSYNC, "fsync");
}

int fdatasync(int fd)
{
	REAL(fdatasync);
	return sync_any(fd, real, CALL_FSYNC, "fsync");
}

int syncfs(int fd)
{
	REAL(syncfs);
	return sync_any(fd, real, CALL_SYNCFS, "syncfs");
}

int sync_file_range(int fd, off64_t offset, off64_t len, unsigned int flags)
{
	REAL(sync_file_range);
	FAIL_IF(CALL_FSYNC, -1);
	return real(fd, offset, len, flags);
}

/*
 * The kernel's clock is as it is, so what a process makes while its clock is
 * another gets that one's time here.
 */
static void set_time(int dirfd, const char *path)
{
	struct timespec times[2];

	if (!shim_clock_s())
		return;
	clock_gettime(CLOCK_REALTIME, &times[0]);
	times[1] = times[0];
	utimensat(dirfd, path, times, AT_SYMLINK_NOFOLLOW);
}

int linkat(int olddirfd, const char *old, int dirfd, const char *path,
	   int flags)
{
	REAL(linkat);
	FAIL_IF(CALL_LINK, -1);
	RECORDED(real(olddirfd, old, dirfd, path, flags),
		 record_file("link", dirfd, path);
		 set_time(dirfd, path));
}

int renameat(int olddirfd, const char *old, int dirfd, const char *path)
{
	REAL(renameat);
	FAIL_IF(CALL_RENAME, -1);
	RECORDED(real(olddirfd, old, dirfd, path),
		 record_paths("rename", olddirfd, old, dirfd, path);
		 set_time(dirfd, path));
}

int rename(const char *old, const char *path)
{
	return renameat(AT_FDCWD, old, AT_FDCWD, path);
}

int mkdirat(int dirfd, const char *path, mode_t mode)
{
	REAL(mkdirat);
	FAIL_IF(CALL_MKDIR, -1);
	RECORDED(real(dirfd, path, mode), record_file("mkdir", dirfd, path));
}

int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

int unlinkat(int dirfd, const char *path, int flags)
{
	REAL(unlinkat);
	FAIL_IF(CALL_UNLINK, -1);
	RECORDED(real(dirfd, path, flags),
		 record_path(flags & AT_REMOVEDIR ? "rmdir" : "unlink", dirfd,
			     path));
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int symlink(const char *target, const char *path)
{
	REAL(symlink);
	FAIL_IF(CALL_LINK, -1);
	RECORDED(real(target, path), record_symlink(target, AT_FDCWD, path));
}

int fstat(int fd, struct stat *st)
{
	REAL(fstat);
	FAIL_IF(CALL_STAT, -1);
	return real(fd, st);
}

int fstatat(int dirfd, const char *path, struct stat *st, int flags)
{
	REAL(fstatat);
	/* The shim's own. */
	if (flags & (1 << 30))
		return real(dirfd, path, st, flags & ~(1 << 30));
	FAIL_IF(CALL_STAT, -1);
	return real(dirfd, path, st, flags);
}

int utimensat(int dirfd, const char *path, const struct timespec times[2],
	      int flags)
{
	struct timespec now, set[2];

	REAL(utimensat);
	FAIL_IF(CALL_UTIME, -1);
	if (!times || !shim_clock_s())
		return real(dirfd, path, times, flags);
	clock_gettime(CLOCK_REALTIME, &now);
	for (int i = 0; i < 2; i++)
		set[i] = times[i].tv_nsec == UTIME_NOW ? now : times[i];
	return real(dirfd, path, set, flags);
}

int flock(int fd, int operation)
{
	REAL(flock);
	FAIL_IF(CALL_FLOCK, -1);
	return real(fd, operation);
}

int close(int fd)
{
	int action, rc;

	REAL(close);
	action = shim_is_file(fd) ? shim_fault(CALL_CLOSE) : 0;
	rc = real(fd);
	/* Closed it is all the same. */
	if (!action || action >= ACT_SHORT)
		return rc;
	errno = action;
	return -1;
}

struct dirent *readdir(DIR *dir)
{
	REAL(readdir);
	FAIL_IF(CALL_READDIR, NULL);
	return real(dir);
}

ssize_t getdents64(int fd, void *buf, size_t len)
{
	REAL(getdents64);
	FAIL_IF(CALL_READDIR, -1);
	return real(fd, buf, len);
}

ssize_t readlinkat(int dirfd, const char *restrict path, char *restrict buf,
		   size_t len)
{
	REAL(readlinkat);
	FAIL_IF(CALL_STAT, -1);
	return real(dirfd, path, buf, len);
}

int poll(struct pollfd *fds, nfds_t nr, int timeout)
{
	REAL(poll);
	FAIL_IF(CALL_WAIT, -1);
	return real(fds, nr, timeout);
}

int epoll_wait(int epoll, struct epoll_event *events, int nr, int timeout)
{
	REAL(epoll_wait);
	FAIL_IF(CALL_WAIT, -1);
	return real(epoll, events, nr, timeout);
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	int rc;

	REAL(clock_gettime);
	rc = real(clock, ts);
	if (!rc && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		ts->tv_sec += shim_clock_s();
	return rc;
}

time_t time(time_t *out)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (out)
		*out = ts.tv_sec;
	return ts.tv_sec;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec ts;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}
