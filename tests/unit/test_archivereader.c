// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <archive.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "common/alloc.h"
#include "common/archive.h"
#include "common/strbuf.h"
#include "tests/unit/pack.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

static char *folder, *file;

static int collect(void *arg, const void *data, size_t len, struct err *err)
{
	strbuf_add(arg, data, len);
	return 0;
}

/* An archive of one member, and its bytes. */
static void packed(struct strbuf *bytes, int filter)
{
	static const struct pack_entry entries[] = {
		{ .name = "l", .data = "layer" },
	};
	autoclose int fd = -1;
	struct err err = ERR_INIT;

	pack(file, entries, ARRAY_SIZE(entries), filter);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	if (strbuf_read(bytes, fd, 1 << 20, file, &err))
		fail_msg("%s", err.msg);
}

static void assert_member(void)
{
	autostrbuf out = STRBUF_INIT;
	struct err err = ERR_INIT;

	if (archive_stream(file, "l", collect, &out, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(out.buf, "layer");
}

/* What zstd may begin with: a frame of three bytes that mean nothing. */
static void test_frame_to_skip(void **state)
{
	static const char frame[] = "\x5d\x2a\x4d\x18\x03\0\0\0abc";
	autostrbuf text = STRBUF_INIT, all = STRBUF_INIT;

	packed(&text, ARCHIVE_FILTER_ZSTD);
	strbuf_add(&all, frame, sizeof(frame) - 1);
	strbuf_add(&all, text.buf, text.len);
	scratch_write(file, all.buf, all.len);
	assert_member();
}

/*
 * xz that asks for 4 GiB of memory: its block's header, behind the stream's of
 * twelve bytes, has the dictionary's size as its fifth byte, and ends in a CRC.
 */
static void test_large_dictionary(void **state)
{
	autostrbuf text = STRBUF_INIT;
	struct err err = ERR_INIT;
	unsigned char *header;
	uint32_t crc;
	size_t len;

	packed(&text, ARCHIVE_FILTER_XZ);
	assert_member();
	header = (unsigned char *)text.buf + 12;
	assert_int_equal(header[2], 0x21);
	header[4] = 40;
	len = header[0] * 4u;
	crc = (uint32_t)crc32(0, header, (unsigned int)len);
	for (size_t i = 0; i < 4; i++)
		header[len + i] = (unsigned char)(crc >> 8 * i);
	scratch_write(file, text.buf, text.len);
	assert_int_equal(archive_has(file, "l", &err), -1);
	assert_int_equal(err.code, ERR_MALFORMED);
	if (!strstr(err.msg, ": its dictionary takes 4096 MiB of memory to "
			     "unpack, and 96 are given"))
		fail_msg("%s", err.msg);
}

/* Two streams behind each other are one, as `cat a.xz b.xz` makes them. */
static void test_xz_streams(void **state)
{
	autostrbuf text = STRBUF_INIT, all = STRBUF_INIT;

	packed(&text, ARCHIVE_FILTER_XZ);
	strbuf_add(&all, text.buf, text.len);
	strbuf_add(&all, text.buf, text.len);
	scratch_write(file, all.buf, all.len);
	assert_member();
}

/* Cut anywhere, it is refused: that it is cut is told where it is seen. */
static void test_xz_cut(void **state)
{
	autostrbuf text = STRBUF_INIT, out = STRBUF_INIT;

	packed(&text, ARCHIVE_FILTER_XZ);
	for (size_t len = 0; len < text.len; len++) {
		struct err err = ERR_INIT;

		scratch_write(file, text.buf, len);
		if (!archive_stream(file, "l", collect, &out, &err))
			fail_msg("accepted %zu of %zu bytes", len, text.len);
		assert_int_equal(err.code, ERR_MALFORMED);
	}
}

static int setup(void **state)
{
	folder = scratch_make();
	file = xasprintf("%s/archive", folder);
	return 0;
}

static int teardown(void **state)
{
	free(file);
	scratch_remove(folder);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frame_to_skip),
		cmocka_unit_test(test_large_dictionary),
		cmocka_unit_test(test_xz_streams),
		cmocka_unit_test(test_xz_cut),
	};

	return cmocka_run_group_tests_name("archivereader", tests, setup,
					   teardown);
}
