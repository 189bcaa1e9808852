// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/digest.h"
#include "common/tar.h"
#include "tests/unit/check.h"

#include "common/banned.h"

static const struct {
	const char *name;
	enum tar_type type;
	/* The entry's name is '/' and this repeated; or its target is. */
	const char *text;
	size_t times;
	uint64_t size, uid, gid;
	int64_t mtime; /* 0 for 1 */
	const char *uname, *gname;
	const char *digest;
} python_headers[] = {
	{ "plain", TAR_FILE, "n", 1,
	  .digest = "d2aab9ba47f1a66b0b2708df7a8c8c31"
		    "57bdb08f1c0882b578db40adcd823b88" },
	{ "mtime -1", TAR_FILE, "n", 1, .mtime = -1,
	  .digest = "c6268d8816f019ba9be782553a160512"
		    "75955ec5463637615cd5dcb62666bd8b" },
	{ "mtime 8^11", TAR_FILE, "n", 1, .mtime = 8589934592LL,
	  .digest = "1a7b70ad1b6733d79252780c3d00a421"
		    "c05f48351c7260d1c94de94c8786c287" },
	{ "gid 8^7", TAR_FILE, "n", 1, .uid = 2097151, .gid = 2097152,
	  .digest = "474fb06f0b8068999580f7779bbd080d"
		    "21c700795c6a2d4ec7e51561328d312a" },
	{ "uid 2^40", TAR_FILE, "n", 1, .uid = 1099511627776LL,
	  .digest = "910a98dff291eee0a8de102118e60865"
		    "7cf1a8836503e438a7a634fc6091860e" },
	{ "size 8^11 - 1", TAR_FILE, "n", 1, .size = 8589934591LL,
	  .digest = "99c03d40018a06fce19d523e5366365b"
		    "44a50781095c49630bf2d2e7121f7092" },
	{ "size 8^11", TAR_FILE, "n", 1, .size = 8589934592LL,
	  .digest = "45de2c48b4782933f57313cff1a3ff64"
		    "67c4efcde413855763a6fae135292762" },
	{ "uname not ASCII", TAR_FILE, "n", 1, .uname = "r\303\266ot",
	  .digest = "7edea31080cadc613d3ed429223a59aa"
		    "b4aa607cc5d93de1314046f961a16daa" },
	{ "uname 32, gname 33", TAR_FILE, "n", 1,
	  .uname = "uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu",
	  .gname = "ggggggggggggggggggggggggggggggggg",
	  .digest = "992e2ca31fd065f6a9c5a55e8896d939"
		    "19294eb10cd55691318fc81fde1ea370" },
	{ "uname not UTF-8", TAR_FILE, "n", 1, .uname = "\377",
	  .digest = "350690c0ddb1046dbcc75e05e28b757c"
		    "2ecfbf850772dd15871cb8076bce964b" },
	{ "directory of 100", TAR_DIRECTORY, "n", 98,
	  .digest = "d9f70011cd838280ca3dd4014bb5790f"
		    "baf9c29cc408480135caf1c05d2370a5" },
	{ "directory of 101", TAR_DIRECTORY, "n", 99,
	  .digest = "d26df06205ea9a674d2635dd24121873"
		    "65f40c2a885a82739ac5b302c7ae90db" },
	{ "target of 100", TAR_SYMLINK, "t", 100,
	  .digest = "224b6717b320c012b34f9b6609b93037"
		    "328e95c1b7fca5ee318c209696dd2a4a" },
	{ "target of 101", TAR_SYMLINK, "t", 101,
	  .digest = "538cac9e363b418d893c3b7e1d2a38c2"
		    "3f41046b42d17c1bf8ef525f01f35915" },
	{ "target not ASCII", TAR_SYMLINK, "\342\202\254", 34,
	  .digest = "a9c2f2ccfcf3fc0d23ad686317234387"
		    "5fec6bdd61143cfc50a4326c49dc8219" },
	{ "record of 99", TAR_FILE, "\303\251", 45,
	  .digest = "fa3b145bb092859668194fe2e86ae71d"
		    "3067fce5959484c965a047f991c8e742" },
	{ "record of 101", TAR_FILE, "\303\251", 46,
	  .digest = "e8ac53a0bc2e37bfe5e6e6e5a3df24f7"
		    "9a948b9bcdd0f3b6b7a117551c934231" },
	{ "record of 999", TAR_FILE, "n", 988,
	  .digest = "b67778851421158946c1d1c38f4e28d0"
		    "eb0115c363f19ae3b58a48d7cd79d5f6" },
	{ "record of 1001", TAR_FILE, "n", 989,
	  .digest = "63844246c6d369a3cab6bab4fd991312"
		    "dc8c9715b612dbdd881b54f40f1f4e3b" },
};

/*
 * Headers at the edges of their fields, beside what Python's tarfile makes of
 * them. Whole tars of both dialects are in test_layer.c.
 */
static void test_python_headers(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(python_headers); i++) {
		struct tar_options options = {
			.dialect = TAR_DOCKERTOOLS,
			.mtime = python_headers[i].mtime
					 ? python_headers[i].mtime
					 : 1,
			.uid = python_headers[i].uid,
			.gid = python_headers[i].gid,
			.uname = python_headers[i].uname
					 ? python_headers[i].uname
					 : "root",
			.gname = python_headers[i].gname
					 ? python_headers[i].gname
					 : "root",
		};
		struct tar_entry entry = {
			.type = python_headers[i].type,
			.mode = python_headers[i].type == TAR_DIRECTORY ? 0755
									: 0644,
			.size = python_headers[i].size,
		};
		autostrbuf text = STRBUF_INIT, out = STRBUF_INIT;
		struct digest digest;
		char hex[DIGEST_HEX_SIZE];

		strbuf_addch(&text, '/');
		for (size_t j = 0; j < python_headers[i].times; j++)
			strbuf_addstr(&text, python_headers[i].text);
		entry.name = text.buf;
		if (entry.type == TAR_SYMLINK) {
			entry.name = "/l";
			entry.target = text.buf + 1;
		}
		tar_header(&out, &options, &entry);
		digest_of(out.buf, out.len, &digest);
		check_str(python_headers[i].name, digest_hex(&digest, hex),
			  python_headers[i].digest);
	}
}

static void test_padding(void **state)
{
	static const struct {
		uint64_t size;
		size_t padding;
	} rows[] = {
		{ 0, 0 },   { 1, 511 },	  { 511, 1 },
		{ 512, 0 }, { 513, 511 }, { (1ull << 40) + 1, 511 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(tar_padding(rows[i].size), rows[i].padding);
}

static void test_end(void **state)
{
	static const struct {
		uint64_t size;
		size_t zeros;
	} rows[] = {
		{ 0, 10240 },		{ 512, 9728 },
		{ 10240 - 1024, 1024 }, { 10240 - 512, 512 + 10240 },
		{ 10240, 10240 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(tar_end(TAR_DOCKERTOOLS, rows[i].size),
				 rows[i].zeros);
		assert_int_equal(tar_end(TAR_NIX2CONTAINER, rows[i].size),
				 1024);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_python_headers),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
