// SPDX-License-Identifier: MIT
#ifndef TESTS_TORTURE_SHIM_H
#define TESTS_TORTURE_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Preloaded into flakehub and flakehub.fcgi, this makes the world bad: calls
 * fail or do half of what was asked, the clock is another, or the process is
 * killed between two calls. What is to happen stands in a page of memory that
 * the test shares with every process (TORTURE_CONTROL names its file), so that
 * a fault comes and goes while they run.
 *
 * With TORTURE_RECORD it writes down what is done to the files below
 * TORTURE_UNDER instead, in the order in which it was done: see record.c.
 */

enum call {
	CALL_READ,
	CALL_WRITE,
	CALL_OPEN,
	CALL_FSYNC,
	CALL_SYNCFS,
	CALL_LINK,
	CALL_RENAME,
	CALL_MKDIR,
	CALL_UNLINK,
	CALL_STAT,
	CALL_UTIME,
	CALL_FLOCK,
	CALL_CLOSE,
	CALL_READDIR,
	CALL_PIPE_READ, /* of what is no regular file */
	CALL_PIPE_WRITE,
	CALL_WAIT, /* poll(2) and the like */
};

/* In place of an errno. */
enum { ACT_SHORT = 1000, ACT_KILL, ACT_DROP };

/* Read by the tests: struct.Struct in shim.py. */
struct control {
	uint32_t armed;	      /* bit 0: flakehub, bit 1: flakehub.fcgi */
	uint32_t calls;	      /* a bit for each enum call */
	uint32_t action;      /* an errno or an ACT_ */
	uint32_t per_million; /* calls that fail, or 0: the n-th does */
	uint64_t nth;
	uint64_t left; /* so many times more */
	uint64_t seed;
	uint64_t counted;  /* calls that could have failed */
	uint64_t injected; /* those that did */
	int64_t clock_s;   /* what is added to the clock of the day */
};

/* control.c. To be done to this call: 0 (nothing), an errno or an ACT_. */
int shim_fault(enum call call);

/* A regular file, and none of the standard streams? */
bool shim_is_file(int fd);

/* How far the clock of the day is to be ahead. */
int64_t shim_clock_s(void);

/* record.c: nothing unless TORTURE_RECORD. */
bool record_is_on(void);
void record_lock(void);
void record_unlock(void);
/* What openat(2) will do to a file that is there or not. */
struct record_open {
	bool creates, truncates;
};
struct record_open record_before_open(int dirfd, const char *path, int flags);
void record_open(struct record_open before, int fd);
void record_write(int fd, const void *data, ssize_t done, off_t offset);
void record_fd(const char *what, int fd);
void record_path(const char *what, int dirfd, const char *path);
void record_paths(const char *what, int olddirfd, const char *old, int dirfd,
		  const char *path);
/* The same with the number of the file that is there now. */
void record_file(const char *what, int dirfd, const char *path);
void record_symlink(const char *target, int dirfd, const char *path);

#endif
