// SPDX-License-Identifier: MIT
#ifndef COMMON_SPAWN_H
#define COMMON_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/strbuf.h"

/*
 * The one place where programs are started. Never through a shell; with an
 * environment of allowed names only, default signals, an empty signal mask,
 * a process group of its own, no descriptor but 0, 1 and 2.
 */

struct spawn {
	const char *const *argv; /* argv[0] is looked for on PATH */
	char *const *env;	 /* NULL: spawn_environment() */
	int in, out, err;	 /* descriptors; -1 is /dev/null */
	bool new_session;	 /* else a new process group only */
	/* Sent to it when the thread that started it ends; 0 for none. */
	int death_signal;
	int64_t data_max; /* bytes, RLIMIT_DATA of each process; 0 for none */
};
#define SPAWN_INIT                                                             \
	{                                                                      \
		.argv = NULL, .env = NULL, .in = -1, .out = -1, .err = -1,     \
		.new_session = false, .death_signal = 0, .data_max = 0         \
	}

/*
 * Our own environment less all that is not on the allow-list of spawn.c.
 * NULL-terminated; one allocation that lives as long as the process.
 */
char *const *spawn_environment(void);

/* Start it; returns its pid, which the caller must wait for, or -1. */
MUST_CHECK pid_t spawn_start(const struct spawn *spawn, struct err *err);

/* A run whose output is wanted. */
struct spawn_run {
	const char *const *argv;
	const char *name; /* for messages; NULL: argv[0] */
	char *const *env; /* NULL: spawn_environment() */
	/* Told of what it writes to stderr, as it comes. */
	void (*on_stderr)(void *arg, const char *data, size_t len);
	void *arg;
	bool both;	    /* stderr goes where stdout goes */
	size_t out_max;	    /* bytes of stdout; more is ERR_MALFORMED */
	uint64_t err_max;   /* bytes of stderr, the same; 0 for no limit */
	int64_t data_max;   /* as in struct spawn */
	int death_signal;   /* when the calling thread ends; 0: SIGTERM */
	int64_t timeout_ms; /* from now; < 0 for ever. Else ERR_TIMED_OUT */
	/*
	 * Its stdin is a pipe that says nothing and ends with this run or with
	 * this process, and there is no death signal: for a program that may
	 * not be killed alone.
	 */
	bool lifeline;
};

/*
 * Run it to its end and append its stdout. *status is as waitpid(2) gives it
 * when 0 is returned; what a status other than 0 means is the caller's to
 * say. On any error the process group gets SIGTERM, after 5 s SIGKILL, and
 * is reaped. It gets its death_signal, too, if the calling thread ends, where
 * it has no lifeline.
 */
MUST_CHECK int spawn_run(const struct spawn_run *run, struct strbuf *out,
			 int *status, struct err *err);

#endif
