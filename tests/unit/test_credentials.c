// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/credentials.h"
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

static char *file_of(const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", folder, name);

	scratch_write(path, text, strlen(text));
	return path;
}

static const char *get(const struct credentials *c, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; c->env && c->env[i]; i++)
		if (!strncmp(c->env[i], name, len) && c->env[i][len] == '=')
			return c->env[i] + len + 1;
	return NULL;
}

static void test_none(void **state)
{
	const struct flake_settings flake = { .credentials = NULL };
	autocredentials c = CREDENTIALS_INIT;
	struct err err = ERR_INIT;

	assert_int_equal(credentials_open(&c, &cache, &flake, &err), 0);
	assert_null(c.env);
	assert_null(c.netrc);
}

static void test_netrc(void **state)
{
	autofree char *file = file_of("netrc", "machine h login me\n");
	const struct flake_settings flake = { .credentials = file };
	struct credentials c = CREDENTIALS_INIT;
	struct err err = ERR_INIT;
	autofree char *netrc = NULL;

	if (credentials_open(&c, &cache, &flake, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(c.netrc, file);
	netrc = xasprintf("%s/.netrc", get(&c, "HOME"));
	assert_int_equal(access(netrc, R_OK), 0);
	/* What is kept at home stays there. */
	if (getenv("HOME"))
		assert_non_null(get(&c, "XDG_CACHE_HOME"));
	credentials_release(&c);
	assert_int_equal(access(netrc, F_OK), -1);
}

static void test_key(void **state)
{
	autofree char *file =
		file_of("it's a key", "-----BEGIN OPENSSH PRIVATE KEY-----\n");
	const struct flake_settings flake = { .credentials = file };
	autocredentials c = CREDENTIALS_INIT;
	autofree char *expected = NULL;
	struct err err = ERR_INIT;

	if (credentials_open(&c, &cache, &flake, &err))
		fail_msg("%s", err.msg);
	expected = xasprintf("ssh -i '%s/it'\\''s a key' "
			     "-o IdentitiesOnly=yes -o BatchMode=yes",
			     folder);
	assert_string_equal(get(&c, "GIT_SSH_COMMAND"), expected);
	assert_null(c.netrc);
}

static void test_refused(void **state)
{
	autofree char *other = file_of("other", "hello\n");
	autofree char *empty = file_of("empty", "");
	const char *const cases[] = { other, empty, "/nonexistent/netrc",
				      folder };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct flake_settings flake = {
			.credentials = (char *)(uintptr_t)cases[i]
		};
		autocredentials c = CREDENTIALS_INIT;
		struct err err = ERR_INIT;

		check(cases[i],
		      credentials_open(&c, &cache, &flake, &err) == -1);
		check(cases[i], err.code == ERR_REFUSED);
		check(cases[i], strstr(err.msg, cases[i]) != NULL);
		check(cases[i], c.env == NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_netrc),
		cmocka_unit_test(test_key),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
