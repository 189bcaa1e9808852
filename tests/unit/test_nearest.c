// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/nearest.h"

#include "common/banned.h"

static void test_nearest(void **state)
{
	static const char *const names[] = {
		"api", "bash", "bashInteractive", "web", "webhook", "worker"
	};
	static const struct {
		const char *wanted, *expected;
	} cases[] = {
		{ "wev", "web" },
		{ "Web", "web or webhook" },
		{ "bahs", "bash" },
		{ "interactive", "bashInteractive" },
		{ "workers", "worker" },
		{ "zzz", "" },
		{ "", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autostrbuf out = STRBUF_INIT;

		nearest_names(&out, cases[i].wanted, names, ARRAY_SIZE(names),
			      3);
		if (strcmp(out.buf, cases[i].expected))
			fail_msg("%s: \"%s\" is not \"%s\"", cases[i].wanted,
				 out.buf, cases[i].expected);
	}
}

static void test_many(void **state)
{
	const char *names[1000];
	autostrbuf out = STRBUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		names[i] = "same";
	nearest_names(&out, "same", names, ARRAY_SIZE(names), 3);
	assert_string_equal(out.buf, "same, same or same");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
