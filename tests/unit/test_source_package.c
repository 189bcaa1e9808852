// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "common/alloc.h"
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

/* A program of the package A. */
static void put_program(const char *name)
{
	autofree char *path = xasprintf(A "/bin/%s", name);
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

	put_program("one");
	put_file(A "/bin/no-program", "x", 1);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_package),
	};

	return cmocka_run_group_tests(tests, sourcefixture_set_up,
				      sourcefixture_tear_down);
}
