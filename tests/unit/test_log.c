// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"

#include "common/banned.h"

#define BAD "\xef\xbf\xbd"

static void test_value(void **state)
{
	static const struct {
		const char *name, *in, *want;
	} cases[] = {
		{ "word", "web", "web" },
		{ "path", "/v2/a%20b?n=", "\"/v2/a%20b?n=\"" },
		{ "empty", "", "\"\"" },
		{ "space", "a b", "\"a b\"" },
		{ "equals", "a=b", "\"a=b\"" },
		{ "quote", "a\"b", "\"a\\\"b\"" },
		{ "backslash", "a\\b", "\"a\\\\b\"" },
		{ "new line", "a\nlevel=info", "\"a\\nlevel=info\"" },
		{ "escape", "\033[0m", "\"\\x1b[0m\"" },
		{ "delete", "\x7f", "\"\\x7f\"" },
		{ "letter", "\303\244", "\"\303\244\"" },
		{ "C1", "\302\205", "\"\\xc2\\x85\"" },
		{ "line separator", "\342\200\250", "\"\\xe2\\x80\\xa8\"" },
		{ "no UTF-8", "\377", "\"\\xff\"" },
		{ "cut UTF-8", "\303", "\"\\xc3\"" },
		{ "surrogate", "\355\240\200", "\"\\xed\\xa0\\x80\"" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autostrbuf out = STRBUF_INIT;

		log_value(&out, cases[i].in);
		check_str(cases[i].name, out.buf, cases[i].want);
	}
}

static void test_clean(void **state)
{
	static const struct {
		const char *name, *in, *want;
	} cases[] = {
		{ "plain", "error: no\n\tat x\n", "error: no\n\tat x\n" },
		{ "colour", "\033[31;1merror:\033[0m x", "error: x" },
		{ "title", "a\033]0;title\ab", "ab" },
		{ "title, ST", "a\033]0;title\033\\b", "ab" },
		{ "title without end", "a\033]0;b\nc", "a\nc" },
		{ "charset", "a\033(Bb", "ab" },
		{ "reset", "a\033cb", "ab" },
		{ "cut escape", "a\033", "a" },
		{ "cut CSI", "a\033[3", "a" },
		{ "escape, then text", "\033\303\244", "\303\244" },
		{ "return", "10%\r20%\b", "10%20%" },
		{ "C1", "a\302\233b", "ab" },
		{ "UTF-8", "\342\200\230x\342\200\231 \360\237\230\200",
		  "\342\200\230x\342\200\231 \360\237\230\200" },
		{ "no UTF-8", "a\377b\300\200c", "a" BAD "b" BAD BAD "c" },
		{ "cut UTF-8", "a\342\200", "a" BAD BAD },
		{ "too large", "\364\220\200\200", BAD BAD BAD BAD },
		{ "password", "at 'https://u:p@h/x'", "at 'https://…@h/x'" },
		{ "token", "git+https://t@h/x y@z", "git+https://…@h/x y@z" },
		{ "two", "https://a:b@c https://d:e@f/",
		  "https://…@c https://…@f/" },
		{ "at in password", "https://u:p@q@h/", "https://…@h/" },
		{ "at in path", "https://h/a@b", "https://h/a@b" },
		{ "at in query", "https://h?x=a@b", "https://h?x=a@b" },
		{ "hidden by colour", "https://u:\033[0mp@h", "https://…@h" },
		{ "no host", "https://", "https://" },
		{ "query", "'https://h/x?a=b&token=t%41/+=&c=d'",
		  "'https://h/x?a=b&token=…&c=d'" },
		{ "query of no URL", "github:o/r?private_token=t)\nx",
		  "github:o/r?private_token=…\nx" },
		{ "escaped key", "https://u@h?X%2damz-Signature=t #",
		  "https://…@h?X%2damz-Signature=… #" },
		{ "two in a query", "?sig=a&key=b&sig=c\"",
		  "?sig=…&key=…&sig=…\"" },
		{ "nested URL", "https://h/?u=https://a:b@h?key=c",
		  "https://h/?u=https://…@h?key=…" },
		{ "no secrets", "is it? yes&no ?ref=a&publicKey=b&=c&keys",
		  "is it? yes&no ?ref=a&publicKey=b&=c&keys" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autostrbuf out = STRBUF_INIT;

		text_clean(&out, cases[i].in, strlen(cases[i].in));
		check_str(cases[i].name, out.buf, cases[i].want);
	}
}

static void test_clean_nul(void **state)
{
	autostrbuf out = STRBUF_INIT;

	text_clean(&out, "a\0://u:p@b", 11);
	assert_string_equal(out.buf, "a://…@b");
}

/* What write() puts on stderr, in out. */
static void catch_stderr(void (*write)(void), struct strbuf *out)
{
	struct err err = ERR_INIT;
	autoclose int old = dup(STDERR_FILENO);
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	dup2(fd[1], STDERR_FILENO);
	close(fd[1]);
	write();
	dup2(old, STDERR_FILENO);
	assert_int_equal(strbuf_read(out, fd[0], 65536, "stderr", &err), 0);
	close(fd[0]);
}

static void write_some(void)
{
	struct err err = ERR_INIT;

	log_event(LOG_LEVEL_INFO, "req", "4f2a", "tag", NULL, "status", "200",
		  NULL);
	log_event(LOG_LEVEL_WARN, "a", "b c", NULL);
	err_set(&err, ERR_NIX, "attribute 'x' missing");
	log_err(&err, "image", "x", NULL);
}

static void test_lines(void **state)
{
	autostrbuf out = STRBUF_INIT;

	catch_stderr(write_some, &out);
	assert_string_equal(out.buf, "level=info req=4f2a status=200\n"
				     "level=warn a=\"b c\"\n"
				     "level=error image=x code=nix-failed "
				     "msg=\"attribute 'x' missing\"\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_value),
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_clean_nul),
		cmocka_unit_test(test_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
