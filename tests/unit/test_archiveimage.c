// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdlib.h>

#include <archive.h>

#include "common/alloc.h"
#include "common/archive.h"
#include "common/json.h"
#include "common/limits.h"
#include "tests/unit/archivefixture.h"

#include "common/banned.h"

static void test_image(void **state)
{
	static const int filters[] = { ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP,
				       ARCHIVE_FILTER_ZSTD, ARCHIVE_FILTER_XZ,
				       ARCHIVE_FILTER_BZIP2 };

	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		autoarchiveimage image = ARCHIVE_IMAGE_INIT;
		struct err err = ERR_INIT;
		char hex[DIGEST_HEX_SIZE];

		pack_saved(filters[i]);
		if (archive_image_read(&image, archive_file, &err))
			fail_msg("filter %d: %s", filters[i], err.msg);
		assert_int_equal(image.nr, 2);
		assert_string_equal(image.layers[0].name, "one/layer.tar");
		assert_string_equal(image.layers[0].member, HEX_A ".tar");
		assert_string_equal(digest_hex(&image.layers[0].diff_id, hex),
				    HEX_A);
		assert_string_equal(image.layers[1].name, "two/layer.tar");
		assert_string_equal(image.layers[1].member, "three/layer.tar");
		assert_non_null(json_object_object_get(image.config, "config"));
		check_member("one/layer.tar", "layer a", 7);
		check_member("two/layer.tar", "layer b", 7);
		check_member("three/layer.tar", "layer b", 7);
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

		pack(archive_file, entries, ARRAY_SIZE(entries),
		     ARCHIVE_FILTER_NONE);
		if (archive_image_read(&image, archive_file, &err))
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

	pack(archive_file, entries, ARRAY_SIZE(entries), ARCHIVE_FILTER_NONE);
	if (archive_image_read(&image, archive_file, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(image.nr, 1);
	check_member(image.layers[0].member, "layer", 5);
}

#define IMAGE(manifest, config)                                                \
	{ .name = "manifest.json", .data = (manifest) },                       \
	{                                                                      \
		.name = "c.json", .data = (config)                             \
	}
#define NO_IDS "[]"

static const struct {
	const char *message; /* after the file's name */
	struct pack_entry entries[8];
} refused[] = {
	{ " has no member 'manifest.json'", { { .name = "a", .data = "" } } },
	{ ": manifest.json: line 1: expected a value", { IMAGE("", "") } },
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
	  { IMAGE(MANIFEST("[\"x\"]"), ""), { .name = "x", .symlink = "y" } } },
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
	  { IMAGE(MANIFEST("[\"c.json\"]"), CONFIG("[\"sha256:0\"]")) } },
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

static void test_refuses(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		autoarchiveimage image = ARCHIVE_IMAGE_INIT;
		struct err err = ERR_INIT;
		autofree char *message =
			xasprintf("%s%s", archive_file, refused[i].message);

		pack(archive_file, refused[i].entries,
		     ARRAY_SIZE(refused[i].entries), ARCHIVE_FILTER_NONE);
		if (!archive_image_read(&image, archive_file, &err))
			fail_msg("accepted: %s", refused[i].message);
		if (!strstr(err.msg, message))
			fail_msg("case %zu: %s, not %s", i, err.msg, message);
		assert_int_equal(err.code, ERR_MALFORMED);
		assert_null(image.layers);
		assert_null(image.config);
	}
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

	pack(archive_file, entries, 1, ARCHIVE_FILTER_GZIP);
	assert_int_equal(archive_image_read(&image, archive_file, &err), -1);
	assert_non_null(strstr(err.msg, "manifest.json has more than"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_blobs),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_huge_manifest),
	};

	return cmocka_run_group_tests(tests, archivefixture_set_up,
				      archivefixture_tear_down);
}
