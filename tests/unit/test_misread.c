// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/source.h"
#include "common/store.h"
#include "tests/unit/closuretext.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

/*
 * What could not be looked at is not what is not there: an output that cannot
 * be told apart is an error, and never another image. Here no descriptor is
 * left, after none, one, two … were.
 */

#define A STORE_DIR "/00000000000000000000000000000000-a"
#define B STORE_DIR "/00000000000000000000000000000000-b"

static char *store;

static void put(const char *path, const char *text)
{
	autofree char *real =
		xasprintf("%s%s", store, path + strlen(STORE_DIR));
	autofree char *dir =
		xstrndup(real, (size_t)(strrchr(real, '/') - real));

	scratch_mkdir(dir);
	scratch_write(real, text, strlen(text));
	assert_int_equal(chmod(real, 0555), 0);
}

/* The image config, or NULL. */
static char *look(const char *path, struct err *err)
{
	autosource source = SOURCE_INIT;
	autoclosure closure = CLOSURE_INIT;
	autostrbuf text = STRBUF_INIT, config = STRBUF_INIT;
	struct source_output output = { .path = path,
					.closure = &closure,
					.system = "x86_64-linux",
					.max_layers = 9 };
	autofree struct layer *layers = NULL;

	strbuf_addf(&text, "%s\n%064x\n1\n\n0\n", path, 1);
	*err = (struct err)ERR_INIT;
	if (closure_from_text(&closure, text.buf, err))
		fail_msg("%s", err->msg);
	if (source_open(&source, &output, err))
		return NULL;
	layers = xcalloc(source.nr, sizeof(*layers));
	if (source_config(&source, layers, &config, err))
		return NULL;
	return strbuf_detach(&config, NULL);
}

/* The same with so many descriptors left. */
static char *look_with(rlim_t left, const char *path, struct err *err)
{
	int lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct rlimit old, few;
	char *config;

	assert_true(lowest >= 0);
	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = (rlim_t)lowest + left;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	config = look(path, err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	return config;
}

static void test_package(void **state)
{
	struct err err;
	autofree char *want = NULL;
	size_t failed = 0;

	put(A "/bin/program", "#!");
	want = look(A, &err);
	assert_non_null(want);
	assert_non_null(strstr(want, A "/bin/program"));
	for (rlim_t left = 0; left < 8; left++) {
		autofree char *config = look_with(left, A, &err);

		if (config)
			assert_string_equal(config, want);
		else
			assert_int_equal(err.code, ERR_SYSTEM);
		failed += !config;
	}
	assert_in_range(failed, 1, 7);
}

/* It has no index.json, so it is none at all, and no package either. */
static void test_layout(void **state)
{
	struct err err;

	put(B "/bin/program", "#!");
	put(B "/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
	for (rlim_t left = 0; left < 8; left++)
		assert_null(look_with(left, B, &err));
	assert_null(look(B, &err));
	assert_int_equal(err.code, ERR_MALFORMED);
}

static int setup(void **state)
{
	store = scratch_make();
	store_set_real_dir(store);
	return 0;
}

static int teardown(void **state)
{
	store_set_real_dir(STORE_DIR);
	scratch_remove(store);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_package),
		cmocka_unit_test(test_layout),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
