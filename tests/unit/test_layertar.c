// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "common/alloc.h"
#include "common/decompressor.h"
#include "common/expansion.h"
#include "common/strbuf.h"
#include "tests/unit/check.h"
#include "tests/unit/layerfixture.h"

#include "common/banned.h"

static void truncate_file(void *arg, uint64_t bytes)
{
	autofree char *path =
		xasprintf("%s/aaa-a/large", ((struct fixture *)arg)->store);

	assert_int_equal(truncate(path, 2 << 20), 0);
}

static void test_shrinking_file(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "aaa-a", NULL };
	struct layer_input input = input_of(LAYER_STORE_PATHS, names);
	autofree char *large = xmalloc((5 << 20) + 1);
	struct layer_progress progress = { .bytes = truncate_file, .arg = f };

	memset(large, 'x', 5 << 20);
	large[5 << 20] = 0;
	fixture_put(f, "aaa-a/large", large);
	assert_int_equal(layers_make(&f->cache, &input, 1, COMPRESSION_NONE,
				     NULL, &progress, f->layers, &f->err),
			 -1);
	check_str("message", f->err.msg,
		  "layer 1 (/nix/store/aaa-a): /nix/store/aaa-a/large changed "
		  "its size while it was read");
	layer_input_release(&input);
}

static int append(void *arg, const void *data, size_t len, struct err *err)
{
	strbuf_add(arg, data, len);
	return 0;
}

static void test_compressed(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "aaa-a", NULL };
	struct layer_input input = input_of(LAYER_STORE_PATHS, names);
	autofree char *text = some_text((5 << 20) + 77), *plain = NULL;
	struct layer none;

	fixture_put(f, "aaa-a/text", text);
	fixture_make_ok(f, &input, 1, COMPRESSION_NONE);
	none = f->layers[0];
	plain = fixture_read_blob(f, &none);
	assert_int_equal(f->bytes, none.tar_size);
	for (enum compression c = 0; c < COMPRESSION_NONE; c++) {
		autofree char *blob = NULL;
		autostrbuf out = STRBUF_INIT;
		struct expansion all = EXPANSION_INIT;
		autodecompressor *d = decompressor_new(c, &all, append, &out);

		fixture_make_ok(f, &input, 1, c);
		check(compression_name(c),
		      digest_equal(&none.diff_id, &f->layers[0].diff_id));
		assert_int_equal(f->layers[0].blob.media_type,
				 compression_media_type(c));
		assert_true(f->layers[0].blob.size < none.blob.size / 2 + 1000);
		blob = fixture_read_blob(f, &f->layers[0]);
		assert_int_equal(decompressor_add(d, blob,
						  f->layers[0].blob.size,
						  &f->err),
				 0);
		assert_int_equal(decompressor_end(d, &f->err), 0);
		assert_int_equal(out.len, none.blob.size);
		assert_memory_equal(out.buf, plain, out.len);
	}
	layer_input_release(&input);
}

static void test_file(void **state)
{
	struct fixture *f = *state;
	static const char *const none[] = { NULL };
	struct layer_input input = input_of(LAYER_FILE, none);
	autofree char *text = some_text((2 << 20) + 1), *blob = NULL;

	fixture_put(f, "aaa-layer/layer.tar", text);
	input.file = xstrdup("/nix/store/aaa-layer/layer.tar");
	promise(&input, text, strlen(text));
	fixture_make_ok(f, &input, 1, COMPRESSION_NONE);
	blob = fixture_read_blob(f, &f->layers[0]);
	check_str("blob", blob, text);
	assert_true(digest_equal(&f->layers[0].diff_id, &input.diff_id));
	promise(&input, "else", 4);
	assert_int_equal(fixture_make(f, &input, 1, COMPRESSION_NONE), -1);
	assert_non_null(strstr(f->err.msg,
			       "layer 1 (/nix/store/aaa-layer/layer.tar): "
			       "/nix/store/aaa-layer/layer.tar has the diff "
			       "ID sha256:"));
	layer_input_release(&input);
}

static void pack(const char *path, const char *name, const void *data,
		 size_t len)
{
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();

	archive_write_set_format_ustar(a);
	assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
	archive_entry_set_pathname(e, name);
	archive_entry_set_mode(e, S_IFREG | 0644);
	archive_entry_set_size(e, (int64_t)len);
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	assert_int_equal(archive_write_data(a, data, len), len);
	archive_entry_free(e);
	archive_write_free(a);
}

/* Compress in two pieces, so that there are two members or frames. */
static char *compress_text(enum compression c, const char *text, size_t *len)
{
	struct compressor *compressor = compressor_new(c);
	size_t half = strlen(text) / 2, size = compression_bound(c, half + 1);
	char *out = xmalloc(2 * size);

	*len = compressor_run(compressor, text, half, out, size);
	*len += compressor_run(compressor, text + half, strlen(text) - half,
			       out + *len, size);
	compressor_free(compressor);
	return out;
}

/* The same, with the checksum of a tar's header where that has its own. */
static char *some_tar(size_t len)
{
	char *text = some_text(len);
	char sum[16];
	unsigned long n = 0;

	memset(text + 148, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		n += (unsigned char)text[i];
	snprintf(sum, sizeof(sum), "%06lo", n);
	memcpy(text + 148, sum, strlen(sum));
	return text;
}

static void test_member(void **state)
{
	struct fixture *f = *state;
	static const char *const none[] = { NULL };
	struct layer_input input = input_of(LAYER_MEMBER, none);
	autofree char *text = some_tar((2 << 20) + 1);

	input.file = xasprintf("%s/image.tar", f->dir);
	input.member = xstrdup("abc/layer.tar");
	promise(&input, text, strlen(text));
	for (enum compression c = 0; c < COMPRESSION_NONE; c++) {
		/* Not in the cache yet. */
		enum compression other =
			c ? COMPRESSION_GZIP : COMPRESSION_ZSTD;
		autofree char *data = NULL, *blob = NULL;
		size_t len;

		fixture_new_cache(f, compression_name(c));
		data = compress_text(c, text, &len);
		pack(input.file, input.member, data, len);
		fixture_make_ok(f, &input, 1, c);
		blob = fixture_read_blob(f, &f->layers[0]);
		assert_int_equal(f->layers[0].blob.media_type,
				 compression_media_type(c));
		assert_int_equal(f->layers[0].blob.size, len);
		assert_int_equal(f->layers[0].tar_size, strlen(text));
		assert_memory_equal(blob, data, len);
		pack(input.file, input.member, data, len - 1);
		assert_int_equal(fixture_make(f, &input, 1, other), -1);
		assert_non_null(strstr(f->err.msg, "data ends too early"));
		data[len / 2] ^= 0x55;
		pack(input.file, input.member, data, len);
		assert_int_equal(fixture_make(f, &input, 1, other), -1);
		assert_int_equal(f->err.code, ERR_MALFORMED);
	}
	/* What is no tar is refused in each way that a member may take. */
	text[0]++;
	promise(&input, text, strlen(text));
	for (enum compression c = 0; c <= COMPRESSION_NONE; c++) {
		size_t len = strlen(text);
		autofree char *data = c == COMPRESSION_NONE
					      ? xstrdup(text)
					      : compress_text(c, text, &len);

		pack(input.file, input.member, data, len);
		assert_int_equal(fixture_make(f, &input, 1, COMPRESSION_GZIP),
				 -1);
		assert_int_equal(f->err.code, ERR_MALFORMED);
		assert_non_null(strstr(f->err.msg, "image.tar: it is no tar"));
	}
	text[0]--;
	promise(&input, text, strlen(text));
	pack(input.file, input.member, text, strlen(text));
	fixture_make_ok(f, &input, 1, COMPRESSION_GZIP);
	assert_int_equal(f->layers[0].blob.media_type, MEDIA_LAYER_GZIP);
	assert_true(digest_equal(&f->layers[0].diff_id, &input.diff_id));
	layer_input_release(&input);
}

/* Which of a member's compressions stay, for each that is asked for. */
static void test_member_compression(void **state)
{
	struct fixture *f = *state;
	static const char *const none[] = { NULL };
	static const struct {
		enum compression member, asked, served;
	} cases[] = {
		{ COMPRESSION_GZIP, COMPRESSION_GZIP, COMPRESSION_GZIP },
		{ COMPRESSION_GZIP, COMPRESSION_ZSTD, COMPRESSION_GZIP },
		{ COMPRESSION_GZIP, COMPRESSION_NONE, COMPRESSION_GZIP },
		{ COMPRESSION_ZSTD, COMPRESSION_GZIP, COMPRESSION_GZIP },
		{ COMPRESSION_ZSTD, COMPRESSION_ZSTD, COMPRESSION_ZSTD },
		{ COMPRESSION_ZSTD, COMPRESSION_NONE, COMPRESSION_NONE },
	};
	struct layer_input input = input_of(LAYER_MEMBER, none);
	autofree char *text = some_tar((2 << 20) + 1);

	input.file = xasprintf("%s/image.tar", f->dir);
	input.member = xstrdup("abc/layer.tar");
	promise(&input, text, strlen(text));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autofree char *data = NULL, *name = NULL;
		size_t len;

		name = xasprintf("case%zu", i);
		fixture_new_cache(f, name);
		data = compress_text(cases[i].member, text, &len);
		pack(input.file, input.member, data, len);
		fixture_make_ok(f, &input, 1, cases[i].asked);
		assert_int_equal(f->layers[0].blob.media_type,
				 compression_media_type(cases[i].served));
		assert_int_equal(f->layers[0].tar_size, strlen(text));
		assert_true(
			digest_equal(&f->layers[0].diff_id, &input.diff_id));
	}
	layer_input_release(&input);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_shrinking_file),
		FIXTURE_TEST(test_compressed),
		FIXTURE_TEST(test_file),
		FIXTURE_TEST(test_member),
		FIXTURE_TEST(test_member_compression),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
