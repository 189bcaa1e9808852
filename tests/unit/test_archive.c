// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <zlib.h>

#include "common/alloc.h"
#include "common/archive.h"
#include "common/limits.h"
#include "tests/unit/archivefixture.h"

#include "common/banned.h"

static int stop(void *arg, const void *data, size_t len, struct err *err)
{
	return err_set(err, ERR_BUSY, "enough");
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
		pack(archive_file, entries, 2, ARCHIVE_FILTER_ZSTD);
		check_member("l", data, len);
		check_member("./l", data, len);
		check_member("empty", "", 0);
	}
}

static void test_sink_ends_it(void **state)
{
	struct err err = ERR_INIT;

	pack_saved(ARCHIVE_FILTER_NONE);
	assert_int_equal(
		archive_stream(archive_file, "c.json", stop, NULL, &err), -1);
	assert_int_equal(err.code, ERR_BUSY);
	assert_string_equal(err.msg, "enough");
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

	pack(archive_file, entries, ARRAY_SIZE(entries), ARCHIVE_FILTER_NONE);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(archive_stream(archive_file, cases[i].member,
						stop, NULL, &err),
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

		pack_saved(filters[i]);
		assert_int_equal(stat(archive_file, &st), 0);
		/* The zeros at the end of a tar may go. */
		for (off_t len = st.st_size * 2 / 5; len > 0; len -= 37) {
			assert_int_equal(truncate(archive_file, len), 0);
			if (!archive_image_read(&image, archive_file, &err))
				fail_msg("accepted %ld bytes", (long)len);
			assert_int_equal(err.code, ERR_MALFORMED);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		FILE *f = fopen(archive_file, "w");

		fputs(texts[i], f);
		fclose(f);
		assert_int_equal(archive_image_read(&image, archive_file, &err),
				 -1);
		assert_int_equal(err.code, ERR_MALFORMED);
	}
	unlink(archive_file);
	assert_int_equal(archive_image_read(&image, archive_file, &err), -1);
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

	pack_saved(ARCHIVE_FILTER_GZIP);
	f = fopen(archive_file, "rb");
	assert_non_null(f);
	len = fread(data, 1, sizeof(data), f);
	fclose(f);
	assert_in_range(len, 1, sizeof(data) - 1);
	gz = gzopen(archive_file, "wb");
	assert_non_null(gz);
	assert_int_equal(gzwrite(gz, data, (unsigned)len), len);
	assert_int_equal(gzclose(gz), Z_OK);
	assert_int_equal(archive_image_read(&image, archive_file, &err), -1);
	assert_int_equal(err.code, ERR_MALFORMED);
}

/* A header of a archive_file of that name, and a size that is not there. */
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

/* An entry of 8 GiB or 2^63 bytes in a archive_file of one block. */
static void test_huge_entry(void **state)
{
	static const char *const sizes[] = {
		"77777777777", "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"
	};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		autoarchiveimage image = ARCHIVE_IMAGE_INIT;
		struct err err = ERR_INIT;
		FILE *f = fopen(archive_file, "w");

		put_header(f, "manifest.json", sizes[i], '0');
		fclose(f);
		assert_int_equal(archive_image_read(&image, archive_file, &err),
				 -1);
		assert_int_equal(err.code, ERR_MALFORMED);
		if (!strstr(err.msg, "it is cut off") &&
		    !strstr(err.msg, "size overflow"))
			fail_msg("%s", err.msg);
	}
}

/* The extents of a sparse archive_file that GNU tar goes on with, of 21 each. */
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
	FILE *f = fopen(archive_file, "w");
	autostrbuf text = STRBUF_INIT;
	gzFile gz;
	int fd;

	put_header(f, "x", "00000000000", 'S');
	put_extents(f, bytes);
	fclose(f);
	if (compressed) {
		fd = open(archive_file, O_RDONLY);
		assert_int_equal(
			strbuf_read(&text, fd, bytes * 2, archive_file, &err),
			0);
		close(fd);
		gz = gzopen(archive_file, "wb1");
		assert_int_equal(gzwrite(gz, text.buf, (unsigned)text.len),
				 text.len);
		assert_int_equal(gzclose(gz), Z_OK);
	}
	assert_int_equal(archive_image_read(&image, archive_file, &err), -1);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stored_bytes),
		cmocka_unit_test(test_sink_ends_it),
		cmocka_unit_test(test_stream_refuses),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_compressed_twice),
		cmocka_unit_test(test_huge_entry),
		cmocka_unit_test(test_long_header),
	};

	return cmocka_run_group_tests(tests, archivefixture_set_up,
				      archivefixture_tear_down);
}
