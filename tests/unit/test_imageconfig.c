// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/imageconfig.h"
#include "common/json.h"
#include "tests/unit/jsontext.h"

#include "common/banned.h"

/* JSON of one value, and Python's json.dumps() of it. */
static void test_scalars(void **state)
{
	static const char *const cases[][2] = {
		{ "null", "null" },
		{ "true", "true" },
		{ "false", "false" },
		{ "0", "0" },
		{ "-0", "0" },
		{ "-9223372036854775808", "-9223372036854775808" },
		{ "18446744073709551615", "18446744073709551615" },
		{ "0.0", "0.0" },
		{ "-0.0", "-0.0" },
		{ "1.0", "1.0" },
		{ "1e0", "1.0" },
		{ "2.50", "2.5" },
		{ "10.0", "10.0" },
		{ "100.25", "100.25" },
		{ "1e3", "1000.0" },
		{ "0.1", "0.1" },
		{ "0.30000000000000004", "0.30000000000000004" },
		{ "0.0001", "0.0001" },
		{ "0.00012345", "0.00012345" },
		{ "0.00001", "1e-05" },
		{ "1.5e-7", "1.5e-07" },
		{ "1e15", "1000000000000000.0" },
		{ "9007199254740993.0", "9007199254740992.0" },
		{ "9999999999999998.0", "9999999999999998.0" },
		{ "1e16", "1e+16" },
		{ "12345678901234567890.0", "1.2345678901234567e+19" },
		{ "1e22", "1e+22" },
		{ "1e23", "1e+23" },
		{ "5e-324", "5e-324" },
		{ "2.2250738585072014e-308", "2.2250738585072014e-308" },
		{ "1.7976931348623157e308", "1.7976931348623157e+308" },
		{ "-123.456", "-123.456" },
		{ "\"\"", "\"\"" },
		{ "\"a/b'\\\"\\\\\"", "\"a/b'\\\"\\\\\"" },
		{ "\"\\b\\f\\n\\r\\t\\u0000\\u001f\x7f ~\"",
		  "\"\\b\\f\\n\\r\\t\\u0000\\u001f\\u007f ~\"" },
		{ "\"é\u2028\uffff😀\U0010ffff\"",
		  "\"\\u00e9\\u2028\\uffff\\ud83d\\ude00\\udbff\\udfff\"" },
		{ "[]", "[]" },
		{ "{}", "{}" },
		{ "[[],{}]", "[\n    [],\n    {}\n]" },
		{ "{\"é\":[1]}", "{\n    \"\\u00e9\": [\n        1\n    ]\n}" },
		{ "{\"b\":{\"x\":{}},\"a\":null}",
		  "{\n    \"b\": {\n        \"x\": {}\n    },\n"
		  "    \"a\": null\n}" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autojson *json = json_of(cases[i][0]);
		autostrbuf out = STRBUF_INIT;

		imageconfig_format_json(&out, json);
		check_str(cases[i][0], out.buf, cases[i][1]);
	}
}

/* Every double comes back the same, in as few digits as will do. */
static void test_doubles_round_trip(void **state)
{
	uint64_t x = 88172645463325252;

	for (int i = 0; i < 20000; i++) {
		double value, again;
		autostrbuf out = STRBUF_INIT;
		autojson *json = NULL;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(&value, &x, sizeof(value));
		if (!(value - value == 0))
			continue;
		json = json_object_new_double(value);
		imageconfig_format_json(&out, json);
		again = strtod(out.buf, NULL);
		check(out.buf, !memcmp(&value, &again, sizeof(value)));
	}
}

/* What Python wrote, read and written again, is the same. */
static void test_golden_texts(void **state)
{
	autoclose int fd =
		open("tests/golden/images.json", O_RDONLY | O_CLOEXEC);
	struct err err = ERR_INIT;
	autojson *golden = NULL;
	struct json_object *cases;

	if (json_read(&golden, fd, 1u << 20, "images.json", &err) ||
	    json_need_array(golden, "cases", &cases, "images.json", &err))
		fail_msg("%s", err.msg);
	for (size_t i = 0; i < json_object_array_length(cases); i++) {
		struct json_object *c = json_object_array_get_idx(cases, i);
		struct json_object *expect =
			json_object_object_get(c, "expect");
		const char *text = json_object_get_string(
			json_object_object_get(expect, "image_config"));
		autojson *json = json_of(text);
		autostrbuf out = STRBUF_INIT;

		imageconfig_format_json(&out, json);
		check_str(json_object_get_string(
				  json_object_object_get(c, "case")),
			  out.buf, text);
	}
}

static void test_repr(void **state)
{
	static const char *const cases[][2] = {
		{ "", "''" },
		{ "/nix/store/a-b", "'/nix/store/a-b'" },
		{ "it's", "\"it's\"" },
		{ "a\"b", "'a\"b'" },
		{ "'\"", "'\\'\"'" },
		{ "\\\n\r\t\x01\x7f", "'\\\\\\n\\r\\t\\x01\\x7f'" },
		{ "é\u00a0\u00ad😀", "'é\\xa0\\xad😀'" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autostrbuf out = STRBUF_INIT;

		imageconfig_format_repr(&out, cases[i][0]);
		check_str(cases[i][0], out.buf, cases[i][1]);
	}
}

static void test_merge(void **state)
{
	/* The config, the base image's, and what comes of them. */
	static const char *const cases[][3] = {
		{ "{}", "{}", "{}" },
		{ "{\"Cmd\":[]}", "{\"Cmd\":[\"x\"],\"User\":\"0\"}",
		  "{\"Cmd\":[]}" },
		{ "{}", "{\"Env\":[\"A=1\",\"B=2\"]}",
		  "{\"Env\":[\"A=1\",\"B=2\"]}" },
		{ "{\"Env\":[\"B=own\",\"C=3\"],\"User\":\"1\"}",
		  "{\"Env\":[\"A=1\",\"B=2\"]}",
		  "{\"Env\":[\"A=1\",\"B=own\",\"C=3\"],\"User\":\"1\"}" },
		{ "{\"X\":1,\"Env\":[\"A=1\",\"A=2\",\"B\"]}", "{}",
		  "{\"X\":1,\"Env\":[\"A=2\",\"B\"]}" },
		{ "{\"Env\":null,\"X\":1e3}", "{\"Env\":[\"A=1=2\"]}",
		  "{\"Env\":[\"A=1=2\"],\"X\":1e3}" },
		{ "{\"Env\":[]}", "{\"Env\":null}", "{\"Env\":[]}" },
		{ "null", "{\"Env\":[\"A\"]}", "{\"Env\":[\"A\"]}" },
		{ "{\"Env\":[\"A\"]}", "null", "{\"Env\":[\"A\"]}" },
		{ "null", "null", "null" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autojson *config = json_of(cases[i][0]);
		autojson *base = json_of(cases[i][1]);
		autojson *merged = NULL;
		autostrbuf out = STRBUF_INIT;
		struct err err = ERR_INIT;

		if (imageconfig_merge(&merged, config, "c", base, "b", &err))
			fail_msg("%s: %s", cases[i][0], err.msg);
		json_format_compact(&out, merged);
		check_str(cases[i][0], out.buf, cases[i][2]);
	}
}

static void test_merge_refuses(void **state)
{
	static const char *const cases[][3] = {
		{ "{\"Env\":{}}", "{}",
		  "c: key 'Env': expected an array, not an object" },
		{ "{}", "{\"Env\":\"A=1\"}",
		  "b: key 'Env': expected an array, not a string" },
		{ "{\"Env\":[\"A\",1]}", "{}",
		  "c: key 'Env[1]': expected a string without NUL" },
		{ "{\"Env\":[\"A\\u0000\"]}", "{}",
		  "c: key 'Env[0]': expected a string without NUL" },
		{ "{}", "[]", "b: expected an object, not an array" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autojson *config = json_of(cases[i][0]);
		autojson *base = json_of(cases[i][1]);
		autojson *merged = NULL;
		struct err err = ERR_INIT;

		check(cases[i][0], imageconfig_merge(&merged, config, "c", base,
						     "b", &err) == -1);
		check_str(cases[i][0], err.msg, cases[i][2]);
		check(cases[i][0], err.code == ERR_MALFORMED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scalars),
		cmocka_unit_test(test_doubles_round_trip),
		cmocka_unit_test(test_golden_texts),
		cmocka_unit_test(test_repr),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_merge_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
