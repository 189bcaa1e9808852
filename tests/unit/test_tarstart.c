// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdlib.h>
#include <string.h>

#include "common/strbuf.h"
#include "common/tarstart.h"

#include "common/banned.h"

static bool is_tar(const char *data, size_t len, size_t piece)
{
	struct tar_start start = { .nr = 0 };

	for (size_t at = 0; at < len; at += piece)
		tar_start_add(&start, data + at,
			      len - at < piece ? len - at : piece);
	return tar_start_is_tar(&start);
}

static void test_starts(void **state)
{
	static const struct tar_options options = { .uname = "r",
						    .gname = "g" };
	static const struct tar_entry entry = { .name = "/x", .mode = 0644 };
	static const char zeros[1024];
	autostrbuf tar = STRBUF_INIT;

	tar_header(&tar, &options, &entry);
	strbuf_add(&tar, zeros, sizeof(zeros));
	for (size_t piece = 1; piece <= tar.len; piece += 7)
		assert_true(is_tar(tar.buf, tar.len, piece));
	assert_true(is_tar(tar.buf, TAR_BLOCK, 100));
	assert_false(is_tar(tar.buf, TAR_BLOCK - 1, 100));
	/* Without an entry, and without anything, as clients take it. */
	assert_true(is_tar(zeros, sizeof(zeros), 300));
	assert_true(is_tar("", 0, 1));
	assert_false(is_tar(zeros, 100, 100));
	tar.buf[0] ^= 1;
	assert_false(is_tar(tar.buf, tar.len, 512));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_starts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
