// SPDX-License-Identifier: MIT
#ifndef COMMON_DECOMPRESSOR_H
#define COMMON_DECOMPRESSOR_H

#include <stddef.h>

#include "common/compression.h"
#include "common/err.h"

struct expansion;

/*
 * A decompressor is given a gzip or zstd file in pieces and gives its content
 * in pieces. A file may have several members or frames, as ours have.
 */
struct decompressor;

/* Which compression starts with these bytes; COMPRESSION_NONE if neither. */
enum compression compression_of_magic(const void *data, size_t len);
/* How many bytes that takes to tell. */
#define COMPRESSION_MAGIC 4

typedef int decompressor_sink(void *arg, const void *data, size_t len,
			      struct err *err);

/*
 * sink is called with what comes out, which is added to all, what the image's
 * layers expand to. Not for COMPRESSION_NONE.
 */
struct decompressor *decompressor_new(enum compression c, struct expansion *all,
				      decompressor_sink *sink, void *arg);
void decompressor_free(struct decompressor *d);
void cleanup_decompressor(struct decompressor **d);
#define autodecompressor                                                       \
	__attribute__((cleanup(cleanup_decompressor))) struct decompressor

/* The next piece of the file. ERR_MALFORMED if it is not what it should be. */
MUST_CHECK int decompressor_add(struct decompressor *d, const void *data,
				size_t len, struct err *err);
/* That was all of it: ERR_MALFORMED if it ends too early. */
MUST_CHECK int decompressor_end(struct decompressor *d, struct err *err);

#endif
