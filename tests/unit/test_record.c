// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "common/record.h"

#include "common/banned.h"

static struct record example(void)
{
	struct record r = {
		.flake = xstrdup(""),
		.url = xstrdup("git+https://h/r?rev=x"),
		.nar_hash = xstrdup("sha256-abc"),
		.revision = xstrdup("x"),
		.locks = xstrdup("{\"nodes\":{}}"),
		.reproducible = true,
		.system = xstrdup("x86_64-linux"),
		.attribute_path = xstrdup("packages.x86_64-linux.web"),
		.composition = xstrdup("+bash+git"),
		.drv_path = xstrdup("/nix/store/d.drv"),
		.output = xstrdup("out"),
		.output_path = xstrdup("/nix/store/o"),
		.kind = xstrdup("dockertools-conf"),
		.now = 12,
		.created = 34,
		.plan_version = 1,
		.max_layers = 100,
		.compression = xstrdup("none"),
		.config = xstrdup("{\n    \"a\": \"\\u00fc\"\n}"),
		.nr = 1,
	};

	digest_of("i", 1, &r.identity);
	r.inputs = xcalloc(1, sizeof(*r.inputs));
	r.layers = xcalloc(1, sizeof(*r.layers));
	r.inputs[0].kind = LAYER_STORE_PATHS;
	r.inputs[0].options.uname = xstrdup("root");
	r.inputs[0].options.gname = xstrdup("root");
	r.inputs[0].paths = xcalloc(1, sizeof(*r.inputs[0].paths));
	r.inputs[0].nr_paths = 1;
	r.inputs[0].paths[0].path = xstrdup("/nix/store/p");
	r.inputs[0].paths[0].nar_hash = xstrdup("sha256:ff");
	r.layers[0].blob.media_type = MEDIA_LAYER;
	r.layers[0].tar_size = 10240;
	return r;
}

static void test_round_trip(void **state)
{
	autorecord record = example(), back = RECORD_INIT;
	autostrbuf text = STRBUF_INIT, again = STRBUF_INIT;
	struct err err = ERR_INIT;

	record_format(&text, &record);
	if (record_parse(&back, text.buf, text.len, "record", &err))
		fail_msg("%s", err.msg);
	assert_string_equal(back.config, record.config);
	assert_string_equal(back.composition, "+bash+git");
	assert_null(back.reason);
	assert_null(back.repo_tag);
	assert_int_equal(back.nr, 1);
	assert_int_equal(back.layers[0].tar_size, 10240);
	assert_string_equal(back.inputs[0].paths[0].path, "/nix/store/p");
	record_format(&again, &back);
	assert_string_equal(text.buf, again.buf);
}

/* Each key but the optional ones is missed when it is gone. */
static void test_missing_keys(void **state)
{
	static const char *const keys[] = {
		"version",     "flake",	      "url",	    "narHash",
		"revision",    "locks",	      "system",	    "attributePath",
		"drvPath",     "output",      "outputPath", "kind",
		"compression", "config",      "identity",   "now",
		"created",     "planVersion", "maxLayers",  "layers",
	};
	autorecord record = example();
	autostrbuf text = STRBUF_INIT;

	record_format(&text, &record);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		autorecord back = RECORD_INIT;
		autofree char *quoted = xasprintf("\"%s\":", keys[i]);
		autofree char *copy = xstrdup(text.buf);
		char *at = strstr(copy, quoted);
		struct err err = ERR_INIT;

		check(keys[i], at != NULL);
		at[1] = '#';
		check(keys[i], record_parse(&back, copy, strlen(copy), "record",
					    &err) == -1);
		check(keys[i], strstr(err.msg, keys[i]) != NULL);
	}
}

static void test_newer_version(void **state)
{
	autorecord record = example(), back = RECORD_INIT;
	autostrbuf text = STRBUF_INIT;
	struct err err = ERR_INIT;
	char *at;

	record_format(&text, &record);
	at = strstr(text.buf, "\"version\":1");
	assert_non_null(at);
	at[strlen("\"version\":")] = '9';
	assert_int_equal(
		record_parse(&back, text.buf, text.len, "record", &err), -1);
	assert_int_equal(err.code, ERR_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_missing_keys),
		cmocka_unit_test(test_newer_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
