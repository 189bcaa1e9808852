// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <string.h>

#include "common/json.h"
#include "common/lockcheck.h"

#include "common/banned.h"

static int check_text(const char *text, struct err *err)
{
	autojson *json = NULL;

	if (json_parse(&json, text, strlen(text), "lock", err))
		fail_msg("%s", err->msg);
	return lockcheck_inputs(json, err);
}

/* A lock of one input, whose `locked` is the text. */
static int check_locked(const char *locked, struct err *err)
{
	autostrbuf text = STRBUF_INIT;

	strbuf_addf(&text,
		    "{\"nodes\":{\"root\":{\"inputs\":{\"x\":\"x\"}},"
		    "\"x\":{\"locked\":%s,\"original\":{\"type\":\"indirect\","
		    "\"id\":\"x\"}}},\"root\":\"root\",\"version\":7}",
		    locked);
	return check_text(text.buf, err);
}

static void test_good(void **state)
{
	static const char *const good[] = {
		"{\"type\":\"github\",\"owner\":\"o\",\"repo\":\"r\"}",
		"{\"type\":\"git\",\"url\":\"https://h/r\"}",
		"{\"type\":\"git\",\"url\":\"ssh://git@h/file:/r\"}",
		"{\"type\":\"tarball\",\"url\":\"https://h/t.tar.gz\"}",
		"{\"type\":\"path\",\"path\":\"./sub\",\"parent\":[]}",
		"{\"type\":\"path\",\"path\":\"sub/..dir\"}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct err err = ERR_INIT;

		if (check_locked(good[i], &err))
			fail_msg("%s: %s", good[i], err.msg);
	}
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"{\"type\":\"path\",\"path\":\"/etc\"}",
		"{\"type\":\"path\",\"path\":\"../other\"}",
		"{\"type\":\"path\",\"path\":\"a/../../other\"}",
		"{\"type\":\"path\",\"path\":\"a//..\"}",
		"{\"type\":\"indirect\",\"id\":\"nixpkgs\"}",
		"{\"type\":\"git\",\"url\":\"file:///srv/private\"}",
		"{\"type\":\"git\",\"url\":\"FILE:/srv/private\"}",
		"{\"type\":\"git\",\"url\":\"git+file:///srv/private\"}",
		"{\"type\":\"git\",\"url\":\"/srv/private\"}",
		"{\"type\":\"git\",\"url\":\"./private\"}",
		"{\"type\":\"git\",\"url\":\".0https://h/r\"}",
		"{\"type\":\"git\",\"url\":\"a b://h/r\"}",
		"{\"type\":\"git\",\"url\":\"\"}",
		"{\"type\":\"tarball\",\"url\":\"file:///srv/t.tar\"}",
		"{\"type\":\"file\",\"url\":\"file:///etc/passwd\"}",
		"{\"type\":\"file\",\"url\":\"file+file:///etc/passwd\"}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err = ERR_INIT;

		if (!check_locked(bad[i], &err))
			fail_msg("%s was let in", bad[i]);
		assert_int_equal(err.code, ERR_REFUSED);
		assert_non_null(strstr(err.msg, "input x"));
		assert_non_null(strstr(err.msg, "sandbox-eval"));
	}
}

static void test_malformed(void **state)
{
	static const char *const bad[] = {
		"{\"nodes\":[]}",
		"{\"nodes\":{\"x\":[]}}",
		"{\"nodes\":{\"x\":{\"locked\":1}}}",
		"{\"nodes\":{\"x\":{\"locked\":{}}}}",
		"{\"nodes\":{\"x\":{\"locked\":{\"type\":1}}}}",
		"{\"nodes\":{\"x\":{\"locked\":{\"type\":\"path\"}}}}",
		("{\"nodes\":{\"x\":{\"locked\":{\"type\":\"git\","
		 "\"url\":{}}}}}"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err = ERR_INIT;

		if (!check_text(bad[i], &err))
			fail_msg("%s was let in", bad[i]);
		assert_int_equal(err.code, ERR_MALFORMED);
	}
}

static void test_none(void **state)
{
	struct err err = ERR_INIT;

	assert_int_equal(check_text("{}", &err), 0);
	assert_int_equal(check_text("{\"nodes\":{\"root\":{}}}", &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
