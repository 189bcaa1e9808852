// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdlib.h>

#include "common/err.h"
#include "fcgi/range.h"

#include "common/banned.h"

static void test_range_parse(void **state)
{
	static const struct {
		const char *header;
		uint64_t size;
		enum range_kind kind;
		uint64_t first, length;
	} cases[] = {
		{ "bytes=0-0", 10, RANGE_PART, 0, 1 },
		{ "bytes=0-9", 10, RANGE_PART, 0, 10 },
		{ "bytes=3-", 10, RANGE_PART, 3, 7 },
		{ "BYTES=3-4", 10, RANGE_PART, 3, 2 },
		{ "bytes=0-10", 10, RANGE_PART, 0, 10 },
		{ "bytes=9-99999999999999999999999", 10, RANGE_PART, 9, 1 },
		{ "bytes=-3", 10, RANGE_PART, 7, 3 },
		{ "bytes=-10", 10, RANGE_PART, 0, 10 },
		{ "bytes=-11", 10, RANGE_PART, 0, 10 },
		{ "bytes=-99999999999999999999999", 10, RANGE_PART, 0, 10 },
		{ "bytes=10-", 10, RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=10-12", 10, RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=99999999999999999999999-", 10, RANGE_UNSATISFIABLE, 0,
		  0 },
		{ "bytes=-0", 10, RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=0-", 0, RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=-1", 0, RANGE_UNSATISFIABLE, 0, 0 },
		/* RFC 9110, 14.2: what is malformed is as if not there. */
		{ NULL, 10, RANGE_ALL, 0, 0 },
		{ "", 10, RANGE_ALL, 0, 0 },
		{ "bytes=", 10, RANGE_ALL, 0, 0 },
		{ "bytes=-", 10, RANGE_ALL, 0, 0 },
		{ "bytes=5-4", 10, RANGE_ALL, 0, 0 },
		{ "bytes=a-b", 10, RANGE_ALL, 0, 0 },
		{ "bytes=1", 10, RANGE_ALL, 0, 0 },
		{ "bytes=1-2x", 10, RANGE_ALL, 0, 0 },
		{ "bytes=--1", 10, RANGE_ALL, 0, 0 },
		{ "bytes=-1-2", 10, RANGE_ALL, 0, 0 },
		{ "bytes=+1-2", 10, RANGE_ALL, 0, 0 },
		{ "items=0-1", 10, RANGE_ALL, 0, 0 },
		{ "bytes=0-1,3-4", 10, RANGE_ALL, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *name =
			cases[i].header ? cases[i].header : "no header";
		struct range range = { .first = 0 };

		check(name, range_parse(cases[i].header, cases[i].size,
					&range) == cases[i].kind);
		check(name, range.first == cases[i].first);
		check(name, range.length == cases[i].length);
	}
}

static void test_range_count(void **state)
{
	check("none", range_count(NULL) == 0);
	check("other unit", range_count("items=1,2") == 0);
	check("one", range_count("bytes=1-2") == 1);
	check("three", range_count("bytes=1-2, 3-4,-5") == 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_range_parse),
		cmocka_unit_test(test_range_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
