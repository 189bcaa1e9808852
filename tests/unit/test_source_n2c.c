// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "tests/unit/sourcefixture.h"

#include "common/banned.h"

/* Open nix2container's JSON with these keys besides; -1 and err, or 0. */
static int open_n2c(struct source *source, const char *keys, struct err *err)
{
	autofree char *text = xasprintf(
		"{\"version\":1,\"image-config\":{\"User\":\"u\"},%s}", keys);

	*err = (struct err)ERR_INIT;
	put_file(PATH("n2c"), text, strlen(text));
	return open_output(source, PATH("n2c"), 9, err);
}

static void test_config(void **state)
{
	static const struct {
		const char *keys, *part;
	} cases[] = {
		{ "\"layers\":[]", "{\"architecture\":\"amd64\"" },
		{ "\"layers\":null",
		  "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}" },
		{ "\"layers\":[],\"arch\":\"\"", "\"architecture\":\"amd64\"" },
		{ "\"layers\":[],\"arch\":null", "\"architecture\":\"amd64\"" },
		{ "\"layers\":[],\"arch\":\"ppc64le\"",
		  "\"architecture\":\"ppc64le\"" },
		{ "\"layers\":[],\"created\":\"0001-01-01T00:00:00Z\"",
		  "{\"created\":\"0001-01-01T00:00:00Z\"," },
		{ "\"layers\":[],\"created\":"
		  "\"2024-02-29T12:34:56.123456789-02:00\"",
		  "{\"created\":\"2024-02-29T12:34:56.123456789-02:00\"," },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autosource source = SOURCE_INIT;
		struct err err;

		if (open_n2c(&source, cases[i].keys, &err))
			fail_msg("%s: %s", cases[i].keys, err.msg);
		check_config(&source, cases[i].part);
	}
}

static void test_refused(void **state)
{
	static const char created[] = ": key 'created': expected a time like "
				      "2024-02-29T12:34:56+02:00";
	static const char arch[] = ": key 'arch': expected a GOARCH";
	static const struct {
		const char *keys, *message;
	} cases[] = {
		{ "\"created\":\"not a time\"", created },
		{ "\"created\":\"\"", created },
		{ "\"created\":\"now\"", created },
		{ "\"created\":\"2024-02-29\"", created },
		{ "\"created\":\"2024-02-30T12:34:56Z\"", created },
		{ "\"created\":\"2024-02-29 12:34:56Z\"", created },
		{ "\"created\":\"2024-02-29T12:34:56\"", created },
		{ "\"created\":\"2024-02-29T12:34:56+0200\"", created },
		{ "\"created\":\"2024-02-29T12:34:56,5Z\"", created },
		{ "\"created\":\"2024-02-29T12:34+02:00\"", created },
		{ "\"arch\":\"../..\"", arch },
		{ "\"arch\":\"AMD64\"", arch },
		{ "\"arch\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", arch },
		{ "\"arch\":[\"amd64\"]",
		  ": key 'arch': expected a string, not an array" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autosource source = SOURCE_INIT;
		autofree char *keys =
			xasprintf("\"layers\":[],%s", cases[i].keys);
		struct err err;

		check(keys, open_n2c(&source, keys, &err) == -1);
		check(keys, err.code == ERR_MALFORMED);
		check_str(keys, err.msg + strlen(PATH("n2c")),
			  cases[i].message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, sourcefixture_set_up,
				      sourcefixture_tear_down);
}
