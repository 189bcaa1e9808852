// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/health.h"
#include "tests/unit/fakeprogram.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

static char *folder;
static struct cache cache;

static int setup(void **state)
{
	autofree char *path = NULL;
	struct err err = ERR_INIT;

	folder = scratch_make();
	path = xasprintf("%s/cache", folder);
	fakeprogram_use(folder);
	fakeprogram_write(folder, "git", "echo git version 2.39.5");
	if (cache_open(&cache, path, CACHE_WRITE, &err))
		fail_msg("%s", err.msg);
	return 0;
}

static int teardown(void **state)
{
	cache_release(&cache);
	scratch_remove(folder);
	return 0;
}

static void test_checks(void **state)
{
	static const struct {
		const char *name, *nix, *store, *problem;
	} cases[] = {
		{ "well", "echo 'nix (Nix) 2.28.5'", "echo path", "" },
		{ "nix fails", "exit 1", "echo path", "nix" },
		{ "the store does not answer", "echo 'nix (Nix) 2.28.5'",
		  "exit 1", "nix-store" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct health health, back;
		struct err err = ERR_INIT;

		fakeprogram_write(folder, "nix", cases[i].nix);
		fakeprogram_write(folder, "nix-store", cases[i].store);
		health_check(&cache, &health);
		check(cases[i].name, health.checked > 0);
		check(cases[i].name, health.free_bytes > 0);
		if (!*cases[i].problem)
			check_str(cases[i].name, health.problem, "");
		check(cases[i].name,
		      strstr(health.problem, cases[i].problem) != NULL);
		if (health_write(&cache, &health, &err) ||
		    health_read(&cache, &back, &err))
			fail_msg("%s: %s", cases[i].name, err.msg);
		check_str(cases[i].name, back.problem, health.problem);
		check_str(cases[i].name, back.nix, health.nix);
	}
}

/* No program at all is a problem that is named, too. */
static void test_no_nix(void **state)
{
	autofree char *nix = xasprintf("%s/nix", folder);
	struct health health;

	unlink(nix);
	if (!access("/usr/bin/nix", F_OK) || !access("/bin/nix", F_OK))
		fakeprogram_write(folder, "nix", "exit 127");
	health_check(&cache, &health);
	assert_non_null(strstr(health.problem, "nix"));
	assert_string_equal(health.nix, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_no_nix),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
