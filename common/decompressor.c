// SPDX-License-Identifier: MIT
#include "common/decompressor.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>

#include "common/alloc.h"
#include "common/expansion.h"
#include "common/limits.h"

#include "common/banned.h"

#define OUT_SIZE (256u << 10)

struct decompressor {
	enum compression compression;
	struct expansion *all;
	decompressor_sink *sink;
	void *arg;
	z_stream gzip;
	ZSTD_DCtx *zstd;
	uint64_t nr_in, nr_out; /* bytes */
	bool inside; /* a member or frame that is not yet at its end */
	unsigned char out[OUT_SIZE];
};

enum compression compression_of_magic(const void *data, size_t len)
{
	if (len >= 2 && !memcmp(data, "\x1f\x8b", 2))
		return COMPRESSION_GZIP;
	if (len >= 4 && !memcmp(data, "\x28\xb5\x2f\xfd", 4))
		return COMPRESSION_ZSTD;
	/* A frame to be skipped, which zstd may begin with. */
	if (len >= 4 && (*(const unsigned char *)data & 0xf0) == 0x50 &&
	    !memcmp((const char *)data + 1, "\x2a\x4d\x18", 3))
		return COMPRESSION_ZSTD;
	return COMPRESSION_NONE;
}

struct decompressor *decompressor_new(enum compression c, struct expansion *all,
				      decompressor_sink *sink, void *arg)
{
	struct decompressor *d = xcalloc(1, sizeof(*d));

	assert(c == COMPRESSION_GZIP || c == COMPRESSION_ZSTD);
	d->compression = c;
	d->all = all;
	d->sink = sink;
	d->arg = arg;
	d->inside = true;
	if (c == COMPRESSION_GZIP) {
		/* 16: with gzip's header, not zlib's */
		if (inflateInit2(&d->gzip, 16 + MAX_WBITS) != Z_OK)
			abort();
	} else {
		d->zstd = ZSTD_createDCtx();
		if (!d->zstd)
			abort();
	}
	return d;
}

void decompressor_free(struct decompressor *d)
{
	if (!d)
		return;
	if (d->compression == COMPRESSION_GZIP)
		inflateEnd(&d->gzip);
	ZSTD_freeDCtx(d->zstd);
	free(d);
}

void cleanup_decompressor(struct decompressor **d)
{
	decompressor_free(*d);
}

/* Pass on what came out. */
static int give(struct decompressor *d, size_t len, struct err *err)
{
	d->nr_out += len;
	if (d->nr_out > EXPANSION_FREE && d->nr_out / EXPANSION_MAX > d->nr_in)
		return err_set(err, ERR_MALFORMED,
			       "the %s data expands to more than %u times its "
			       "size",
			       compression_name(d->compression), EXPANSION_MAX);
	if (expansion_add(d->all, len, err))
		return -1;
	return d->sink(d->arg, d->out, len, err);
}

static int gzip_add(struct decompressor *d, const void *data, size_t len,
		    struct err *err)
{
	z_stream *z = &d->gzip;
	int rc;

	z->next_in = data;
	z->avail_in = (uInt)len;
	do {
		/* Behind the end of a member is another, or nothing. */
		if (!d->inside && inflateReset(z) != Z_OK)
			abort();
		z->next_out = d->out;
		z->avail_out = OUT_SIZE;
		rc = inflate(z, Z_NO_FLUSH);
		if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
			return err_set(err, ERR_MALFORMED,
				       "the gzip data is broken: %s",
				       z->msg ? z->msg : "a preset dictionary");
		d->inside = rc != Z_STREAM_END;
		if (give(d, OUT_SIZE - z->avail_out, err))
			return -1;
	} while (z->avail_in || (d->inside && !z->avail_out));
	return 0;
}

static int zstd_add(struct decompressor *d, const void *data, size_t len,
		    struct err *err)
{
	ZSTD_inBuffer in = { data, len, 0 };
	ZSTD_outBuffer out = { d->out, OUT_SIZE, 0 };
	size_t rc;

	do {
		out.pos = 0;
		rc = ZSTD_decompressStream(d->zstd, &out, &in);
		if (ZSTD_isError(rc))
			return err_set(err, ERR_MALFORMED,
				       "the zstd data is broken: %s",
				       ZSTD_getErrorName(rc));
		d->inside = rc != 0;
		if (give(d, out.pos, err))
			return -1;
	} while (in.pos < in.size || (d->inside && out.pos == out.size));
	return 0;
}

int decompressor_add(struct decompressor *d, const void *data, size_t len,
		     struct err *err)
{
	const size_t piece = 1u << 30; /* zlib counts in unsigned int */

	d->nr_in += len;
	for (const char *p = data; len;) {
		size_t n = len < piece ? len : piece;
		int rc = d->compression == COMPRESSION_GZIP
				 ? gzip_add(d, p, n, err)
				 : zstd_add(d, p, n, err);

		if (rc)
			return rc;
		p += n;
		len -= n;
	}
	return 0;
}

int decompressor_end(struct decompressor *d, struct err *err)
{
	if (d->inside)
		return err_set(err, ERR_MALFORMED, "the %s data ends too early",
			       compression_name(d->compression));
	return 0;
}
