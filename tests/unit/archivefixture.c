// SPDX-License-Identifier: MIT
#include "tests/unit/archivefixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/archive.h"
#include "tests/unit/check.h"

#include "common/banned.h"

static char dir[] = "/tmp/test-archive.XXXXXX";
char archive_file[64];

int archivefixture_set_up(void **state)
{
	assert_non_null(mkdtemp(dir));
	snprintf(archive_file, sizeof(archive_file), "%s/image.tar", dir);
	return 0;
}

int archivefixture_tear_down(void **state)
{
	unlink(archive_file);
	return rmdir(dir);
}

void pack_saved(int filter)
{
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

	pack(archive_file, saved, ARRAY_SIZE(saved), filter);
}

static int collect(void *arg, const void *data, size_t len, struct err *err)
{
	strbuf_add(arg, data, len);
	return 0;
}

void check_member(const char *member, const char *data, size_t len)
{
	struct err err = ERR_INIT;
	autostrbuf out = STRBUF_INIT;

	if (archive_stream(archive_file, member, collect, &out, &err))
		fail_msg("%s: %s", member, err.msg);
	assert_int_equal(out.len, len);
	assert_memory_equal(out.buf, data, len);
}
