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

/* The headers of a plain layer as lines "NAME MODE TARGET". */
static char *list_tar(struct fixture *f, const struct layer *layer)
{
	autofree char *tar = fixture_read_blob(f, layer);
	struct strbuf out = STRBUF_INIT;

	for (const char *p = tar; *p;) {
		strbuf_addf(&out, "%.100s %.7s %.100s\n", p, p + 100, p + 157);
		p += 512 + (strtoul(p + 124, NULL, 8) + 511) / 512 * 512;
	}
	return strbuf_detach(&out, NULL);
}

static void test_links(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "aaa-a", "bbb-b", "aaa-a", "ccc-c",
					     NULL };
	struct layer_input input = input_of(LAYER_LINKS, names);
	autofree char *list = NULL;

	fixture_put(f, "aaa-a/bin/a", "");
	fixture_put(f, "aaa-a/bin/both", "");
	fixture_put(f, "aaa-a/bin-extra", "");
	fixture_put(f, "aaa-a/share", "");
	fixture_put(f, "bbb-b/bin/both", "");
	fixture_put(f, "bbb-b/bin/b", "");
	fixture_put(f, "bbb-b/lib/deep/x", "");
	fixture_put(f, "bbb-b/share/man/b", "");
	fixture_put(f, "ccc-c/lib/deep", "");
	fixture_put(f, "ccc-c/lib/deeper", "");
	fixture_make_ok(f, &input, 1, COMPRESSION_NONE);
	list = list_tar(f, &f->layers[0]);
#define LINK(path, target) path " 0000777 /nix/store/" target path "\n"
	check_str(
		"list", list,
		"/bin/ 0000755 \n" LINK("/bin/a", "aaa-a") LINK(
			"/bin/b", "bbb-b") LINK("/bin/both", "aaa-a")
			LINK("/bin-extra",
			     "aaa-a") "/lib/ 0000755 \n"
				      "/lib/deep/ 0000755 \n" LINK(
					      "/lib/deep/x", "bbb-b")
					      LINK("/lib/deeper", "ccc-c")
						      LINK("/share", "aaa-a"));
	assert_int_equal(f->warnings, 3);
	check_str("warning", f->warning,
		  "/share is in /nix/store/aaa-a and in /nix/store/bbb-b: "
		  "the first is taken");
	layer_input_release(&input);
}

/* A root's own directories have their modes; others are for all to enter. */
static void test_root_modes(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "aaa-a", NULL };
	struct layer_input input = input_of(LAYER_ROOT, names);
	autofree char *list = NULL;

	fixture_put(f, "aaa-a/etc/group/x", "");
	fixture_put(f, "aaa-a/etc/passwd", "");
	fixture_put(f, "aaa-a/tmp/x", "");
	fixture_make_ok(f, &input, 1, COMPRESSION_NONE);
	list = list_tar(f, &f->layers[0]);
	check_str("list", list,
		  "/etc/ 0000755 \n/etc/group/ 0000755 \n" LINK("/etc/group/x",
								"aaa-a")
			  LINK("/etc/passwd",
			       "aaa-a") "/root/ 0000700 \n"
					"/tmp/ 0001777 \n" LINK("/tmp/x",
								"aaa-a"));
	layer_input_release(&input);
}

/* What is no directory in a package is none in the image: it is its own. */
static void test_root_without_directories(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "aaa-a", NULL };
	struct layer_input input = input_of(LAYER_ROOT, names);
	autofree char *list = NULL;

	fixture_put(f, "aaa-a/etc", "");
	fixture_put(f, "aaa-a/tmp", "");
	fixture_make_ok(f, &input, 1, COMPRESSION_NONE);
	list = list_tar(f, &f->layers[0]);
	check_str("list", list,
		  LINK("/etc", "aaa-a") "/root/ 0000700 \n" LINK("/tmp",
								 "aaa-a"));
	assert_int_equal(f->warnings, 2);
	check_str("warning", f->warning,
		  "/tmp is in /nix/store/aaa-a and is not a directory: the "
		  "image has no such directory");
	layer_input_release(&input);
}

static void put_link(struct fixture *f, const char *path, const char *target)
{
	autofree char *link = xasprintf("%s/%s", f->store, path);

	assert_int_equal(symlink(target, link), 0);
}

/* Packages aaa, bbb and ccc, and what their symlinks lead to. */
static void put_environment(struct fixture *f)
{
	fixture_put(f, "aaa-a/x", "");
	put_link(f, "aaa-a/bin", "/nix/store/ddd-d/bin");
	put_link(f, "aaa-a/etc", "/nix/store/ddd-d/etc");
	put_link(f, "aaa-a/lib", "/nix/store/ddd-d/bin");
	put_link(f, "aaa-a/loop", "/nix/store/aaa-a");
	put_link(f, "aaa-a/tmp", "/nix/store/eee-e");
	fixture_put(f, "bbb-b/bin/deep/b", "");
	put_link(f, "bbb-b/loop", "/nix/store/bbb-b");
	fixture_put(f, "ccc-c/lib", "");
	put_link(f, "ccc-c/bin", "/nix/store/fff-f");
	fixture_put(f, "ddd-d/bin/d", "");
	put_link(f, "ddd-d/bin/deep", "/nix/store/ddd-d/etc");
	fixture_put(f, "ddd-d/etc/passwd", "");
	fixture_put(f, "eee-e/e", "");
	put_link(f, "fff-f", "eee-e");
}

/*
 * buildEnv's symlink to a directory that one package alone had is that
 * directory where another, or the root, has one of that name.
 */
static void test_root_follows(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "aaa-a", "bbb-b", "ccc-c", NULL };
	struct layer_input input = input_of(LAYER_ROOT, names);
	autofree char *list = NULL;

	put_environment(f);
	fixture_make_ok(f, &input, 1, COMPRESSION_NONE);
	list = list_tar(f, &f->layers[0]);
	check_str(
		"list", list,
		"/bin/ 0000755 \n" LINK(
			"/bin/d",
			"ddd-d") "/bin/deep/ 0000755 \n" LINK("/bin/deep/b",
							      "bbb-b") "/bin/"
								       "deep/"
								       "passwd "
								       "0000777"
								       " /nix/"
								       "store/"
								       "ddd-d/"
								       "etc/"
								       "passwd"
								       "\n"
								       "/bin/e "
								       "0000777"
								       " /nix/"
								       "store/"
								       "eee-e/"
								       "e\n"
								       "/etc/ "
								       "0000755"
								       " \n/"
								       "etc/"
								       "group "
								       "0000644"
								       " "
								       "\n" LINK(
									       "/etc/passwd",
									       "ddd-d") LINK("/lib",
											     "aaa-a")
									       LINK("/loop",
										    "aaa-a") "/root/ 0000700 \n/tmp/ 0001777 \n"
											     "/tmp/e 0000777 /nix/store/eee-e/e\n" LINK(
												     "/x",
												     "aaa-a"));
	layer_input_release(&input);
}

/* What would stand in the store's place is left out, in any content. */
static void test_links_keep_the_store(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "aaa-a", "bbb-b", "ccc-c", NULL };
	struct layer_input input = input_of(LAYER_LINKS, names);
	autofree char *list = NULL, *link = NULL;

	fixture_put(f, "aaa-a/nix/store", "");
	fixture_put(f, "aaa-a/nix/var", "");
	fixture_put(f, "bbb-b/a", "");
	link = xasprintf("%s/bbb-b/nix", f->store);
	assert_int_equal(symlink("a", link), 0);
	fixture_put(f, "ccc-c/nix/store/x", "");
	fixture_put(f, "ccc-c/nixx", "");
	fixture_make_ok(f, &input, 1, COMPRESSION_NONE);
	list = list_tar(f, &f->layers[0]);
	check_str("list", list,
		  LINK("/a", "bbb-b") "/nix/ 0000755 \n"
				      "/nix/store/ 0000755 \n" LINK(
					      "/nix/store/x", "ccc-c")
					      LINK("/nix/var", "aaa-a")
						      LINK("/nixx", "ccc-c"));
	assert_int_equal(f->warnings, 2);
	check_str("warning", f->warning,
		  "/nix/store is in /nix/store/aaa-a and is not a directory: "
		  "it is left out, since it would hide the store");
	layer_input_release(&input);
}

static void test_links_need_directories(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "aaa-a", "bbb-b", NULL };
	struct layer_input input = input_of(LAYER_LINKS, names);

	fixture_put(f, "aaa-a/x", "");
	fixture_put(f, "bbb-b", "a file");
	assert_int_equal(fixture_make(f, &input, 1, COMPRESSION_NONE), -1);
	check_str("message", f->err.msg,
		  "layer 1 (/nix/store/aaa-a and 1 more): /nix/store/bbb-b is "
		  "among the image's contents but is not a directory");
	layer_input_release(&input);
}

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
		FIXTURE_TEST(test_links),
		FIXTURE_TEST(test_root_modes),
		FIXTURE_TEST(test_root_without_directories),
		FIXTURE_TEST(test_root_follows),
		FIXTURE_TEST(test_links_keep_the_store),
		FIXTURE_TEST(test_links_need_directories),
		FIXTURE_TEST(test_shrinking_file),
		FIXTURE_TEST(test_compressed),
		FIXTURE_TEST(test_file),
		FIXTURE_TEST(test_member),
		FIXTURE_TEST(test_member_compression),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
