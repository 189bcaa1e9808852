// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdlib.h>

#include "common/json.h"
#include "common/probe.h"

#include "common/banned.h"

#define PARTS "\"part\": \"conf\", \"drvPath\": \"/d\", \"output\": \"out\""

static int read_probe(const char *text, struct probe *probe, struct err *err)
{
	autojson *json = NULL;

	*err = (struct err)ERR_INIT;
	if (json_parse(&json, text, strlen(text), "it", err))
		fail_msg("%s: %s", text, err->msg);
	return probe_read(probe, json, err);
}

static void test_read(void **state)
{
	struct probe probe;
	struct err err;

	if (read_probe("{" PARTS ", \"pname\": \"x\", \"version\": null, "
		       "\"roots\": [\"/a\", \"/b\"]}",
		       &probe, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(probe.part, "conf");
	assert_string_equal(probe.pname, "x");
	assert_null(probe.version);
	assert_int_equal(probe.nr_roots, 2);
	assert_string_equal(probe.roots[1], "/b");
	probe_release(&probe);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "{}", "part" },
		{ "{\"part\": \"conf\"}", "drvPath" },
		{ "{\"part\": \"conf\", \"drvPath\": \"/d\"}", "output" },
		{ "{\"part\": 1}", "part" },
		{ "{" PARTS ", \"name\": []}", "name" },
		{ "{" PARTS ", \"roots\": \"/a\"}", "roots" },
		{ "{" PARTS ", \"roots\": [\"/a\", 1]}", "roots" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct probe probe;
		struct err err;

		check(cases[i].text,
		      read_probe(cases[i].text, &probe, &err) == -1);
		check(cases[i].text, err.code == ERR_MALFORMED);
		check(err.msg, strstr(err.msg, cases[i].says));
		check(cases[i].text, !probe.part && !probe.roots);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
