// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <unistd.h>

#include "common/space.h"
#include "tests/unit/broken.h"

#include "common/banned.h"

static void test_enough(void **state)
{
	struct cache cache = { .fd = open("/tmp", O_RDONLY | O_CLOEXEC),
			       .path = (char[]){ "/tmp" } };
	struct err err = ERR_INIT;

	assert_true(space_free(&cache) > 64 << 20);
	assert_null(space_none(&cache));
	assert_int_equal(space_check(&cache, &err), 0);
	close(cache.fd);
}

/* A file system on which there never is any. */
static void test_none(void **state)
{
	struct cache cache = { .fd = open("/proc", O_RDONLY | O_CLOEXEC),
			       .path = (char[]){ "/proc" } };

	assert_int_equal(space_free(&cache), 0);
	assert_non_null(space_none(&cache));
	close(cache.fd);
}

/* Nobody knows; then nothing is said to be full, and nothing is built. */
static int no_answer(void *arg)
{
	const struct cache *cache = arg;
	struct err err = ERR_INIT;

	return space_free(cache) == 0 && !space_none(cache) &&
			       space_check(cache, &err) == -1 &&
			       err.code == ERR_SYSTEM && err.sys == EIO
		       ? 0
		       : -1;
}

static void test_no_answer(void **state)
{
	const struct broken broken = { .call = SCMP_SYS(fstatfs),
				       .error = EIO };
	struct cache cache = { .fd = open("/tmp", O_RDONLY | O_CLOEXEC),
			       .path = (char[]){ "/tmp" } };

	assert_int_equal(broken_run(&broken, no_answer, &cache), 0);
	close(cache.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_enough),
		cmocka_unit_test(test_none),
	};
	const struct CMUnitTest faults[] = {
		cmocka_unit_test(test_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) +
	       (broken_works() ? cmocka_run_group_tests(faults, NULL, NULL)
			       : 0);
}
