// SPDX-License-Identifier: MIT
#ifndef TESTS_UNIT_BROKEN_H
#define TESTS_UNIT_BROKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A machine of which one system call fails: for a thread, by a filter of
 * seccomp(2), which is gone with it.
 */
struct broken {
	int call;  /* SCMP_SYS(openat) */
	int error; /* what it fails with */
	/* Only where (argument & mask) == value; a mask of 0 is always. */
	unsigned int argument;
	uint64_t mask, value;
};

/* Call f(arg) in such a thread and return what it does. */
int broken_run(const struct broken *broken, int (*f)(void *arg), void *arg);

/*
 * The same, where only the nth of such calls fails, counted from 1. False if
 * there were not so many; what f returned goes to *rc.
 */
bool broken_run_nth(const struct broken *broken, unsigned int nth,
		    int (*f)(void *arg), void *arg, int *rc);

/* Descriptors that are open: a call that failed leaves no more of them. */
size_t count_open(void);

/* Not under valgrind: its own calls would fail. */
bool broken_works(void);

#endif
