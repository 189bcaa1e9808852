// SPDX-License-Identifier: MIT
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "common/err.h"
#include "common/strbuf.h"

/*
 * One event, one line on stderr, in logfmt, without a timestamp (journald and
 * web servers add one): level=info req=4f2a status=200 ms=12 msg="…". Values
 * that a request brought are escaped, so a line is always one line.
 */

enum log_level {
	LOG_LEVEL_INFO,
	LOG_LEVEL_WARN,
	LOG_LEVEL_ERROR,
};

/*
 * Write a line of pairs: log_event(LOG_LEVEL_INFO, "req", id, "path", path,
 * NULL). Every key and value is a string; a NULL value leaves its pair out.
 * Written with one write(2), from any thread.
 */
void log_event(enum log_level level, ...) __attribute__((sentinel));

/* level=error with the error's code and message, after the pairs given. */
void log_err(const struct err *err, ...) __attribute__((sentinel));

/* Append s as a logfmt value: quoted and escaped where it must be. */
void log_value(struct strbuf *out, const char *s);

/*
 * Text from Nix, git or a flake, made fit to be shown to a client: escape
 * sequences of terminals and control characters but newline and tab gone,
 * bytes that are no UTF-8 as U+FFFD, and what is secret in every URL
 * ("://user:password@", "?token=…") masked by secret_mask().
 */
void text_clean(struct strbuf *out, const char *text, size_t len);

#endif
