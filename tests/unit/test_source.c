// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/plan.h"
#include "common/source.h"
#include "common/store.h"
#include "tests/unit/scratch.h"
#include "tests/unit/closuretext.h"

#include "common/banned.h"

#define HASH	   "00000000000000000000000000000000"
#define PATH(name) STORE_DIR "/" HASH "-" name

#define A    PATH("a")
#define B    PATH("b")
#define DEEP PATH("deep")
#define TOP  PATH("top-customisation-layer")
#define BASE PATH("base.tar")
#define CONF PATH("web-conf.json")

static char *store;

/*
 * The closure of the tests' conf: a needs deep, the customisation layer and
 * the base image need what nobody else does.
 */
static void make_closure(struct closure *closure)
{
	static const struct {
		const char *path;
		unsigned int size;
		const char *edges[6];
	} paths[] = {
		{ CONF, 1, { A, B, TOP, BASE } },
		{ A, 100000000, { A, DEEP } },
		{ B, 200000000, { 0 } },
		{ DEEP, 300000000, { 0 } },
		{ TOP, 400000000, { A, PATH("of-top") } },
		{ PATH("of-top"), 500000000, { 0 } },
		{ BASE, 600000000, { PATH("of-base") } },
		{ PATH("of-base"), 700000000, { 0 } },
	};
	autostrbuf text = STRBUF_INIT;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		size_t nr = 0;

		while (paths[i].edges[nr])
			nr++;
		strbuf_addf(&text, "%s\n%064zx\n%u\n\n%zu\n", paths[i].path,
			    i + 1, paths[i].size, nr);
		for (size_t j = 0; j < nr; j++)
			strbuf_addf(&text, "%s\n", paths[i].edges[j]);
	}
	if (closure_from_text(closure, text.buf, &err))
		fail_msg("%s", err.msg);
}

/* Write a file of the store. */
static void put(const char *path, const char *text, size_t len)
{
	autofree char *real =
		xasprintf("%s%s", store, path + strlen(STORE_DIR));
	autofree char *dir =
		xstrndup(real, (size_t)(strrchr(real, '/') - real));

	unlink(real);
	scratch_mkdir(dir);
	scratch_write(real, text, len);
}

static int open_at(struct source *source, const char *path, size_t max_layers,
		   struct err *err)
{
	autoclosure closure = CLOSURE_INIT;
	struct source_output output = { .path = path,
					.closure = &closure,
					.system = "x86_64-linux",
					.now = 1700000000,
					.max_layers = max_layers };

	make_closure(&closure);
	*err = (struct err)ERR_INIT;
	return source_open(source, &output, err);
}

#define HEAD                                                                   \
	"{\"architecture\":\"amd64\",\"os\":\"linux\","                        \
	"\"store_dir\":\"/nix/store\",\"config\":{\"Cmd\":[\"x\"]},"
/* As ours begins and ends; between them what a test is about. */
#define OURS                                                                   \
	HEAD "\"roots\":[\"" A "\",\"" B "/share\"],\"repo_tag\":\"web:1\","
#define OWNER                                                                  \
	"\"uid\":\"1000\",\"gid\":100,\"uname\":\"app\",\"gname\":\"users\"}"
#define TIMES "\"created\":\"2024-02-29T12:34:56Z\",\"mtime\":\"1970-01-02\","

static void open_conf(struct source *source, const char *text)
{
	struct err err;

	put(CONF, text, strlen(text));
	if (open_at(source, CONF, 100, &err))
		fail_msg("%s: %s", text, err.msg);
	check_str(text, source->kind->name, "dockertools-conf");
}

/* The paths of the input, sorted as they are, with spaces between. */
static char *paths_of(const struct layer_input *input)
{
	autostrbuf out = STRBUF_INIT;

	for (size_t i = 0; i < input->nr_paths; i++)
		strbuf_addf(&out, "%s%s", i ? " " : "", input->paths[i].path);
	return strbuf_detach(&out, NULL);
}

static void check_paths(const struct layer_input *input, const char *want)
{
	autofree char *paths = paths_of(input);

	assert_string_equal(paths, want);
}

static void check_config(const struct source *source, const char *part)
{
	autofree struct layer *layers = xcalloc(source->nr, sizeof(*layers));
	autostrbuf out = STRBUF_INIT;
	struct err err;

	assert_int_equal(source_config(source, layers, &out, &err), 0);
	if (!strstr(out.buf, part))
		fail_msg("no %s in %s", part, out.buf);
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

	put(TOP "/checksum", CHECKSUM "\n", 65);
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

	put(CONF, conf, strlen(conf));
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		autosource source = SOURCE_INIT;
		struct err err;

		put(TOP "/checksum", texts[i], strlen(texts[i]));
		assert_int_equal(open_at(&source, CONF, 100, &err), -1);
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

	open_conf(&source, HEAD TIMES "\"roots\":[],\"maxLayers\":9,"
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

		put(CONF, conf, strlen(conf));
		if (open_at(&source, CONF, cases[i].settings, &err))
			fail_msg("%s", err.msg);
		if (source.nr != cases[i].layers)
			fail_msg("case %zu: %zu layers", i, source.nr);
	}
}

#define LISTED                                                                 \
	HEAD "\"from_image\":null,\"customisation_layer\":\"" TOP "\","        \
	     "\"store_layers\":[[\"" B "\",\"" A "\"],[\"" B "\"]],"           \
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

	put(TOP "/checksum", CHECKSUM "\n", 65);
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
		{ HEAD TIMES "\"customisation_layer\":\"" TOP
			     "\",\"store_layers\":[[\"" A "\"],[\"" A
			     "\",\"" PATH("gone") "\"]]}",
		  "key 'store_layers[1]': expected a path in the conf's "
		  "closure, not " PATH("gone") },
		{ HEAD TIMES "\"customisation_layer\":\"" PATH(
			  "gone") "\",\"store_layers\":[]}",
		  "key 'customisation_layer': expected a path in the conf's "
		  "closure, not " PATH("gone") },
		{ OURS TIMES "\"maxLayers\":9,\"from_image\":\"" PATH(
			  "gone") "/x.tar\"," OWNER,
		  "key 'from_image': expected a path in the conf's closure, "
		  "not " PATH("gone") "/x.tar" },
		{ HEAD TIMES
		  "\"maxLayers\":9,\"roots\":[\"" PATH("gone") "\"]}",
		  "key 'roots': expected a path in the conf's closure, "
		  "not " PATH("gone") },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autosource source = SOURCE_INIT;
		autofree char *want = xasprintf("%s: %s", CONF, cases[i][1]);
		struct err err;

		put(CONF, cases[i][0], strlen(cases[i][0]));
		assert_int_equal(open_at(&source, CONF, 100, &err), -1);
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
	put(B, good, strlen(good));
	if (open_at(&source, B, 100, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(source.kind->name, "dockertools-script");
	assert_string_equal(source.repo_tag, "web:1");
	assert_int_equal(source.nr, 2);
	check_config(&source, "\"Cmd\": [\n            \"x\"\n        ]");
	put(B, foreign, strlen(foreign));
	assert_int_equal(open_at(&none, B, 9, &err), -1);
	check_str("foreign", err.msg,
		  B ": its last line: expected a conf in the script's "
		    "closure, not " PATH("other-conf.json"));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put(B, bad[i], strlen(bad[i]));
		assert_int_equal(open_at(&none, B, 9, &err), -1);
		check(bad[i], err.code == ERR_REFUSED);
	}
}

/* What is no image at all. */
static void test_unknown_kinds(void **state)
{
	static const char *const texts[] = {
		"",
		"x",
		"{}",
		"{\"a\":1}",
		"[]",
		"{\"roots\":[]}",
		"{\"store_layers\":",
	};
	static const char suffix[] =
		" is no image and no package: a file that is neither a conf, "
		"an archive of an image, nor a program";
	autofree char *link_path = xasprintf("%s/" HASH "-link", store);
	autosource source = SOURCE_INIT;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		put(PATH("file"), texts[i], strlen(texts[i]));
		assert_int_equal(open_at(&source, PATH("file"), 9, &err), -1);
		check(texts[i], err.code == ERR_REFUSED);
		check_str(texts[i], err.msg + strlen(PATH("file")), suffix);
	}
	assert_int_equal(symlink("/etc/passwd", link_path), 0);
	assert_int_equal(open_at(&source, PATH("link"), 9, &err), -1);
	assert_int_equal(err.code, ERR_REFUSED);
	assert_int_equal(open_at(&source, PATH("vanished"), 9, &err), -1);
	assert_int_equal(err.code, ERR_UNKNOWN);
	assert_string_equal(err.msg, PATH("vanished") " is not there");
}

/* 100 MB that begin as JSON are refused for their size, unread. */
static void test_huge_json(void **state)
{
	autofree char *real = xasprintf("%s/" HASH "-file", store);
	autosource source = SOURCE_INIT;
	struct err err;

	put(PATH("file"), "{\"version\":1,", 13);
	assert_int_equal(truncate(real, 100000000), 0);
	assert_int_equal(open_at(&source, PATH("file"), 9, &err), -1);
	assert_int_equal(err.code, ERR_MALFORMED);
	assert_non_null(strstr(err.msg, "100000000 bytes"));
}

static void open_package(struct source *source, const char *system,
			 const struct probe *probe)
{
	autoclosure closure = CLOSURE_INIT;
	struct source_output output = { .path = A,
					.closure = &closure,
					.probe = probe,
					.system = system,
					.max_layers = 3 };
	struct err err = ERR_INIT;

	make_closure(&closure);
	if (source_open(source, &output, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(source->kind->name, "package");
}

/* A program of the package A. */
static void put_program(const char *name)
{
	autofree char *path = xasprintf(A "/bin/%s", name);
	autofree char *real =
		xasprintf("%s%s", store, path + strlen(STORE_DIR));

	put(path, "#!", 2);
	assert_int_equal(chmod(real, 0555), 0);
}

#define ENTRYPOINT(name) "\"Entrypoint\": [\n            \"" A "/bin/" name "\""

/* What runs: meta's main program, else pname, else the only one. */
static void test_package(void **state)
{
	static const struct {
		const char *main_program, *pname, *want;
	} cases[] = {
		{ "two", "one", ENTRYPOINT("two") },
		{ "gone", "one", ENTRYPOINT("one") },
		{ "../a", "two", ENTRYPOINT("two") },
		{ "", "gone", "\"config\": {\n        \"Env\": [" },
		{ NULL, NULL, "\"config\": {\n        \"Env\": [" },
	};
	autosource only = SOURCE_INIT, arm = SOURCE_INIT, none = SOURCE_INIT;
	autoclosure closure = CLOSURE_INIT;
	struct source_output output = { .path = A,
					.closure = &closure,
					.system = "x86_64-darwin" };
	struct err err = ERR_INIT;

	put_program("one");
	put(A "/bin/no-program", "x", 1);
	put_program(".wrapped");
	open_package(&only, "x86_64-linux", NULL);
	check_config(&only, ENTRYPOINT("one"));
	check_config(&only, "\"architecture\": \"amd64\",\n    \"os\"");
	assert_int_equal(only.inputs[only.nr - 1].kind, LAYER_ROOT);
	check_paths(&only.inputs[only.nr - 1], A);
	assert_true(only.nr <= 3);
	put_program("two");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autosource source = SOURCE_INIT;
		struct probe probe = {
			.main_program =
				(char *)(uintptr_t)cases[i].main_program,
			.pname = (char *)(uintptr_t)cases[i].pname,
		};

		open_package(&source, "x86_64-linux", &probe);
		check_config(&source, cases[i].want);
	}
	open_package(&arm, "armv7l-linux", NULL);
	check_config(&arm, "\"architecture\": \"arm\",\n    "
			   "\"variant\": \"v7\",\n    \"os\"");
	make_closure(&closure);
	assert_int_equal(source_open(&none, &output, &err), -1);
	assert_int_equal(err.code, ERR_REFUSED);
}

/* A conf of another name is known by its keys. */
static void test_known_by_content(void **state)
{
	autosource source = SOURCE_INIT;
	const char *text = " \n" OURS TIMES "\"maxLayers\":9,"
			   "\"includeStorePaths\":false," OWNER;
	struct err err;

	put(PATH("image"), text, strlen(text));
	if (open_at(&source, PATH("image"), 9, &err))
		fail_msg("%s", err.msg);
}

static int setup(void **state)
{
	store = scratch_make();
	store_set_real_dir(store);
	return 0;
}

static int teardown(void **state)
{
	scratch_remove(store);
	return 0;
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
		cmocka_unit_test(test_package),
		cmocka_unit_test(test_unknown_kinds),
		cmocka_unit_test(test_huge_json),
		cmocka_unit_test(test_known_by_content),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
