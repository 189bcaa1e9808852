// SPDX-License-Identifier: MIT
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/limits.h"
#include "tests/unit/jsontext.h"

#include "common/banned.h"

static void test_accepts(void **state)
{
	/* Text, and how it comes out compact. */
	static const char *const cases[][2] = {
		{ "null", "null" },
		{ " [ ] \r\n\t", "[]" },
		{ "{}", "{}" },
		{ "{\"b\":1,\"a\":2,\"\":3}", "{\"b\":1,\"a\":2,\"\":3}" },
		{ "[true,false,null]", "[true,false,null]" },
		{ "9223372036854775807", "9223372036854775807" },
		{ "-9223372036854775808", "-9223372036854775808" },
		{ "18446744073709551615", "18446744073709551615" },
		{ "-0", "0" },
		{ "[1.50, 1e3, -0.0, 1E-400]", "[1.50,1e3,-0.0,1E-400]" },
		{ "\"a/b\\/\\u0041\\n\\\"\\\\\"", "\"a/b/A\\n\\\"\\\\\"" },
		{ "\"\\ud83d\\ude00\\u00e9\\u20ac\"", "\"😀é€\"" },
		{ "\"\\u0000\\u001f\x7f\"", "\"\\u0000\\u001f\x7f\"" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autojson *json = json_of(cases[i][0]);
		autostrbuf out = STRBUF_INIT;

		json_format_compact(&out, json);
		assert_string_equal(out.buf, cases[i][1]);
	}
}

/* Text, and the message after "t.json: ". */
static const char *const refused[][2] = {
	{ "", "line 1: expected a value" },
	{ "\n\nnul", "line 3: expected a value" },
	{ "\xef\xbb\xbf{}", "line 1: expected a value" },
	{ "{} {}", "line 1: expected nothing after the value" },
	{ "nullx", "line 1: expected nothing after the value" },
	{ "01", "line 1: expected nothing after the value" },
	{ "-", "line 1: expected a digit" },
	{ "+1", "line 1: expected a value" },
	{ "1.", "line 1: expected a digit after the point" },
	{ "1e+", "line 1: expected a digit in the exponent" },
	{ "NaN", "line 1: expected a value" },
	{ "Infinity", "line 1: expected a value" },
	{ "'a'", "line 1: expected a value" },
	{ "[1,]", "line 1: expected a value" },
	{ "[1 2]", "line 1: expected ',' or ']' after a value of an array" },
	{ "[1", "line 1: expected ',' or ']' after a value of an "
		"array" },
	{ "{\"a\":1,}", "line 1: expected a key in quotes" },
	{ "{a:1}", "line 1: expected a key in quotes" },
	{ "{\"a\" 1}", "line 1: expected ':' after a key" },
	{ "{\"a\":}", "line 1: expected a value" },
	{ "{\"a\":1",
	  "line 1: expected ',' or '}' after a value of an object" },
	{ "/* */1", "line 1: expected a value" },
	{ "\"a", "line 1: expected \" at the end of a string" },
	{ "\"\t\"", "line 1: expected no control character in a string" },
	{ "\"\\x\"", "line 1: expected an escape sequence after \\" },
	{ "\"\\u12g4\"", "line 1: expected four hex digits after \\u" },
	{ "\"\\u12", "line 1: expected four hex digits after \\u" },
	{ "{\"a\":[1,{\"b\":18446744073709551616}]}",
	  "key 'a[1].b': an integer beyond 64 bits" },
	{ "{\"a\":-9223372036854775809}",
	  "key 'a': an integer beyond 64 bits" },
	{ "{\"a\":1e999}", "key 'a': a number beyond a double's range" },
	{ "{\"a\":\"\\ud800\"}", "key 'a': a lone surrogate" },
	{ "{\"a\":\"\\ud800\\u0041\"}", "key 'a': a lone surrogate" },
	{ "{\"a\":\"\\udc00\"}", "key 'a': a lone surrogate" },
	{ "{\"a\":\"\xed\xa0\x80\"}", "key 'a': a string that is not UTF-8" },
	{ "\"\xc0\x80\"", "a string that is not UTF-8" },
	{ "\"\xf4\x90\x80\x80\"", "a string that is not UTF-8" },
	{ "\"\xe2\x82\"", "a string that is not UTF-8" },
	{ "{\"k\":{\"a\\u0000b\":1}}", "key 'k.a': a NUL in a key" },
	{ "{\"k\":{\"a\":1,\"\\u0061\":1}}",
	  "key 'k.a': the same key a second time" },
};

static void test_refuses(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct err err = ERR_INIT;
		struct json_object *json = NULL;
		autofree char *message = xasprintf("t.json: %s", refused[i][1]);

		if (!json_parse(&json, refused[i][0], strlen(refused[i][0]),
				"t.json", &err))
			fail_msg("accepted: %s", refused[i][0]);
		assert_int_equal(err.code, ERR_MALFORMED);
		assert_null(json);
		assert_string_equal(err.msg, message);
	}
}

static void test_nul_is_no_end(void **state)
{
	struct err err = ERR_INIT;
	struct json_object *json = NULL;

	assert_int_equal(json_parse(&json, "1\0", 2, "t.json", &err), -1);
	assert_int_equal(json_parse(&json, "\"\0\"", 3, "t.json", &err), -1);
	assert_int_equal(json_parse(&json, "\"\\\0\"", 4, "t.json", &err), -1);
}

static void test_depth(void **state)
{
	struct err err = ERR_INIT;

	for (int over = 0; over <= 1; over++) {
		autostrbuf text = STRBUF_INIT;
		autojson *json = NULL;

		for (int i = 0; i < JSON_DEPTH_MAX + over; i++)
			strbuf_addch(&text, '[');
		strbuf_addstr(&text, "1");
		for (int i = 0; i < JSON_DEPTH_MAX + over; i++)
			strbuf_addch(&text, ']');
		assert_int_equal(
			json_parse(&json, text.buf, text.len, "t.json", &err),
			-over);
	}
	assert_non_null(strstr(err.msg, "nested too deep"));
}

static size_t allocated(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

/* Bytes that nr values take; 0 and err if they are more than max. */
static size_t memory_of(const char *format, size_t nr, size_t max,
			struct err *err)
{
	autostrbuf text = STRBUF_INIT;
	autojson *json = NULL;
	bool member = *format == ':';
	size_t before;

	strbuf_addch(&text, member ? '{' : '[');
	for (size_t i = 0; i < nr; i++) {
		strbuf_addstr(&text, i ? "," : "");
		if (member)
			strbuf_addf(&text, "\"%07zu\"", i);
		strbuf_addstr(&text, format);
	}
	strbuf_addch(&text, member ? '}' : ']');
	before = allocated();
	if (json_parse_large(&json, text.buf, text.len, max, "t", err))
		return 0;
	return allocated() - before + 1;
}

/* What is counted is above what malloc() gave, and not many times that. */
static void test_memory(void **state)
{
	static const struct {
		const char *value; /* of a member, with a colon before it */
		size_t memory;	   /* of one, as it is counted */
	} cases[] = {
		{ "{}", 832 },
		{ "[]", 400 },
		{ "1", 96 + 33 },
		{ "1.5", 96 + 35 },
		{ "true", 96 },
		{ "null", 96 },
		{ "\"0123456789012345678901234567890123456789\"", 136 },
		{ "{\"a\":[{\"b\":1}]}",
		  832 + 193 + 400 + 832 + 193 + 96 + 33 },
		{ ":0", 192 + 7 + 96 + 33 },
		{ ":{}", 192 + 7 + 832 },
	};
	const size_t max = 4u << 20;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t nr = max / cases[i].memory;
		struct err err = ERR_INIT;
		size_t taken = memory_of(cases[i].value, nr - 10, max, &err);

		if (!taken || taken > max)
			fail_msg("%s: %zu bytes: %s", cases[i].value, taken,
				 err.msg);
		assert_int_equal(memory_of(cases[i].value, nr + 1, max, &err),
				 0);
		assert_int_equal(err.code, ERR_REFUSED);
		assert_non_null(strstr(
			err.msg, "more values than 4 MiB of memory hold"));
	}
}

static void test_getters(void **state)
{
	autojson *json = json_of("{\"s\":\"x\",\"i\":7,\"b\":true,\"a\":[],"
				 "\"o\":{},\"n\":null}");
	struct err err = ERR_INIT;
	const char *s = NULL;
	int64_t i = 0;
	bool b = false;
	struct json_object *a = NULL, *o = NULL;

	assert_int_equal(json_need_string(json, "s", &s, "f", &err), 0);
	assert_string_equal(s, "x");
	assert_int_equal(json_need_int(json, "i", &i, "f", &err), 0);
	assert_int_equal(i, 7);
	assert_int_equal(json_want_bool(json, "b", &b, "f", &err), 0);
	assert_true(b);
	assert_int_equal(json_need_array(json, "a", &a, "f", &err), 0);
	assert_non_null(a);
	assert_int_equal(json_need_object(json, "o", &o, "f", &err), 0);
	assert_non_null(o);
	assert_int_equal(json_want_string(json, "n", &s, "f", &err), 0);
	assert_string_equal(s, "x");
	assert_int_equal(json_want_int(json, "gone", &i, "f", &err), 0);
	assert_int_equal(i, 7);
	assert_int_equal(json_want_array(json, "n", &a, "f", &err), 0);
	assert_non_null(a);
	assert_int_equal(json_want_object(json, "gone", &o, "f", &err), 0);
	assert_non_null(o);
}

static void test_getters_refuse(void **state)
{
	autojson *json = json_of("{\"s\":\"7\",\"i\":7,\"b\":true,\"f\":1.0,"
				 "\"z\":\"a\\u0000b\",\"n\":null,"
				 "\"u\":9223372036854775808}");
	autojson *array = json_of("[]");
	struct err err = ERR_INIT;
	const char *s;
	int64_t i;
	bool b;
	struct json_object *o;

	assert_int_equal(json_need_int(json, "s", &i, "f", &err), -1);
	assert_string_equal(err.msg, "f: key 's': expected a whole number, "
				     "not a string");
	assert_int_equal(json_need_int(json, "f", &i, "f", &err), -1);
	assert_string_equal(err.msg, "f: key 'f': expected a whole number, "
				     "not a fraction");
	assert_int_equal(json_want_int(json, "u", &i, "f", &err), -1);
	assert_string_equal(err.msg, "f: key 'u': expected a whole number "
				     "below 2^63, not 9223372036854775808");
	assert_int_equal(json_need_string(json, "i", &s, "f", &err), -1);
	assert_string_equal(err.msg, "f: key 'i': expected a string, not a "
				     "whole number");
	assert_int_equal(json_want_string(json, "z", &s, "f", &err), -1);
	assert_string_equal(err.msg, "f: key 'z': expected a string without "
				     "NUL");
	assert_int_equal(json_want_bool(json, "i", &b, "f", &err), -1);
	assert_string_equal(err.msg, "f: key 'i': expected true or false, not "
				     "a whole number");
	assert_int_equal(json_need_array(json, "s", &o, "f", &err), -1);
	assert_string_equal(err.msg, "f: key 's': expected an array, not a "
				     "string");
	assert_int_equal(json_want_object(json, "b", &o, "f", &err), -1);
	assert_string_equal(err.msg,
			    "f: key 'b': expected an object, not true");
	assert_int_equal(json_need_object(json, "n", &o, "f", &err), -1);
	assert_string_equal(err.msg,
			    "f: key 'n': expected an object, not null");
	assert_int_equal(json_need_object(json, "gone", &o, "f", &err), -1);
	assert_string_equal(err.msg, "f: key 'gone': expected an object, but "
				     "it is missing");
	assert_int_equal(json_want_object(array, "x", &o, "f", &err), -1);
	assert_string_equal(err.msg, "f: expected an object, not an array");
	assert_int_equal(json_want_object(NULL, "x", &o, "f", &err), -1);
	assert_string_equal(err.msg, "f: expected an object, not null");
}

static void test_read(void **state)
{
	struct err err = ERR_INIT;
	autojson *json = NULL;
	FILE *f = tmpfile();

	assert_non_null(f);
	assert_int_equal(write_all(fileno(f), "[1, 2]", 6), 0);
	assert_int_equal(lseek(fileno(f), 0, SEEK_SET), 0);
	assert_int_equal(json_read(&json, fileno(f), 5, "t", &err), -1);
	assert_int_equal(err.code, ERR_MALFORMED);
	assert_int_equal(lseek(fileno(f), 0, SEEK_SET), 0);
	assert_int_equal(json_read(&json, fileno(f), 6, "t", &err), 0);
	assert_int_equal(json_object_array_length(json), 2);
	fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepts),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_nul_is_no_end),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_getters),
		cmocka_unit_test(test_getters_refuse),
		cmocka_unit_test(test_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
