// SPDX-License-Identifier: MIT
/* What git and Nix are given is masked in what they say. */
#include "tests/unit/check.h"

#include <stdlib.h>

#include "common/imagework.h"
#include "common/log.h"
#include "common/secret.h"

#include "common/banned.h"

static int learn(void **state)
{
	secret_learn_login("me", "S3C RAb/ü");
	secret_learn_login("ghp_TokenAlone", "x");
	secret_learn_login("ghs_Before", "x-oauth-basic");
	secret_learn_login("someone", "abc");
	secret_learn("50%25%");
	secret_learn_netrc("machine a login one password netrc-1\n"
			   "machine b password netrc-2 login two\n"
			   "default\n\tpassword \"netrc \\\"3\"\n"
			   "machine c login three");
	secret_learn_nix_config("access-tokens = github.com=ghp_config "
				"gitlab.com=PAT:glpat-config\n"
				"cores = access-tokens=none-of-them\n"
				"extra-access-tokens = h=more-config\n");
	secret_learn_netrc("password");
	secret_learn_netrc("machine x password \"");
	return 0;
}

static void test_known(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "bad login me:S3C RAb/ü", "bad login me:…" },
		{ "S3C%20RAb%2f%C3%BC.", "…." },
		{ "S3C%20RAb/%c3%bC%", "…%" },
		{ "S3C%2", "S3C%2" },
		{ "50%25% 50%2525%25 50%25", "… … 50%25" },
		{ "S3C RAb/", "S3C RAb/" },
		{ "S3\033[1mC RAb/ü", "…" },
		{ "Basic bWU6UzNDIFJBYi/DvA==", "Basic …==" },
		{ "ghp_TokenAloneghs_Before", "……" },
		{ "x someone abc x-oauth-basic", "x … abc …" },
		{ "netrc-1 netrc-2 netrc \"3 one two", "… … … one two" },
		{ "ghp_config glpat-config PAT:more-config", "… … PAT:…" },
		{ "none-of-them", "none-of-them" },
		{ "https://a:netrc-1@h?token=netrc-1&b=netrc-1",
		  "https://…@h?token=…&b=…" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autostrbuf out = STRBUF_INIT;

		text_clean(&out, cases[i].text, strlen(cases[i].text));
		check_str(cases[i].text, out.buf, cases[i].want);
	}
}

/* Of each length modulo 3 (RFC 4648, 4). */
static void test_base64(void **state)
{
	static const struct {
		const char *password, *base64;
	} cases[] = {
		{ "12345", "dTU6MTIzNDU" },
		{ "123456", "dTU6MTIzNDU2" },
		{ "1234567", "dTU6MTIzNDU2Nw" },
		{ "\xff\xfe\xfd", "dTU6//79" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		secret_learn_login("u5", cases[i].password);
		check(cases[i].base64,
		      secret_known(cases[i].base64) == strlen(cases[i].base64));
	}
}

static void keep_line(void *arg, const char *line)
{
	strbuf_addf(arg, "%s\n", line);
}

/* A secret anywhere in a line that is cut, and in any two reads. */
static void test_pieces(void **state)
{
	static const char line[] = "remote: bad login netrc-1\n";
	size_t filled = 0;

	for (size_t at = 0; at < 2 * sizeof(line); at++) {
		autostrbuf got = STRBUF_INIT, text = STRBUF_INIT;
		const struct image_progress progress = { .line = keep_line,
							 .arg = &got };
		const struct image_build build = { .progress = &progress };
		struct image_work work = { .build = &build, .log_fd = -1 };
		size_t cut = at % sizeof(line);

		/* So that the end of what is put at once is near. */
		if (at >= sizeof(line))
			for (filled = 0; filled < 65536 - cut; filled++)
				strbuf_addch(&text, 'x');
		image_work_stderr(&work, text.buf, text.len);
		image_work_stderr(&work, line, cut);
		image_work_stderr(&work, line + cut, sizeof(line) - 1 - cut);
		if (strstr(got.buf, "netrc") || !strstr(got.buf, "login …\n"))
			fail_msg("%zu: %s", at, got.buf);
		strbuf_release(&work.line);
	}
	assert_true(filled > 65000);
}

static int forget(void **state)
{
	secret_forget();
	return secret_known("netrc-1") != 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_pieces),
	};

	return cmocka_run_group_tests(tests, learn, forget);
}
