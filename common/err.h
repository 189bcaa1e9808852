// SPDX-License-Identifier: MIT
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include <stddef.h>

/*
 * An error is a value on the caller's stack. A function that can fail takes
 * a struct err last and returns 0, or -1 with the error set. Who detects it
 * sets it, once; callers add what they know with err_wrap() or pass it on;
 * only the outermost loop logs it or sends it to a client.
 */

enum err_code {
	ERR_NONE,
	ERR_MALFORMED, /* input that breaks its grammar or its format */
	ERR_UNKNOWN,   /* well formed, but there is no such thing */
	ERR_BUSY,      /* a queue is full: the same again may work later */
	ERR_TIMED_OUT,
	ERR_NIX,      /* Nix, or the flake that it evaluated, failed */
	ERR_UPSTREAM, /* the flake's host did not answer as it should */
	ERR_REFUSED,  /* will not be done, and why */
	ERR_SYSTEM,   /* the machine's fault; sys is its errno or 0 */
};

/* Long enough for the end of Nix's log, which is what a client is shown. */
#define ERR_MSG_SIZE 3072

struct err {
	enum err_code code;
	int sys;
	char msg[ERR_MSG_SIZE];
};

#define ERR_INIT                                                               \
	{                                                                      \
		.code = ERR_NONE, .sys = 0, .msg = ""                          \
	}

#define MUST_CHECK	  __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define ARRAY_SIZE(a)	  (sizeof(a) / sizeof((a)[0]))

/* Set the error; the message is cut at ERR_MSG_SIZE. Always returns -1. */
int err_set(struct err *err, enum err_code code, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* ERR_SYSTEM from errno: "message: strerror". Always returns -1. */
int err_errno(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Put "context: " before the message that is there. Always returns -1. */
int err_wrap(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

/*
 * The compiler sees at each place that they return -1, and so do the static
 * analysers, which else take a path on which an error was set for one on
 * which all went well.
 */
static inline int err_minus_one(void)
{
	return -1;
}
#define err_set(...)   (err_set(__VA_ARGS__), err_minus_one())
#define err_errno(...) (err_errno(__VA_ARGS__), err_minus_one())
#define err_wrap(...)  (err_wrap(__VA_ARGS__), err_minus_one())

/* A word for logs and records: "malformed", "unknown", … Static. */
const char *err_code_name(enum err_code code);

/* The code of that word, or ERR_SYSTEM if it is none. */
enum err_code err_code_parse(const char *name);

#endif
