// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "common/task.h"

#include "common/banned.h"

static void test_round_trip(void **state)
{
	static const struct {
		enum task_kind kind;
		const char *flake, *text;
	} cases[] = {
		{ TASK_TAGS, "", "*tags" },
		{ TASK_TAGS, "blog", "*tags blog" },
		{ TASK_NAMES, "", "*names" },
		{ TASK_HEALTH, "", "*health" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct task task, back;
		struct err err = ERR_INIT;
		struct digest a, b;

		task_init(&task, cases[i].kind, cases[i].flake);
		check_str(cases[i].text, task_str(&task), cases[i].text);
		check(cases[i].text, task_is(task_str(&task)));
		check(cases[i].text, !task_parse(&back, task_str(&task), &err));
		check(cases[i].text, back.kind == cases[i].kind);
		check_str(cases[i].text, back.flake, cases[i].flake);
		task_key(&task, &a);
		task_key(&back, &b);
		check(cases[i].text, digest_equal(&a, &b));
	}
	assert_false(task_is("web:latest"));
}

static void test_malformed(void **state)
{
	static const char *const cases[] = {
		"",	   "*",		  "*tag",      "*tags ", "*tags ../x",
		"*tags A", "*names blog", "*health  ", "names",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct task task;
		struct err err = ERR_INIT;

		check(cases[i], task_parse(&task, cases[i], &err) == -1);
		check(cases[i], err.code == ERR_MALFORMED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
