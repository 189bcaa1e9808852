// SPDX-License-Identifier: MIT
#ifndef COMMON_STRBUF_H
#define COMMON_STRBUF_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

/*
 * A string that grows. buf is never NULL and always ends in a NUL that len
 * does not count; it may hold other NULs.
 */
struct strbuf {
	char *buf;
	size_t len;
	size_t alloc;
};

extern char strbuf_empty[1];
#define STRBUF_INIT                                                            \
	{                                                                      \
		.buf = strbuf_empty, .len = 0, .alloc = 0                      \
	}

void strbuf_release(struct strbuf *sb);
#define autostrbuf __attribute__((cleanup(strbuf_release))) struct strbuf

void strbuf_reset(struct strbuf *sb);
/* The string, which is the caller's to free; sb is empty afterwards. */
char *strbuf_detach(struct strbuf *sb, size_t *len);

void strbuf_add(struct strbuf *sb, const void *data, size_t len);
void strbuf_addstr(struct strbuf *sb, const char *s);
void strbuf_addch(struct strbuf *sb, char c);
void strbuf_addf(struct strbuf *sb, const char *format, ...) PRINTF_LIKE(2, 3);
/* Room for len more bytes at buf + len. */
void strbuf_grow(struct strbuf *sb, size_t len);

/*
 * Append what can be read from fd until its end, ERR_MALFORMED if that is
 * more than max bytes. name is for the message.
 */
MUST_CHECK int strbuf_read(struct strbuf *sb, int fd, size_t max,
			   const char *name, struct err *err);

/* The same of a regular file of size bytes, from its start, by one call. */
MUST_CHECK int strbuf_read_file(struct strbuf *sb, int fd, uint64_t size,
				size_t max, const char *name, struct err *err);

/*
 * Read len bytes at offset, or what there is of them. How many there were, or
 * -1 and errno.
 */
MUST_CHECK ssize_t pread_all(int fd, void *buf, size_t len, off_t offset);

/* Write all of it, whatever write(2) takes at a time. 0, or -1 and errno. */
MUST_CHECK int write_all(int fd, const void *data, size_t len);

#endif
