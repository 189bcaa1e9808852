// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/decompressor.h"
#include "common/expansion.h"
#include "common/strbuf.h"

#include "common/banned.h"

/*
 * Compressed bytes: what comes out is the same however they are cut up; and
 * bytes that we compress come back.
 */

#define OUT_MAX (1u << 20)

static int take(void *arg, const void *data, size_t len, struct err *err)
{
	struct strbuf *out = arg;

	if (len > OUT_MAX - out->len)
		return err_set(err, ERR_REFUSED, "that is enough");
	strbuf_add(out, data, len);
	return 0;
}

static int run(enum compression c, const unsigned char *data, size_t size,
	       size_t piece, struct strbuf *out, struct err *err)
{
	autoexpansion all = EXPANSION_INIT;
	autodecompressor *d = decompressor_new(c, &all, take, out);

	while (size) {
		size_t n = piece < size ? piece : size;

		if (decompressor_add(d, data, n, err))
			return -1;
		data += n;
		size -= n;
	}
	return decompressor_end(d, err);
}

static void check_decompress(enum compression c, const unsigned char *data,
			     size_t size)
{
	autostrbuf whole = STRBUF_INIT, pieces = STRBUF_INIT;
	struct err err = ERR_INIT, same = ERR_INIT;
	int rc = run(c, data, size, size, &whole, &err);

	need(run(c, data, size, size < 2000 ? 1 : 997, &pieces, &same) == rc);
	if (rc) {
		fuzz_need_error(&err);
		fuzz_need_error(&same);
		return;
	}
	need(whole.len == pieces.len &&
	     !memcmp(whole.buf, pieces.buf, whole.len));
}

static void check_compress(enum compression c, const unsigned char *data,
			   size_t size)
{
	size_t bound = compression_bound(c, size), len;
	autofree unsigned char *out = xmalloc(bound);
	struct compressor *compressor = compressor_new(c);
	autostrbuf back = STRBUF_INIT;
	struct err err = ERR_INIT;

	len = compressor_run(compressor, data, size, out, bound);
	compressor_free(compressor);
	need(len && len <= bound);
	need(compression_of_magic(out, len) == c);
	need(!run(c, out, len, len, &back, &err));
	need(back.len == size && !memcmp(back.buf, data, size));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	enum compression c = compression_of_magic(data, size);

	if (c != COMPRESSION_NONE) {
		check_decompress(c, data, size);
	} else {
		check_decompress(COMPRESSION_GZIP, data, size);
		check_decompress(COMPRESSION_ZSTD, data, size);
	}
	if (size) {
		check_compress(COMPRESSION_GZIP, data, size);
		check_compress(COMPRESSION_ZSTD, data, size);
	}
	return 0;
}
