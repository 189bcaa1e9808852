// SPDX-License-Identifier: MIT
#include "common/xz.h"

#include <errno.h>
#include <lzma.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/limits.h"

#include "common/banned.h"

#define IN_SIZE (64u << 10)

struct xz {
	lzma_stream stream;
	bool ended; /* the file is */
	unsigned char in[IN_SIZE];
};

struct xz *xz_new(void)
{
	struct xz *xz = xcalloc(1, sizeof(*xz));

	/* All zeros is LZMA_STREAM_INIT. */
	if (lzma_stream_decoder(&xz->stream, XZ_MEMORY_MAX,
				LZMA_CONCATENATED) != LZMA_OK)
		abort();
	return xz;
}

void xz_free(struct xz *xz)
{
	if (!xz)
		return;
	lzma_end(&xz->stream);
	free(xz);
}

/* More of the file, once what there was is used up. */
static int fill(struct xz *xz, int fd, uint64_t *nr_in, struct err *err)
{
	ssize_t n;

	if (xz->stream.avail_in || xz->ended)
		return 0;
	do
		n = read(fd, xz->in, IN_SIZE);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_errno(err, "it cannot be read");
	xz->ended = !n;
	xz->stream.next_in = xz->in;
	xz->stream.avail_in = (size_t)n;
	*nr_in += (uint64_t)n;
	return 0;
}

static int broken(const struct xz *xz, lzma_ret rc, struct err *err)
{
	if (rc == LZMA_MEM_ERROR)
		abort();
	if (rc == LZMA_MEMLIMIT_ERROR)
		return err_set(err, ERR_REFUSED,
			       "its dictionary takes %ju MiB of memory to "
			       "unpack, and %u are given",
			       (uintmax_t)lzma_memusage(&xz->stream) >> 20,
			       XZ_MEMORY_MAX >> 20);
	return err_set(err, ERR_MALFORMED,
		       rc == LZMA_BUF_ERROR ? "the xz data ends too early"
					    : "the xz data is broken");
}

ssize_t xz_read(struct xz *xz, int fd, void *out, size_t size, uint64_t *nr_in,
		struct err *err)
{
	lzma_stream *s = &xz->stream;

	s->next_out = out;
	s->avail_out = size;
	while (s->avail_out) {
		lzma_ret rc;

		if (fill(xz, fd, nr_in, err))
			return -1;
		rc = lzma_code(s, xz->ended ? LZMA_FINISH : LZMA_RUN);
		if (rc == LZMA_STREAM_END)
			break;
		if (rc != LZMA_OK)
			return broken(xz, rc, err);
	}
	return (ssize_t)(size - s->avail_out);
}
