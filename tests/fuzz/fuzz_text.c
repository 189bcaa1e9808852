// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/log.h"
#include "common/nix.h"
#include "common/utf8.h"
#include "fcgi/response.h"

#include "common/banned.h"

/* Text of others on its way to logs, clients, Nix: cleaned, quoted. */

static void check_clean(const char *text, size_t size)
{
	autostrbuf clean = STRBUF_INIT, again = STRBUF_INIT;

	text_clean(&clean, text, size);
	need(utf8_is_valid(clean.buf, clean.len));
	need(strlen(clean.buf) == clean.len);
	for (const char *s = clean.buf, *end = s + clean.len; s < end;) {
		uint32_t c = utf8_next(&s, end);

		need(c == '\n' || c == '\t' ||
		     (c >= 0x20 && (c < 0x7f || c >= 0xa0)));
	}
	text_clean(&again, clean.buf, clean.len);
	fuzz_need_same(again.buf, clean.buf);
}

/* The text is the middle of a password. */
static void check_masked(const char *text)
{
	autofree char *middle = xstrdup(text);
	autofree char *line = NULL;
	autostrbuf clean = STRBUF_INIT;

	/* A URL that is one has these percent-encoded. */
	for (char *p = middle; *p; p++)
		if (*(unsigned char *)p <= ' ' || strchr("/?#\"<>", *p))
			*p = '_';
	if (strstr(middle, FUZZ_SECRET))
		return;
	line = xasprintf("cannot read https://u%s:" FUZZ_SECRET
			 "%s@host.example/x: no",
			 middle, middle);
	text_clean(&clean, line, strlen(line));
	fuzz_need_no_secret(clean.buf);
}

/* One word, or one quoted string, in one line of ASCII and UTF-8. */
static void check_value(const char *text)
{
	autostrbuf value = STRBUF_INIT;

	log_value(&value, text);
	need(value.len && strlen(value.buf) == value.len);
	need(utf8_is_valid(value.buf, value.len));
	need(!strpbrk(value.buf, "\n\r\t\033"));
	if (value.buf[0] != '"') {
		fuzz_need_same(value.buf, text);
		need(!strpbrk(value.buf, " \"=\\"));
		return;
	}
	for (size_t i = 1; i < value.len; i++) {
		if (value.buf[i] == '\\')
			i++;
		else
			need(value.buf[i] != '"' || i == value.len - 1);
		need(i < value.len);
	}
	need(value.len > 1 && value.buf[value.len - 1] == '"');
}

/* A Nix string: no end of it, and nothing that Nix would evaluate. */
static void check_nix(const char *text)
{
	autostrbuf quoted = STRBUF_INIT, plain = STRBUF_INIT;

	nix_quote(&quoted, text);
	need(quoted.len >= 2 && quoted.buf[0] == '"' &&
	     quoted.buf[quoted.len - 1] == '"');
	for (size_t i = 1; i < quoted.len - 1; i++) {
		char c = quoted.buf[i];

		need(c != '"');
		need(c != '$' || quoted.buf[i + 1] != '{');
		if (c == '\\') {
			c = quoted.buf[++i];
			need(i < quoted.len - 1 && strchr("\"\\$", c));
		}
		strbuf_addch(&plain, c);
	}
	fuzz_need_same(plain.buf, text);
}

/* No value ends its line, and an error's body is JSON whatever it says. */
static void check_response(const char *text)
{
	autoresponse response = RESPONSE_INIT, error = RESPONSE_INIT;
	autojson *json = NULL;
	size_t lines = 0;

	response_field(&response, "X-A", "%s", text);
	response_quoted_field(&response, "X-B", "299 - ", text);
	for (const char *p = response.fields.buf; *p; p++) {
		need(*p != '\n' || (p > response.fields.buf && p[-1] == '\r'));
		need(*p != '\r' || p[1] == '\n');
		lines += *p == '\n';
	}
	need(lines == 2 && strlen(response.fields.buf) == response.fields.len);
	response_error(&error, PROBLEM_DENIED, "%s", text);
	json = fuzz_json((unsigned char *)error.body.buf, error.body.len);
	need(json && utf8_is_valid(error.body.buf, error.body.len));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	autofree char *text = fuzz_string(data, size);

	check_clean((const char *)data, size);
	check_masked(text);
	check_value(text);
	check_nix(text);
	check_response(text);
	return 0;
}
