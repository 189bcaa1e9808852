// SPDX-License-Identifier: MIT
#include "common/strbuf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"

#include "common/banned.h"

char strbuf_empty[1];

void strbuf_release(struct strbuf *sb)
{
	if (sb->alloc)
		free(sb->buf);
	*sb = (struct strbuf)STRBUF_INIT;
}

void strbuf_reset(struct strbuf *sb)
{
	sb->len = 0;
	if (sb->alloc)
		sb->buf[0] = 0;
}

char *strbuf_detach(struct strbuf *sb, size_t *len)
{
	char *s;

	strbuf_grow(sb, 0);
	s = sb->buf;
	if (len)
		*len = sb->len;
	*sb = (struct strbuf)STRBUF_INIT;
	return s;
}

void strbuf_grow(struct strbuf *sb, size_t len)
{
	size_t need;

	if (__builtin_add_overflow(sb->len, len, &need) ||
	    __builtin_add_overflow(need, 1, &need))
		abort();
	if (need <= sb->alloc)
		return;
	if (need < sb->alloc * 2)
		need = sb->alloc * 2;
	if (need < 64)
		need = 64;
	sb->buf = xreallocarray(sb->alloc ? sb->buf : NULL, need, 1);
	sb->alloc = need;
	sb->buf[sb->len] = 0;
}

void strbuf_add(struct strbuf *sb, const void *data, size_t len)
{
	strbuf_grow(sb, len);
	if (len)
		memcpy(sb->buf + sb->len, data, len);
	sb->len += len;
	sb->buf[sb->len] = 0;
}

void strbuf_addstr(struct strbuf *sb, const char *s)
{
	strbuf_add(sb, s, strlen(s));
}

void strbuf_addch(struct strbuf *sb, char c)
{
	strbuf_add(sb, &c, 1);
}

void strbuf_addf(struct strbuf *sb, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (n < 0)
		abort();
	strbuf_grow(sb, (size_t)n);
	va_start(ap, format);
	vsnprintf(sb->buf + sb->len, (size_t)n + 1, format, ap);
	va_end(ap);
	sb->len += (size_t)n;
}

int strbuf_read(struct strbuf *sb, int fd, size_t max, const char *name,
		struct err *err)
{
	size_t start = sb->len;

	for (;;) {
		ssize_t n;

		strbuf_grow(sb, 8192);
		n = read(fd, sb->buf + sb->len, sb->alloc - sb->len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, "reading %s", name);
		sb->len += (size_t)n;
		sb->buf[sb->len] = 0;
		if (!n)
			return 0;
		if (sb->len - start > max)
			return err_set(err, ERR_MALFORMED,
				       "%s has more than %zu bytes", name, max);
	}
}

ssize_t pread_all(int fd, void *buf, size_t len, off_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)buf + done, len - done,
				  offset + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (!n)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int strbuf_read_file(struct strbuf *sb, int fd, uint64_t size, size_t max,
		     const char *name, struct err *err)
{
	ssize_t n;

	if (size > max)
		return err_set(err, ERR_MALFORMED, "%s has more than %zu bytes",
			       name, max);
	strbuf_grow(sb, (size_t)size);
	n = pread_all(fd, sb->buf + sb->len, (size_t)size, 0);
	if (n < 0)
		return err_errno(err, "reading %s", name);
	sb->len += (size_t)n;
	sb->buf[sb->len] = 0;
	return 0;
}

int write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}
