// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "tests/unit/scratch.h"
#include "tests/unit/sourcefixture.h"

#include "common/banned.h"

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

static void put_program(const char *package, const char *name)
{
	autofree char *path = xasprintf("%s/%s", package, name);
	autofree char *real = store_file(path);

	put_file(path, "#!", 2);
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

	put_program(A, "bin/one");
	put_file(A "/bin/no-program", "x", 1);
	put_program(A, "bin/.wrapped");
	open_package(&only, "x86_64-linux", NULL);
	check_config(&only, ENTRYPOINT("one"));
	check_config(&only, "\"architecture\": \"amd64\",\n    \"os\"");
	assert_int_equal(only.inputs[only.nr - 1].kind, LAYER_ROOT);
	check_paths(&only.inputs[only.nr - 1], A);
	assert_true(only.nr <= 3);
	put_program(A, "bin/two");
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

#define X8  "xxxxxxxx"
#define X64 X8 X8 X8 X8 X8 X8 X8 X8

/* A symlink in bin is a program if it leads to one in the store. */
static void test_symlinks(void **state)
{
	static const struct {
		const char *target;
		bool right;
	} cases[] = {
		{ B "/bin/b", true },
		{ "../lib/run", true },
		{ "../../" STORE_HASH "-b/bin/b", true },
		{ "/nix/./store//" STORE_HASH "-b/tools/b", true },
		{ "../tools/run", true },
		{ "again", true },
		{ B "/bin/gone", false },
		{ "gone", false },
		{ PATH("gone") "/bin/b", false },
		{ "../lib/run/x", false },
		{ B "/bin", false },
		{ B "/text", false },
		{ "link", false },
		{ "/bin/sh", false },
		{ "../../../../bin/sh", false },
		{ STORE_DIR, false },
		/* A longer name than any file has. */
		{ X64 X64 X64 X64, false },
	};
	struct probe probe = { .pname = (char *)(uintptr_t) "link" };
	autofree char *link = store_file(A "/bin/link");
	autofree char *tools = store_file(A "/tools");
	autofree char *others = store_file(B "/tools");
	autofree char *again = store_file(A "/bin/again");

	put_program(A, "bin/two");
	put_program(A, "lib/run");
	put_program(B, "bin/b");
	put_file(B "/text", "x", 1);
	assert_int_equal(symlink("lib", tools), 0);
	assert_int_equal(symlink(B "/bin", others), 0);
	assert_int_equal(symlink("two", again), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autosource source = SOURCE_INIT;

		unlink(link);
		assert_int_equal(symlink(cases[i].target, link), 0);
		open_package(&source, "x86_64-linux", &probe);
		check_config(&source,
			     cases[i].right
				     ? ENTRYPOINT("link")
				     : "\"config\": {\n        \"Env\": [");
	}
}

/* Of a main program that is missing, only where nothing else is run. */
static void test_warning(void **state)
{
	static const struct {
		const char *main_program, *pname, *want;
	} cases[] = {
		{ "gone", "one", NULL },
		{ NULL, "gone", NULL },
		{ "gone", "gone",
		  "the image has no entrypoint: bin/gone, the package's main "
		  "program, is not there" },
	};

	put_program(A, "bin/one");
	put_program(A, "bin/two");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autosource source = SOURCE_INIT;
		struct probe probe = {
			.main_program =
				(char *)(uintptr_t)cases[i].main_program,
			.pname = (char *)(uintptr_t)cases[i].pname,
		};

		open_package(&source, "x86_64-linux", &probe);
		if (cases[i].want)
			check_str(cases[i].want, source.warning, cases[i].want);
		else
			assert_null(source.warning);
	}
}

/* bin and the folders of certificates are found through symlinks, too. */
static void test_symlinked_folders(void **state)
{
	static const char *const targets[] = {
		"current/bin",
		"current/etc/../bin",
		"current/again",
	};
	struct probe probe = { .pname = (char *)(uintptr_t) "app" };
	autofree char *bin = store_file(A "/bin");
	autofree char *current = store_file(A "/current");
	autofree char *again = store_file(A "/v/1/again");
	autofree char *etc = store_file(A "/etc");

	scratch_remove(xstrdup(bin));
	put_program(A, "v/1/bin/app");
	put_program(A, "v/1/bin/other");
	put_file(A "/v/1/etc/ssl/certs/ca-bundle.crt", "x", 1);
	assert_int_equal(symlink("v/1", current), 0);
	assert_int_equal(symlink(A "/current/bin", again), 0);
	assert_int_equal(symlink("current/etc", etc), 0);
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		autosource source = SOURCE_INIT;

		unlink(bin);
		assert_int_equal(symlink(targets[i], bin), 0);
		open_package(&source, "x86_64-linux", &probe);
		check_config(&source, ENTRYPOINT("app"));
		check_config(&source, "SSL_CERT_FILE=" A
				      "/v/1/etc/ssl/certs/ca-bundle.crt");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_package),
		cmocka_unit_test(test_symlinks),
		cmocka_unit_test(test_warning),
		cmocka_unit_test(test_symlinked_folders),
	};

	return cmocka_run_group_tests(tests, sourcefixture_set_up,
				      sourcefixture_tear_down);
}
