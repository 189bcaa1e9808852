// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <cmocka.h>
#include <zlib.h>

#include "common/alloc.h"
#include "common/archive.h"
#include "common/json.h"
#include "common/limits.h"
#include "tests/unit/pack.h"

#include "common/banned.h"

static char dir[] = "/tmp/test-archive.XXXXXX";
static char file[64];

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define MANIFEST(layers)                                                       \
	"[{\"Config\":\"c.json\",\"RepoTags\":null,\"Layers\":" layers "}]"
#define TWO_IDS "[\"sha256:" HEX_A "\",\"sha256:" HEX_B "\"]"
#define CONFIG(ids)                                                            \
	"{\"config\":{\"Env\":[\"A=1\"]},\"rootfs\":{\"diff_ids\":" ids "}}"

/* As `docker save` wrote it before 25, the second layer a hard link. */
static const struct pack_entry saved[] = {
	{ .name = "./" },
	{ .name = HEX_A ".tar", .data = "layer a" },
	{ .name = "one/" },
	{ .name = "one/layer.tar", .symlink = "../" HEX_A ".tar" },
	{ .name = "./two/layer.tar", .hardlink = "three/layer.tar" },
	{ .name = "three/layer.tar", .data = "layer b" },
	{ .name = "c.json", .data = CONFIG(TWO_IDS) },
	{ .name = "manifest.json",
	  .data = MANIFEST("[\"one/layer.tar\",\"two/layer.tar\"]") },
};

static int collect(void *arg, const void *data, size_t len, struct err *err)
{
	strbuf_add(arg, data, len);
	return 0;
}

static int stop(void *arg, const void *data, size_t len, struct err *err)
{
	return err_set(err, ERR_BUSY, "enough");
}

static void assert_member(const char *member, const char *data, size_t len)
{
	struct err err = ERR_INIT;
	autostrbuf out = STRBUF_INIT;

	if (archive_stream(file, member, collect, &out, &err))
		fail_msg("%s: %s", member, err.msg);
	assert_int_equal(out.len, len);
	assert_memory_equal(out.buf, data, len);
}

static void test_image(void **state)
{
	static const int filters[] = { ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP,
				       ARCHIVE_FILTER_ZSTD, ARCHIVE_FILTER_XZ,
				       ARCHIVE_FILTER_BZIP2 };

	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		autoarchiveimage image = ARCHIVE_IMAGE_INIT;
		struct err err = ERR_INIT;
		char hex[DIGEST_HEX_SIZE];

		pack(file, saved, ARRAY_SIZE(saved), filters[i]);
		if (archive_image_read(&image, file, &err))
			fail_msg("filter %d: %s", filters[i], err.msg);
		assert_int_equal(image.nr, 2);
		assert_string_equal(image.layers[0].name, "one/layer.tar");
		assert_string_equal(image.layers[0].member, HEX_A ".tar");
		assert_string_equal(digest_hex(&image.layers[0].diff_id, hex),
				    HEX_A);
		assert_string_equal(image.layers[1].name, "two/layer.tar");
		assert_string_equal(image.layers[1].member, "three/layer.tar");
		assert_non_null(json_object_object_get(image.config, "config"));
		assert_member("one/layer.tar", "layer a", 7);
		assert_member("two/layer.tar", "layer b", 7);
		assert_member("three/layer.tar", "layer b", 7);
	}
}

/* Several images are told of; one that is listed twice is one. */
static void test_several(void **state)
{
#define LISTED(tags) "{\"Config\":\"c.json\",\"Layers\":[]" tags "}"
	static const struct {
		const char *manifest, *several;
	} cases[] = {
		{ "[" LISTED("") "]", NULL },
		{ "[" LISTED("") "," LISTED(",\"RepoTags\":[\"a:1\"]") "]",
		  NULL },
		{ "[" LISTED(
			  ",\"RepoTags\":[\"a:1\",\"a:2\"]") ",{\"Config\":\"d."
							     "json\"},7]",
		  "a:1, d.json, one without a config" },
		{ "[" LISTED("") ",1,2,3,4,5,6]",
		  "c.json, one without a config, one without a config, one "
		  "without a config, one without a config, \xe2\x80\xa6" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct pack_entry entries[] = {
			{ .name = "c.json", .data = CONFIG("[]") },
			{ .name = "manifest.json", .data = cases[i].manifest },
		};
		autoarchiveimage image = ARCHIVE_IMAGE_INIT;
		struct err err = ERR_INIT;

		pack(file, entries, ARRAY_SIZE(entries), ARCHIVE_FILTER_NONE);
		if (archive_image_read(&image, file, &err))
			fail_msg("%s", err.msg);
		if (!cases[i].several)
			assert_null(image.several);
		else
			assert_string_equal(image.several, cases[i].several);
	}
}

/* Docker 25 and later: blobs by digest, and an OCI layout beside them. */
static void test_blobs(void **state)
{
	static const struct pack_entry entries[] = {
		{ .name = "blobs/" },
		{ .name = "blobs/sha256/" },
		{ .name = "blobs/sha256/" HEX_A,
		  .data = CONFIG("[\"sha256:" HEX_B "\"]") },
		{ .name = "blobs/sha256/" HEX_B, .data = "layer" },
		{ .name = "index.json", .data = "{}" },
		{ .name = "manifest.json",
		  .data = "[{\"Config\":\"blobs/sha256/" HEX_A
			  "\",\"Layers\":[\"blobs/sha256/" HEX_B "\"]}]" },
		{ .name = "oci-layout", .data = "{}" },
	};
	autoarchiveimage image = ARCHIVE_IMAGE_INIT;
	struct err err = ERR_INIT;

	pack(file, entries, ARRAY_SIZE(entries), ARCHIVE_FILTER_NONE);
	if (archive_image_read(&image, file, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(image.nr, 1);
	assert_member(image.layers[0].member, "layer", 5);
}

/* Longer than a piece, with NULs, and compressed inside: as it is stored. */
static void test_stored_bytes(void **state)
{
	static const unsigned char magics[][4] = { { 0x1f, 0x8b },
						   { 0x28, 0xb5, 0x2f, 0xfd } };
	size_t len = 700001;
	autofree char *data = xmalloc(len);

	for (size_t i = 0; i < len; i++)
		data[i] = (char)(i * 31 >> 3);
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		const struct pack_entry entries[] = {
			{ .name = "l", .data = data, .len = len },
			{ .name = "empty", .data = "" },
		};

		memcpy(data, magics[i], sizeof(magics[i]));
		pack(file, entries, 2, ARCHIVE_FILTER_ZSTD);
		assert_member("l", data, len);
		assert_member("./l", data, len);
		assert_member("empty", "", 0);
	}
}

static void test_sink_ends_it(void **state)
{
	struct err err = ERR_INIT;

	pack(file, saved, ARRAY_SIZE(saved), ARCHIVE_FILTER_NONE);
	assert_int_equal(archive_stream(file, "c.json", stop, NULL, &err), -1);
	assert_int_equal(err.code, ERR_BUSY);
	assert_string_equal(err.msg, "enough");
}

#define IMAGE(manifest, config)                                                \
	{ .name = "manifest.json", .data = (manifest) },                       \
	{                                                                      \
		.name = "c.json", .data = (config)                             \
	}
#define NO_IDS "[]"

static void test_refuses(void **state)
{
	static const struct {
		const char *message; /* after the file's name */
		struct pack_entry entries[8];
	} cases[] = {
		{ " has no member 'manifest.json'",
		  { { .name = "a", .data = "" } } },
		{ ": manifest.json: line 1: expected a value",
		  { IMAGE("", "") } },
		{ ": manifest.json: expected an array of one image or more",
		  { IMAGE("[]", "") } },
		{ ": manifest.json: expected an array of one image or more",
		  { IMAGE("{}", "") } },
		{ ": manifest.json: expected an object, not null",
		  { IMAGE("[null]", "") } },
		{ ": manifest.json: key 'Config': expected a string, but it is "
		  "missing",
		  { IMAGE("[{\"Layers\":[]}]", "") } },
		{ ": manifest.json: key 'Layers': expected an array, not null",
		  { IMAGE(MANIFEST("null"), "") } },
		{ ": manifest.json: key 'Layers[0]': expected a member's name",
		  { IMAGE(MANIFEST("[7]"), "") } },
		{ " has no member 'x'", { IMAGE(MANIFEST("[\"x\"]"), "") } },
		{ ": member '../x': expected a relative name without \"..\"",
		  { IMAGE(MANIFEST("[\"../x\"]"), "") } },
		{ " has no member 'd'",
		  { IMAGE(MANIFEST("[\"d\"]"), ""), { .name = "d/" } } },
		{ ": member 'x' is a link to 'y', which is not there",
		  { IMAGE(MANIFEST("[\"x\"]"), ""),
		    { .name = "x", .symlink = "y" } } },
		{ ": member 'x': links in a loop",
		  { IMAGE(MANIFEST("[\"x\"]"), ""),
		    { .name = "x", .symlink = "y" },
		    { .name = "y", .hardlink = "x" } } },
		{ ": member 'x' is a link out of the archive",
		  { IMAGE(MANIFEST("[\"x\"]"), ""),
		    { .name = "x", .symlink = "../../etc/passwd" } } },
		{ ": member 'x' is a link out of the archive",
		  { IMAGE(MANIFEST("[\"x\"]"), ""),
		    { .name = "x", .symlink = "/etc/passwd" } } },
		{ " has no member 'c.json'",
		  { { .name = "manifest.json", .data = MANIFEST("[]") } } },
		{ ": c.json: line 1: expected a value",
		  { IMAGE(MANIFEST("[]"), "x") } },
		{ ": c.json: key 'rootfs': expected an object, but it is "
		  "missing",
		  { IMAGE(MANIFEST("[]"), "{}") } },
		{ ": c.json: key 'diff_ids': expected an array, not an object",
		  { IMAGE(MANIFEST("[]"), CONFIG("{}")) } },
		{ ": c.json: key 'diff_ids': expected one for each of the 0 "
		  "layers, not 2",
		  { IMAGE(MANIFEST("[]"), CONFIG(TWO_IDS)) } },
		{ ": c.json: key 'diff_ids': expected one for each of the 1 "
		  "layers, not 0",
		  { IMAGE(MANIFEST("[\"c.json\"]"), CONFIG(NO_IDS)) } },
		{ ": c.json: key 'diff_ids[0]': expected \"sha256:\" and 64 "
		  "hex digits",
		  { IMAGE(MANIFEST("[\"c.json\"]"),
			  CONFIG("[\"sha256:0\"]")) } },
		{ ": two members named 'a'",
		  { IMAGE(MANIFEST("[]"), CONFIG(NO_IDS)),
		    { .name = "a", .data = "1" },
		    { .name = "./a", .data = "2" } } },
		{ ": member '../a': expected a relative name without \"..\"",
		  { IMAGE(MANIFEST("[]"), CONFIG(NO_IDS)),
		    { .name = "../a", .data = "1" } } },
		{ ": member '/a': expected a relative name without \"..\"",
		  { IMAGE(MANIFEST("[]"), CONFIG(NO_IDS)),
		    { .name = "/a", .data = "1" } } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autoarchiveimage image = ARCHIVE_IMAGE_INIT;
		struct err err = ERR_INIT;
		autofree char *message =
			xasprintf("%s%s", file, cases[i].message);

		pack(file, cases[i].entries, ARRAY_SIZE(cases[i].entries),
		     ARCHIVE_FILTER_NONE);
		if (!archive_image_read(&image, file, &err))
			fail_msg("accepted: %s", cases[i].message);
		if (!strstr(err.msg, message))
			fail_msg("case %zu: %s, not %s", i, err.msg, message);
		assert_int_equal(err.code, ERR_MALFORMED);
		assert_null(image.layers);
		assert_null(image.config);
	}
}

static void test_stream_refuses(void **state)
{
	static const struct pack_entry entries[] = {
		{ .name = "out", .symlink = "../x" },
		{ .name = "nowhere", .symlink = "x" },
		{ .name = "loop", .symlink = "loop" },
	};
	static const struct {
		const char *member, *message;
		enum err_code code;
	} cases[] = {
		{ "x", "has no member 'x'", ERR_UNKNOWN },
		{ "../x", "member '../x': expected", ERR_MALFORMED },
		{ "/x", "member '/x': expected", ERR_MALFORMED },
		{ "", "member '': expected", ERR_MALFORMED },
		{ "out", "'out' is a link out of the archive", ERR_MALFORMED },
		{ "nowhere", "member 'nowhere' is a link to 'x'",
		  ERR_MALFORMED },
		{ "loop", "member 'loop': links in a loop", ERR_MALFORMED },
	};
	autostrbuf out = STRBUF_INIT;

	pack(file, entries, ARRAY_SIZE(entries), ARCHIVE_FILTER_NONE);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(archive_stream(file, cases[i].member, collect,
						&out, &err),
				 -1);
		if (!strstr(err.msg, cases[i].message))
			fail_msg("%s: %s", cases[i].member, err.msg);
		assert_int_equal(err.code, cases[i].code);
	}
}

/* Cut anywhere, or no archive at all: an error and no crash. */
static void test_damaged(void **state)
{
	static const int filters[] = { ARCHIVE_FILTER_NONE,
				       ARCHIVE_FILTER_GZIP };
	static const char *const texts[] = { "", "x",
					     "not an archive at all\n" };
	autoarchiveimage image = ARCHIVE_IMAGE_INIT;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		struct stat st;

		pack(file, saved, ARRAY_SIZE(saved), filters[i]);
		assert_int_equal(stat(file, &st), 0);
		/* The zeros at the end of a tar may go. */
		for (off_t len = st.st_size * 2 / 5; len > 0; len -= 37) {
			assert_int_equal(truncate(file, len), 0);
			if (!archive_image_read(&image, file, &err))
				fail_msg("accepted %ld bytes", (long)len);
			assert_int_equal(err.code, ERR_MALFORMED);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		FILE *f = fopen(file, "w");

		fputs(texts[i], f);
		fclose(f);
		assert_int_equal(archive_image_read(&image, file, &err), -1);
		assert_int_equal(err.code, ERR_MALFORMED);
	}
	unlink(file);
	assert_int_equal(archive_image_read(&image, file, &err), -1);
	assert_int_equal(err.code, ERR_UNKNOWN);
}

/* Else a few KB could be many GB of gzip that holds nothing. */
static void test_compressed_twice(void **state)
{
	autoarchiveimage image = ARCHIVE_IMAGE_INIT;
	struct err err = ERR_INIT;
	char data[65536];
	size_t len;
	gzFile gz;
	FILE *f;

	pack(file, saved, ARRAY_SIZE(saved), ARCHIVE_FILTER_GZIP);
	f = fopen(file, "rb");
	assert_non_null(f);
	len = fread(data, 1, sizeof(data), f);
	fclose(f);
	assert_in_range(len, 1, sizeof(data) - 1);
	gz = gzopen(file, "wb");
	assert_non_null(gz);
	assert_int_equal(gzwrite(gz, data, (unsigned)len), len);
	assert_int_equal(gzclose(gz), Z_OK);
	assert_int_equal(archive_image_read(&image, file, &err), -1);
	assert_int_equal(err.code, ERR_MALFORMED);
}

static void test_huge_manifest(void **state)
{
	size_t len = ARCHIVE_MANIFEST_MAX + 1;
	autofree char *data = xcalloc(1, len);
	const struct pack_entry entries[] = {
		{ .name = "manifest.json", .data = data, .len = len },
	};
	autoarchiveimage image = ARCHIVE_IMAGE_INIT;
	struct err err = ERR_INIT;

	pack(file, entries, 1, ARCHIVE_FILTER_GZIP);
	assert_int_equal(archive_image_read(&image, file, &err), -1);
	assert_non_null(strstr(err.msg, "manifest.json has more than"));
}

/* A header of a file of that name, and a size that is not there. */
static void put_header(FILE *f, const char *name, const char *size, char type)
{
	bool sparse = type == 'S';
	char h[512] = "";
	unsigned int sum = 0;

	memcpy(h, name, strlen(name));
	memcpy(h + 100, "0000644", 8);
	memcpy(h + 108, "0000000", 8);
	memcpy(h + 116, "0000000", 8);
	memcpy(h + 124, size, 12);
	memcpy(h + 136, "00000000000", 12);
	memset(h + 148, ' ', 8);
	h[156] = type;
	memcpy(h + 257,
	       sparse ? "ustar  "
		      : "ustar\0"
			"00",
	       8);
	/* GNU: an extent, and more of them follow. */
	if (sparse)
		memcpy(h + 386, "00000001000", 12);
	h[482] = sparse;
	for (size_t i = 0; i < sizeof(h); i++)
		sum += (unsigned char)h[i];
	snprintf(h + 148, 8, "%06o", sum);
	fwrite(h, sizeof(h), 1, f);
}

/* An entry of 8 GiB or 2^63 bytes in a file of one block. */
static void test_huge_entry(void **state)
{
	static const char *const sizes[] = {
		"77777777777", "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"
	};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		autoarchiveimage image = ARCHIVE_IMAGE_INIT;
		struct err err = ERR_INIT;
		FILE *f = fopen(file, "w");

		put_header(f, "manifest.json", sizes[i], '0');
		fclose(f);
		assert_int_equal(archive_image_read(&image, file, &err), -1);
		assert_int_equal(err.code, ERR_MALFORMED);
		if (!strstr(err.msg, "it is cut off") &&
		    !strstr(err.msg, "size overflow"))
			fail_msg("%s", err.msg);
	}
}

/* The extents of a sparse file that GNU tar goes on with, of 21 each. */
static void put_extents(FILE *f, size_t bytes)
{
	char block[512] = "";

	for (size_t i = 0; i < 21 * 24; i += 24) {
		memcpy(block + i, "00000001000", 12);
		memcpy(block + i + 12, "00000000000", 12);
	}
	for (size_t i = 0; i < bytes; i += sizeof(block)) {
		block[504] = i + sizeof(block) < bytes;
		fwrite(block, sizeof(block), 1, f);
	}
}

/* Of an archive that is a member with a header of so many bytes. */
static const char *error_of_long_header(size_t bytes, bool compressed)
{
	static struct err err;
	autoarchiveimage image = ARCHIVE_IMAGE_INIT;
	FILE *f = fopen(file, "w");
	autostrbuf text = STRBUF_INIT;
	gzFile gz;
	int fd;

	put_header(f, "x", "00000000000", 'S');
	put_extents(f, bytes);
	fclose(f);
	if (compressed) {
		fd = open(file, O_RDONLY);
		assert_int_equal(strbuf_read(&text, fd, bytes * 2, file, &err),
				 0);
		close(fd);
		gz = gzopen(file, "wb1");
		assert_int_equal(gzwrite(gz, text.buf, (unsigned)text.len),
				 text.len);
		assert_int_equal(gzclose(gz), Z_OK);
	}
	assert_int_equal(archive_image_read(&image, file, &err), -1);
	assert_int_equal(err.code, ERR_MALFORMED);
	return err.msg;
}

/* A sparse file's map is as long as it likes, and libarchive reads it all. */
static void test_long_header(void **state)
{
	for (int compressed = 0; compressed <= 1; compressed++) {
		assert_non_null(
			strstr(error_of_long_header(ARCHIVE_HEADER_MAX * 2,
						    compressed),
			       "a member's header of more than 4194304 bytes"));
		assert_non_null(
			strstr(error_of_long_header(ARCHIVE_HEADER_MAX / 2,
						    compressed),
			       "has no member 'manifest.json'"));
	}
}

static int setup(void **state)
{
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/image.tar", dir);
	return 0;
}

static int teardown(void **state)
{
	unlink(file);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_blobs),
		cmocka_unit_test(test_stored_bytes),
		cmocka_unit_test(test_sink_ends_it),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_stream_refuses),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_compressed_twice),
		cmocka_unit_test(test_huge_manifest),
		cmocka_unit_test(test_huge_entry),
		cmocka_unit_test(test_long_header),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
