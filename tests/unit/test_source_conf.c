// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "common/plan.h"
#include "tests/unit/sourcefixture.h"

#include "common/banned.h"

static void open_conf(struct source *source, const char *text)
{
	struct err err;

	put_file(CONF, text, strlen(text));
	if (open_output(source, CONF, 100, &err))
		fail_msg("%s: %s", text, err.msg);
	check_str(text, source->kind->name, "dockertools-conf");
}

/* Ours, without commands: the closure but what only the conf is for. */
static void test_ours(void **state)
{
	autosource source = SOURCE_INIT;
	const struct layer_input *in;

	open_conf(&source, OURS TIMES "\"maxLayers\":2," OWNER);
	in = source.inputs;
	assert_int_equal(source.nr, 2);
	assert_int_equal(source.plan_version, PLAN_VERSION);
	assert_string_equal(source.repo_tag, "web:1");
	assert_int_equal(in[0].kind, LAYER_STORE_PATHS);
	/* top and base are references of the conf in this closure. */
	check_paths(&in[0], A " " B " " BASE " " DEEP
			      " " PATH("of-base") " " PATH("of-top") " " TOP);
	assert_int_equal(in[0].options.dialect, TAR_DOCKERTOOLS);
	assert_int_equal(in[0].options.nix_mode, 0755);
	assert_int_equal(in[0].options.mtime, 86400);
	assert_int_equal(in[0].options.uid, 1000);
	assert_int_equal(in[0].options.gid, 100);
	assert_string_equal(in[0].options.uname, "app");
	assert_string_equal(in[0].options.gname, "users");
	assert_int_equal(in[0].paths[3].nar_size, 300000000);
	assert_string_equal(in[0].paths[3].nar_hash,
			    "sha256:00000000000000000000000000000000"
			    "00000000000000000000000000000004");
	assert_int_equal(in[1].kind, LAYER_LINKS);
	check_paths(&in[1], A " " B "/share");
	assert_int_equal(in[1].options.uid, 0);
	assert_string_equal(in[1].options.uname, "root");
	assert_int_equal(in[1].options.mtime, 86400);
	assert_string_equal(in[1].comment,
			    "links into store paths: ['" A "', '" B "/share']");
	check_config(&source, "\"created\": \"2024-02-29T12:34:56+00:00\"");
	check_config(&source, "\"Cmd\": [\n            \"x\"\n        ]");
}

static void test_now(void **state)
{
	autosource source = SOURCE_INIT;

	open_conf(&source,
		  OURS "\"created\":\"now\",\"mtime\":\"now\",\"maxLayers\":9,"
		       "\"customisation_layer\":null,\"from_image\":null,"
		       "\"includeStorePaths\":null," OWNER);
	assert_int_equal(source.inputs[0].options.mtime, 1700000000);
	check_config(&source, "\"created\": \"2023-11-14T22:13:20+00:00\"");
}

#define CHECKSUM                                                               \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_customisation_layer(void **state)
{
	autosource source = SOURCE_INIT;
	const struct layer_input *top;
	char hex[DIGEST_HEX_SIZE];

	put_file(TOP "/checksum", CHECKSUM "\n", 65);
	open_conf(&source,
		  OURS TIMES "\"maxLayers\":1,"
			     "\"customisation_layer\":\"" TOP "\"," OWNER);
	/* One layer of store paths at least, however few are allowed. */
	assert_int_equal(source.nr, 2);
	check_paths(&source.inputs[0],
		    A " " B " " BASE " " DEEP " " PATH("of-base"));
	top = &source.inputs[1];
	assert_int_equal(top->kind, LAYER_FILE);
	assert_string_equal(top->file, TOP "/layer.tar");
	assert_true(top->has_diff_id);
	assert_string_equal(digest_hex(&top->diff_id, hex), CHECKSUM);
	assert_string_equal(top->comment, "store paths: ['" TOP "']");
}

static void test_bad_checksum(void **state)
{
	static const char *const texts[] = { "", "\n", "0123", CHECKSUM "0",
					     CHECKSUM "  layer.tar\n" };
	const char *conf =
		OURS TIMES "\"maxLayers\":1,"
			   "\"customisation_layer\":\"" TOP "\"," OWNER;

	put_file(CONF, conf, strlen(conf));
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		autosource source = SOURCE_INIT;
		struct err err;

		put_file(TOP "/checksum", texts[i], strlen(texts[i]));
		assert_int_equal(open_output(&source, CONF, 100, &err), -1);
		check_str(texts[i], err.msg,
			  CONF ": key 'customisation_layer': " TOP
			       "/checksum: expected a SHA-256 in hex digits");
	}
}

static void test_without_store_paths(void **state)
{
	autosource source = SOURCE_INIT;

	open_conf(&source, OURS TIMES "\"maxLayers\":9,"
				      "\"includeStorePaths\":false," OWNER);
	assert_int_equal(source.nr, 1);
	assert_int_equal(source.plan_version, 0);
	assert_int_equal(source.inputs[0].kind, LAYER_LINKS);
}

static void test_nothing_at_all(void **state)
{
	autosource source = SOURCE_INIT;

	open_conf(&source,
		  CONF_HEAD TIMES "\"roots\":[],\"maxLayers\":9,"
				  "\"includeStorePaths\":false," OWNER);
	assert_int_equal(source.nr, 1);
	assert_int_equal(source.inputs[0].kind, LAYER_LINKS);
	assert_int_equal(source.inputs[0].nr_paths, 0);
}

static void test_layer_limits(void **state)
{
	/* maxLayers of the conf, of the settings, and layers that come. */
	static const struct {
		int conf;
		size_t settings, layers;
	} cases[] = {
		{ 100, 100, 8 }, { 4, 100, 4 }, { 100, 5, 5 },
		{ 2, 2, 2 },	 { 1, 1, 2 },	{ 3, 1, 2 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autosource source = SOURCE_INIT;
		autofree char *conf = xasprintf(
			OURS TIMES "\"maxLayers\":%d," OWNER, cases[i].conf);
		struct err err;

		put_file(CONF, conf, strlen(conf));
		if (open_output(&source, CONF, cases[i].settings, &err))
			fail_msg("%s", err.msg);
		if (source.nr != cases[i].layers)
			fail_msg("case %zu: %zu layers", i, source.nr);
	}
}

#define LISTED                                                                 \
	CONF_HEAD "\"from_image\":null,\"customisation_layer\":\"" TOP "\","   \
		  "\"store_layers\":[[\"" B "\",\"" A "\"],[\"" B "\"]],"      \
		  "\"repo_tag\":\"web:1\","

/* The generations differ in what they say of time and owner. */
static void test_listed(void **state)
{
	static const struct {
		const char *text;
		mode_t nix_mode;
		int64_t mtime;
		uint64_t uid;
	} cases[] = {
		{ LISTED "\"created\":\"1970-01-02\"}", 0555, 86400, 0 },
		{ LISTED "\"created\":\"1970-01-02\"," OWNER, 0755, 86400,
		  1000 },
		{ LISTED "\"created\":\"1970-01-03\",\"mtime\":\"1970-01-02"
			 "T00:00:00+00:00\"," OWNER,
		  0755, 86400, 1000 },
	};

	put_file(TOP "/checksum", CHECKSUM "\n", 65);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autosource source = SOURCE_INIT;
		const struct tar_options *o;

		open_conf(&source, cases[i].text);
		assert_int_equal(source.nr, 3);
		assert_int_equal(source.plan_version, 0);
		check_paths(&source.inputs[0], B " " A);
		check_paths(&source.inputs[1], B);
		assert_string_equal(source.inputs[0].comment,
				    "store paths: ['" B "', '" A "']");
		assert_int_equal(source.inputs[2].kind, LAYER_FILE);
		o = &source.inputs[0].options;
		check(cases[i].text, o->nix_mode == cases[i].nix_mode);
		check(cases[i].text, o->mtime == cases[i].mtime);
		check(cases[i].text, o->uid == cases[i].uid);
	}
}

static void test_not_in_closure(void **state)
{
	static const char *const cases[][2] = {
		{ CONF_HEAD TIMES "\"customisation_layer\":\"" TOP
				  "\",\"store_layers\":[[\"" A "\"],[\"" A
				  "\",\"" PATH("gone") "\"]]}",
		  "key 'store_layers[1]': expected a path in the conf's "
		  "closure, not " PATH("gone") },
		{ CONF_HEAD TIMES "\"customisation_layer\":\"" PATH(
			  "gone") "\",\"store_layers\":[]}",
		  "key 'customisation_layer': expected a path in the conf's "
		  "closure, not " PATH("gone") },
		{ OURS TIMES "\"maxLayers\":9,\"from_image\":\"" PATH(
			  "gone") "/x.tar\"," OWNER,
		  "key 'from_image': expected a path in the conf's closure, "
		  "not " PATH("gone") "/x.tar" },
		{ CONF_HEAD TIMES
		  "\"maxLayers\":9,\"roots\":[\"" PATH("gone") "\"]}",
		  "key 'roots': expected a path in the conf's closure, "
		  "not " PATH("gone") },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autosource source = SOURCE_INIT;
		autofree char *want = xasprintf("%s: %s", CONF, cases[i][1]);
		struct err err;

		put_file(CONF, cases[i][0], strlen(cases[i][0]));
		assert_int_equal(open_output(&source, CONF, 100, &err), -1);
		check_str(cases[i][0], err.msg, want);
		check(cases[i][0], err.code == ERR_MALFORMED);
		check(cases[i][0], source.nr == 0 && !source.inputs);
	}
}

#define SCRIPT(line) "#!/bin/sh\n# exec \"x-stream\" y\n" line

/* The script of streamLayeredImage stands for the conf in its last line. */
static void test_script(void **state)
{
	static const char *const bad[] = {
		SCRIPT("exec \"" A "-stream\"  " A " \"$@\"\n"),
		SCRIPT("exec \"" A "-stream\"  " CONF "\n"),
		SCRIPT("exec \"" A "\"  " CONF " \"$@\"\n"),
		SCRIPT("exec \"" A "-stream\"  " CONF "/x \"$@\"\n"),
		SCRIPT("exec \"" A "-stream\"  /tmp/x-conf.json \"$@\"\n"),
		SCRIPT("exec \"" A "-stream\"  " CONF " \"$@\"\necho\n"),
		"exec \"" A "-stream\"  " CONF " \"$@\"\n",
	};
	const char *good = SCRIPT("exec \"" A "-stream\"  " CONF " \"$@\" \n");
	const char *foreign = SCRIPT(
		"exec \"" A "-stream\"  " PATH("other-conf.json") " \"$@\"\n");
	autosource source = SOURCE_INIT, none = SOURCE_INIT;
	struct err err;

	open_conf(&source, OURS TIMES "\"maxLayers\":2," OWNER);
	source_release(&source);
	put_file(B, good, strlen(good));
	if (open_output(&source, B, 100, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(source.kind->name, "dockertools-script");
	assert_string_equal(source.repo_tag, "web:1");
	assert_int_equal(source.nr, 2);
	check_config(&source, "\"Cmd\": [\n            \"x\"\n        ]");
	put_file(B, foreign, strlen(foreign));
	assert_int_equal(open_output(&none, B, 9, &err), -1);
	check_str("foreign", err.msg,
		  B ": its last line: expected a conf in the script's "
		    "closure, not " PATH("other-conf.json"));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put_file(B, bad[i], strlen(bad[i]));
		assert_int_equal(open_output(&none, B, 9, &err), -1);
		check(bad[i], err.code == ERR_REFUSED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ours),
		cmocka_unit_test(test_now),
		cmocka_unit_test(test_customisation_layer),
		cmocka_unit_test(test_bad_checksum),
		cmocka_unit_test(test_without_store_paths),
		cmocka_unit_test(test_nothing_at_all),
		cmocka_unit_test(test_layer_limits),
		cmocka_unit_test(test_listed),
		cmocka_unit_test(test_not_in_closure),
		cmocka_unit_test(test_script),
	};

	return cmocka_run_group_tests(tests, sourcefixture_set_up,
				      sourcefixture_tear_down);
}
