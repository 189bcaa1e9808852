// SPDX-License-Identifier: MIT
/* A package in a store of which one call after the other fails. */
#include "tests/unit/check.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/source.h"
#include "common/store.h"
#include "tests/unit/broken.h"
#include "tests/unit/closuretext.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

#define HASH	   "00000000000000000000000000000000"
#define PATH(name) STORE_DIR "/" HASH "-" name

#define A    PATH("a")
#define B    PATH("b")
#define BOTH PATH("both")

static char *store;
static char *roots[] = { (char *)(uintptr_t)A, (char *)(uintptr_t)B };
static const struct probe composed = { .roots = roots, .nr_roots = 2 };

static void put(const char *path, mode_t mode)
{
	autofree char *real =
		xasprintf("%s%s", store, path + strlen(STORE_DIR));
	autofree char *dir =
		xstrndup(real, (size_t)(strrchr(real, '/') - real));

	scratch_mkdir(dir);
	scratch_write(real, "x", 1);
	assert_int_equal(chmod(real, mode), 0);
}

static int setup(void **state)
{
	store = scratch_make();
	store_set_real_dir(store);
	put(A "/bin/a", 0555);
	put(A "/bin/no-program", 0444);
	put(A "/etc/ssl/certs/ca-bundle.crt", 0444);
	put(B "/bin/b", 0555);
	put(BOTH, 0555);
	return 0;
}

static int teardown(void **state)
{
	scratch_remove(store);
	return 0;
}

/* What is opened, and what came of it. */
struct opening {
	const char *path;
	const struct probe *probe;
	struct err err;
	bool has_program, has_bundle;
};

static int open_it(void *arg)
{
	static const char text[] =
		A "\n" HASH HASH "\n5\n\n0\n" B "\n" HASH HASH "\n5\n\n0\n" BOTH
		  "\n" HASH HASH "\n5\n\n2\n" A "\n" B "\n";
	struct opening *o = arg;
	autoclosure closure = CLOSURE_INIT;
	autosource source = SOURCE_INIT;
	autostrbuf config = STRBUF_INIT;
	const struct source_output output = { .path = o->path,
					      .closure = &closure,
					      .probe = o->probe,
					      .system = "x86_64-linux",
					      .max_layers = 9 };
	struct layer layers[9];

	memset(layers, 0, sizeof(layers));
	o->err = (struct err)ERR_INIT;
	if (closure_from_text(&closure, text, &o->err))
		return -2;
	if (source_open(&source, &output, &o->err))
		return -1;
	if (source_config(&source, layers, &config, &o->err))
		return -2;
	o->has_program = strstr(config.buf, A "/bin/a") != NULL;
	o->has_bundle = strstr(config.buf, "ca-bundle.crt") != NULL;
	return 0;
}

/*
 * It is an error, or the image is as it would have been: what cannot be looked
 * at is not taken to be absent.
 */
static void test_each_call(void **state)
{
	static const struct {
		const char *name;
		struct broken broken;
	} cases[] = {
		{ "openat", { SCMP_SYS(openat), EMFILE, 0, 0, 0 } },
		{ "stat", { SCMP_SYS(newfstatat), EIO, 0, 0, 0 } },
		{ "getdents64", { SCMP_SYS(getdents64), EIO, 0, 0, 0 } },
	};
	struct opening openings[] = {
		{ .path = A },
		{ .path = BOTH, .probe = &composed },
	};
	size_t before = count_open();

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t j = 0; j < ARRAY_SIZE(openings); j++) {
			struct opening *o = &openings[j];
			unsigned int nth = 1;
			int rc;

			while (broken_run_nth(&cases[i].broken, nth++, open_it,
					      o, &rc)) {
				check(cases[i].name, rc == 0 || rc == -1);
				check(o->err.msg,
				      !rc || o->err.code == ERR_SYSTEM);
				check(cases[i].name,
				      rc || o->has_program == !o->probe);
				check(cases[i].name, rc || o->has_bundle);
				check(cases[i].name, count_open() == before);
			}
			check(cases[i].name, !rc);
		}
}

/* Only folders can be composed, and only what is there. */
static void test_roots(void **state)
{
	static char *file[] = { (char *)(uintptr_t)BOTH };
	static char *gone[] = { (char *)(uintptr_t)PATH("gone") };
	const struct probe of_file = { .roots = file, .nr_roots = 1 };
	const struct probe of_gone = { .roots = gone, .nr_roots = 1 };
	struct opening o = { .path = A, .probe = &of_file };

	assert_int_equal(open_it(&o), -1);
	assert_int_equal(o.err.code, ERR_REFUSED);
	assert_non_null(strstr(o.err.msg, BOTH " is not a directory"));
	o.probe = &of_gone;
	assert_int_equal(open_it(&o), -1);
	assert_int_equal(o.err.code, ERR_UNKNOWN);
	assert_non_null(strstr(o.err.msg, PATH("gone")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_roots),
	};
	const struct CMUnitTest faults[] = {
		cmocka_unit_test(test_each_call),
	};

	return cmocka_run_group_tests(tests, setup, teardown) +
	       (broken_works() ? cmocka_run_group_tests(faults, setup, teardown)
			       : 0);
}
