// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "common/json.h"
#include "common/manifest.h"

#include "common/banned.h"

#define HEX(c) c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c

static struct descriptor descriptor(enum media_type type, const char *hex,
				    uint64_t size)
{
	struct descriptor d = { .media_type = type, .size = size };
	struct err err = ERR_INIT;

	if (digest_parse_hex(&d.digest, hex, strlen(hex), &err))
		fail_msg("%s", err.msg);
	return d;
}

#define HEAD                                                                   \
	"{\"schemaVersion\":2,"                                                \
	"\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","        \
	"\"config\":{"                                                         \
	"\"mediaType\":\"application/vnd.oci.image.config.v1+json\","          \
	"\"digest\":\"sha256:" HEX("0a") "\",\"size\":7},"

static void test_layers(void **state)
{
	const struct descriptor config = descriptor(MEDIA_CONFIG, HEX("0a"), 7);
	const struct descriptor layers[] = {
		descriptor(MEDIA_LAYER_GZIP, HEX("1b"), 1),
		descriptor(MEDIA_LAYER_ZSTD, HEX("2c"), UINT64_MAX),
		descriptor(MEDIA_LAYER, HEX("1b"), 0),
	};
	autojson *annotations = json_object_new_object();
	autostrbuf out = STRBUF_INIT;

	json_object_object_add(annotations, "org.example/b",
			       json_object_new_string("x/\"y\""));
	json_object_object_add(annotations, "a", json_object_new_string(""));
	manifest_format(&out, &config, layers, 3, annotations);
	assert_string_equal(
		out.buf, HEAD
		"\"layers\":["
		"{\"mediaType\":"
		"\"application/vnd.oci.image.layer.v1.tar+gzip\","
		"\"digest\":\"sha256:" HEX(
			"1b") "\",\"size\":1},"
			      "{\"mediaType\":"
			      "\"application/vnd.oci.image.layer.v1.tar+zstd\","
			      "\"digest\":\"sha256:" HEX(
				      "2c") "\","
					    "\"size\":18446744073709551615},"
					    "{\"mediaType\":"
					    "\"application/"
					    "vnd.oci.image.layer.v1.tar\","
					    "\"digest\":\"sha256:" HEX(
						    "1b") "\",\"size\":0}],"
							  "\"annotations\":{"
							  "\"org.example/"
							  "b\":\"x/\\\"y\\\"\","
							  "\"a\":\"\"}}");
}

static void test_nothing(void **state)
{
	const struct descriptor config = descriptor(MEDIA_CONFIG, HEX("0a"), 7);
	autostrbuf out = STRBUF_INIT;

	strbuf_addstr(&out, "before ");
	manifest_format(&out, &config, NULL, 0, NULL);
	assert_string_equal(out.buf, "before " HEAD "\"layers\":[]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layers),
		cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
