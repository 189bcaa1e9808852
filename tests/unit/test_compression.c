// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/compression.h"
#include "common/decompressor.h"
#include "common/expansion.h"
#include "common/digest.h"
#include "common/strbuf.h"
#include "tests/unit/check.h"

#include "common/banned.h"

#define SIZE (3u << 20)

/*
 * Runs of text and of noise, as a file tree has them; the same bytes at each
 * run and on each machine.
 */
static unsigned char *sample(size_t len)
{
	static const char text[] = "the quick brown fox jumps over the lazy ";
	unsigned char *data = xmalloc(len);
	uint32_t x = 12345;

	for (size_t i = 0; i < len; i++) {
		x = x * 1664525 + 1013904223;
		switch (i >> 12 & 3) {
		case 0:
			data[i] = (unsigned char)(x >> 24);
			break;
		case 1:
			data[i] = (unsigned char)text[(i + (x >> 30)) % 40];
			break;
		case 2:
			data[i] = (unsigned char)(x >> 29);
			break;
		default:
			data[i] = (unsigned char)text[i / 3 % 40];
		}
	}
	return data;
}

/* Each cut of the sample compressed alone, one behind the other. */
static void compress(enum compression c, const unsigned char *data, size_t len,
		     struct strbuf *out)
{
	struct compressor *compressor = compressor_new(c);

	for (size_t at = 0; at < len; at += compression_cut()) {
		size_t n = len - at < compression_cut() ? len - at
							: compression_cut();
		size_t bound = compression_bound(c, n);

		strbuf_grow(out, bound);
		out->len += compressor_run(compressor, data + at, n,
					   out->buf + out->len, bound);
	}
	compressor_free(compressor);
}

/*
 * What the libraries of Debian 12 make of the sample, whatever the CPU: `make
 * check-cpu` runs this as old ones. Other versions may make other bytes.
 */
static void test_known_bytes(void **state)
{
	static const struct {
		const char *signature;
		enum compression compression;
		const char *digest;
	} rows[] = {
		{ "gzip libdeflate-1.14 level 1 cut 1048576", COMPRESSION_GZIP,
		  "7a0d30a0821298e2994f26b5eb1214eb"
		  "3916a61afdc1e6a629f469be053d68ee" },
		{ "zstd libzstd-1.5.4 level 1 cut 1048576", COMPRESSION_ZSTD,
		  "6eb6135388c010b2bcc8eecec29d9c5f"
		  "2ccee94c4c758af3174acf1e8e1c0613" },
	};
	autofree unsigned char *data = sample(SIZE + 1000);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		enum compression c = rows[i].compression;
		autostrbuf out = STRBUF_INIT;
		struct digest digest;
		char hex[DIGEST_HEX_SIZE];

		compress(c, data, SIZE + 1000, &out);
		digest_of(out.buf, out.len, &digest);
		printf("%s: %zu %s\n", compression_signature(c), out.len,
		       digest_hex(&digest, hex));
		if (!strcmp(compression_signature(c), rows[i].signature))
			check_str(compression_name(c), hex, rows[i].digest);
	}
}

static int append(void *arg, const void *data, size_t len, struct err *err)
{
	strbuf_add(arg, data, len);
	return 0;
}

/* Whatever the pieces in which it comes. */
static void test_round_trip(void **state)
{
	static const size_t pieces[] = { 1, 7, 4096, 100000, SIZE };
	static const size_t sizes[] = { 0, 1, 1000, 1u << 20, SIZE + 1000 };
	autofree unsigned char *data = sample(SIZE + 1000);
	struct err err;

	for (size_t i = 0; i < 2 * ARRAY_SIZE(pieces) * ARRAY_SIZE(sizes);
	     i++) {
		enum compression c = i % 2;
		size_t len = sizes[i / 2 % ARRAY_SIZE(sizes)];
		size_t piece = pieces[i / 2 / ARRAY_SIZE(sizes)];
		autostrbuf in = STRBUF_INIT, out = STRBUF_INIT;
		struct expansion all = EXPANSION_INIT;
		autodecompressor *d = decompressor_new(c, &all, append, &out);

		compress(c, data, len, &in);
		for (size_t at = 0; at < in.len; at += piece)
			if (decompressor_add(d, in.buf + at,
					     in.len - at < piece ? in.len - at
								 : piece,
					     &err))
				fail_msg("%s %zu: %s", compression_name(c), len,
					 err.msg);
		check(compression_name(c), !len == !!decompressor_end(d, &err));
		check(compression_name(c), out.len == len);
		assert_memory_equal(out.buf, data, len);
	}
}

static void test_broken(void **state)
{
	autofree unsigned char *data = sample(100000);
	struct err err;

	for (enum compression c = 0; c < COMPRESSION_NONE; c++) {
		autostrbuf in = STRBUF_INIT, out = STRBUF_INIT;
		struct expansion all = EXPANSION_INIT;
		autodecompressor *cut = decompressor_new(c, &all, append, &out);
		autodecompressor *noise =
			decompressor_new(c, &all, append, &out);
		autodecompressor *behind =
			decompressor_new(c, &all, append, &out);

		compress(c, data, 100000, &in);
		assert_int_equal(
			decompressor_add(cut, in.buf, in.len - 1, &err), 0);
		assert_int_equal(decompressor_end(cut, &err), -1);
		assert_int_equal(decompressor_add(noise, data, 1000, &err), -1);
		assert_int_equal(err.code, ERR_MALFORMED);
		assert_int_equal(decompressor_add(behind, in.buf, in.len, &err),
				 0);
		assert_int_equal(decompressor_add(behind, data, 1000, &err),
				 -1);
	}
}

static void test_names(void **state)
{
	for (enum compression c = 0; c < COMPRESSIONS; c++)
		assert_int_equal(compression_parse(compression_name(c)), c);
	assert_int_equal(compression_parse("lzma"), COMPRESSIONS);
	assert_int_equal(compression_parse(""), COMPRESSIONS);
	assert_int_equal(compression_of_magic("\x1f\x8b\x08", 3),
			 COMPRESSION_GZIP);
	assert_int_equal(compression_of_magic("\x28\xb5\x2f\xfd", 4),
			 COMPRESSION_ZSTD);
	assert_int_equal(compression_of_magic("\x28\xb5\x2f", 3),
			 COMPRESSION_NONE);
	assert_int_equal(compression_of_magic("\x50\x2a\x4d\x18", 4),
			 COMPRESSION_ZSTD);
	assert_int_equal(compression_of_magic("\x5f\x2a\x4d\x18", 4),
			 COMPRESSION_ZSTD);
	assert_int_equal(compression_of_magic("\x60\x2a\x4d\x18", 4),
			 COMPRESSION_NONE);
	assert_int_equal(compression_of_magic("", 0), COMPRESSION_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_bytes),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
