// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "common/isotime.h"

#include "common/banned.h"

static void test_parse(void **state)
{
	/* Seconds and text are those of Python's datetime. */
	static const struct {
		const char *text, *formatted;
		int64_t seconds;
	} cases[] = {
		{ "1970-01-01T00:00:01Z", "1970-01-01T00:00:01+00:00", 1 },
		{ "1970-01-01T00:00:01+00:00", "1970-01-01T00:00:01+00:00", 1 },
		{ "1970-01-01 00:00", "1970-01-01T00:00:00+00:00", 0 },
		{ "2024-02-29", "2024-02-29T00:00:00+00:00", 1709164800 },
		{ "2024-02-29T12:34:56+02:00", "2024-02-29T12:34:56+02:00",
		  1709202896 },
		{ "2024-02-29T12:34:56-0930", "2024-02-29T12:34:56-09:30",
		  1709244296 },
		{ "2024-02-29T12:34:56+01", "2024-02-29T12:34:56+01:00",
		  1709206496 },
		{ "2024-12-31T23:59:59.5Z", "2024-12-31T23:59:59.500000+00:00",
		  1735689599 },
		{ "2024-12-31T23:59:59,1234567",
		  "2024-12-31T23:59:59.123456+00:00", 1735689599 },
		{ "2024-12-31T23:59:59.0000001Z", "2024-12-31T23:59:59+00:00",
		  1735689599 },
		{ "2000-03-01T00:00:00-00:00", "2000-03-01T00:00:00+00:00",
		  951868800 },
		{ "1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500000+00:00",
		  0 },
		{ "1969-12-31T23:59:58Z", "1969-12-31T23:59:58+00:00", -2 },
		{ "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00",
		  -62135596800 },
		{ "9999-12-31T23:59:59Z", "9999-12-31T23:59:59+00:00",
		  253402300799 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct isotime t;
		struct err err = ERR_INIT;
		char text[ISOTIME_SIZE];

		if (isotime_parse(&t, cases[i].text, &err))
			fail_msg("%s: %s", cases[i].text, err.msg);
		check_str(cases[i].text, isotime_format(&t, text),
			  cases[i].formatted);
		check(cases[i].text, isotime_seconds(&t) == cases[i].seconds);
	}
}

static void test_refuses(void **state)
{
	static const char *const cases[] = {
		"",
		"now",
		"yesterday",
		"1970",
		"1970-1-1",
		"0000-01-01",
		"1970-00-01",
		"1970-13-01",
		"1970-01-00",
		"2023-02-29",
		"1900-02-29",
		"1970-01-01T",
		"1970-01-01T1:00",
		"1970-01-01T24:00:00",
		"1970-01-01T00:60:00",
		"1970-01-01T00:00:60",
		"1970-01-01T00:00:00.",
		"1970-01-01T00:00:00z",
		"1970-01-01T00:00:00Z ",
		"1970-01-01T00:00:00+",
		"1970-01-01T00:00:00+1",
		"1970-01-01T00:00:00+01:",
		"1970-01-01T00:00:00+24:00",
		"1970-01-01T00:00:00+00:60",
		"1970-01-01T00:00:00+00:00:01",
		"@1",
		" 1970-01-01",
		"-970-01-01",
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct isotime t;
		struct err err = ERR_INIT;

		check(cases[i], isotime_parse(&t, cases[i], &err) == -1);
		check(cases[i], err.code == ERR_MALFORMED);
	}
}

static void test_seconds_and_back(void **state)
{
	/* A prime, so that hours and days differ from step to step. */
	for (int64_t s = -62135596800; s <= 253402300799; s += 8640013) {
		struct isotime t, again;
		struct err err = ERR_INIT;
		char text[ISOTIME_SIZE];

		isotime_from_seconds(&t, s);
		isotime_format(&t, text);
		check(text, isotime_seconds(&t) == s);
		check(text, !isotime_parse(&again, text, &err));
		check(text, isotime_seconds(&again) == s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_seconds_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
