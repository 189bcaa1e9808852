// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "fcgi/response.h"

#include "common/banned.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_head(void **state)
{
	autoresponse response = RESPONSE_INIT;
	autostrbuf head = STRBUF_INIT;
	struct digest digest;
	struct err err;

	assert_int_equal(digest_parse_hex(&digest, HEX, 64, &err), 0);
	response_digest(&response, &digest);
	response_body(&response, "text/plain", "abc", 3);
	response_head(&response, &head);
	check_str("head", head.buf,
		  "Status: 200 OK\r\n"
		  "Docker-Distribution-API-Version: registry/2.0\r\n"
		  "Docker-Content-Digest: sha256:" HEX "\r\n"
		  "ETag: \"sha256:" HEX "\"\r\n"
		  "Content-Type: text/plain\r\n"
		  "Content-Length: 3\r\n\r\n");
}

static void test_no_field_ends_a_line(void **state)
{
	autoresponse response = RESPONSE_INIT;

	response_field(&response, "A", "%s", "b\r\nSet-Cookie: c\x7f");
	response_quoted_field(&response, "Warning", "299 - ",
			      "a \"b\" \\ c\nd \303\244");
	check_str("fields", response.fields.buf,
		  "A: b  Set-Cookie: c \r\n"
		  "Warning: 299 - \"a \\\"b\\\" \\\\ c d   \"\r\n");
}

static void test_error_replaces(void **state)
{
	autoresponse response = RESPONSE_INIT;
	autostrbuf head = STRBUF_INIT;

	response_field(&response, "X-Sendfile", "/etc/passwd");
	response.length = -1;
	assert_int_equal(response_error(&response, PROBLEM_MANIFEST_UNKNOWN,
					"a \"%s\"\n\tb\033[31m", "q\\"),
			 -1);
	check_str("body", response.body.buf,
		  "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\","
		  "\"message\":\"a \\\"q\\\\\\\"\\n\\u0009b\"}]}\n");
	response_head(&response, &head);
	check("status", strstr(head.buf, "Status: 404 Not Found\r\n"));
	check("type", strstr(head.buf, "Content-Type: application/json\r\n"));
	check("sendfile", !strstr(head.buf, "X-Sendfile"));
}

static void test_error_fields(void **state)
{
	autoresponse busy = RESPONSE_INIT, write = RESPONSE_INIT;

	response_error(&busy, PROBLEM_TOO_MANY_REQUESTS, "later");
	check("429", busy.status == 429);
	check("429", strstr(busy.fields.buf, "Retry-After: "));
	response_error(&write, PROBLEM_UNSUPPORTED, "no");
	check("405", write.status == 405);
	check("405", strstr(write.fields.buf, "Allow: GET, HEAD\r\n"));
}

static void test_credentials_go(void **state)
{
	autoresponse response = RESPONSE_INIT;

	response_error(&response, PROBLEM_DENIED, "%s",
		       "cannot fetch https://me:secret@example.org/x");
	check("password", !strstr(response.body.buf, "secret"));
}

static void test_problems_of_errors(void **state)
{
	/* No build's failure is a 5xx: clients would hide its message. */
	for (int code = ERR_NONE; code <= ERR_SYSTEM; code++) {
		autoresponse response = RESPONSE_INIT;
		const char *name = err_code_name((enum err_code)code);

		response_error(&response, problem_of((enum err_code)code), "x");
		check(name, response.status >= 400 && response.status < 500);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_no_field_ends_a_line),
		cmocka_unit_test(test_error_replaces),
		cmocka_unit_test(test_error_fields),
		cmocka_unit_test(test_credentials_go),
		cmocka_unit_test(test_problems_of_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
