// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "common/index.h"

#include "common/banned.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char start[] = "{\"schemaVersion\":2,\"mediaType\":\"application/"
			    "vnd.oci.image.index.v1+json\",\"manifests\":[{";

static void test_round_trip(void **state)
{
	struct index_member members[2] = {
		{ .manifest = { .media_type = MEDIA_MANIFEST, .size = 7 },
		  .platform = { "linux", "amd64", "" } },
		{ .manifest = { .media_type = MEDIA_MANIFEST, .size = 8 },
		  .platform = { "linux", "arm64", "v8" } },
	};
	struct image_index index = { .members = members, .nr = 2 };
	autoindex back = IMAGE_INDEX_INIT;
	autostrbuf text = STRBUF_INIT, again = STRBUF_INIT;
	struct err err = ERR_INIT;

	digest_of("a", 1, &members[0].manifest.digest);
	digest_of("b", 1, &members[1].manifest.digest);
	index_format(&text, &index);
	assert_ptr_equal(strstr(text.buf, start), text.buf);
	if (index_parse(&back, text.buf, text.len, "index", &err))
		fail_msg("%s", err.msg);
	assert_int_equal(back.nr, 2);
	assert_true(platform_equal(&back.members[1].platform,
				   &members[1].platform));
	assert_false(platform_equal(&back.members[0].platform,
				    &members[1].platform));
	index_format(&again, &back);
	assert_string_equal(text.buf, again.buf);
}

static void test_malformed(void **state)
{
	static const char *const cases[] = {
		"",
		"[]",
		"{\"manifests\":{}}",
		"{\"manifests\":[7]}",
		"{\"manifests\":[{\"mediaType\":\"x\"}]}",
		"{\"manifests\":[{\"mediaType\":\"x\",\"digest\":\"sha256:0\","
		"\"size\":1,\"platform\":{\"os\":\"l\","
		"\"architecture\":\"a\"}}]}",
		"{\"manifests\":[{\"mediaType\":\"x\",\"digest\":"
		"\"sha256:" HEX64 "\",\"size\":-10}]}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autoindex index = IMAGE_INDEX_INIT;
		struct err err = ERR_INIT;

		check(cases[i], index_parse(&index, cases[i], strlen(cases[i]),
					    "index", &err) == -1);
		check(cases[i], err.code == ERR_MALFORMED);
	}
}

static void test_platform(void **state)
{
	static const char good[] = "{\"os\":\"linux\",\"architecture\":"
				   "\"arm64\",\"config\":{}}";
	static const char bad[] = "{\"os\":\"linux\"}";
	struct platform platform;
	struct err err = ERR_INIT;

	assert_int_equal(platform_parse(&platform, good, strlen(good), &err),
			 0);
	assert_string_equal(platform.architecture, "arm64");
	assert_string_equal(platform.variant, "");
	assert_int_equal(platform_parse(&platform, bad, strlen(bad), &err), -1);
	assert_non_null(strstr(err.msg, "architecture"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_platform),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
