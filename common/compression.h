// SPDX-License-Identifier: MIT
#ifndef COMMON_COMPRESSION_H
#define COMMON_COMPRESSION_H

#include <stddef.h>
#include <stdint.h>

#include "common/descriptor.h"

/*
 * How a layer's tar is compressed. The tar is cut at fixed offsets and each
 * cut is compressed alone (a gzip member, a zstd frame), so the bytes depend
 * on the tar, the algorithm, its level and the library's version, and on
 * nothing else: not on the number of cores, nor on the model of CPU.
 */
enum compression {
	COMPRESSION_GZIP,
	COMPRESSION_ZSTD,
	COMPRESSION_NONE,
	COMPRESSIONS, /* how many there are */
};

/* "gzip", "zstd", "none"; static. */
const char *compression_name(enum compression c);
/* The compression of that name, or COMPRESSIONS. */
enum compression compression_parse(const char *name);
enum media_type compression_media_type(enum compression c);
/*
 * Algorithm, library and its version, level and cut, such as
 * "gzip libdeflate-1.14 level 1 cut 1048576"; "none" for none. What is
 * written in records and layer keys: two of the same text make the same
 * bytes of the same tar. Static.
 */
const char *compression_signature(enum compression c);

/* Bytes of tar in each member or frame. */
size_t compression_cut(void);
/* The most that one cut of len bytes can become. */
size_t compression_bound(enum compression c, size_t len);

/* One thread's compressor and its memory. */
struct compressor;
struct compressor *compressor_new(enum compression c);
void compressor_free(struct compressor *c);
/*
 * Compress one cut of len bytes into out, of compression_bound() bytes at
 * least. Returns the number of bytes written. Not for COMPRESSION_NONE.
 */
size_t compressor_run(struct compressor *c, const void *in, size_t len,
		      void *out, size_t out_size);

#endif
