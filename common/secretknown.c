// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/secret.h"

#include "common/banned.h"

#define BLANKS " \t\r\n"

/* Learned before there are threads that read them; they stay. */
static char **known;
static size_t known_nr, known_alloc;

void secret_learn(const char *secret)
{
	size_t len = strlen(secret);

	if (len < SECRET_MIN || len > SECRET_MAX)
		return;
	for (size_t i = 0; i < known_nr; i++)
		if (!strcmp(known[i], secret))
			return;
	ALLOC_GROW(known, known_nr, known_alloc);
	known[known_nr++] = xstrdup(secret);
}

void secret_forget(void)
{
	while (known_nr)
		free(known[--known_nr]);
	free(known);
	known = NULL;
	known_alloc = 0;
}

/* RFC 4648, 4, without the padding. */
static void add_base64(struct strbuf *out, const char *s, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz"
				     "0123456789+/";
	unsigned int bits = 0, nr = 0;

	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | (unsigned char)s[i];
		for (nr += 8; nr >= 6; nr -= 6)
			strbuf_addch(out, digits[bits >> (nr - 6) & 63]);
	}
	if (nr)
		strbuf_addch(out, digits[bits << (6 - nr) & 63]);
}

void secret_learn_login(const char *user, const char *password)
{
	autofree char *pair = xasprintf("%s:%s", user, password);
	autostrbuf basic = STRBUF_INIT;

	secret_learn(password);
	/* A forge's token may stand alone, or before a word of no meaning. */
	if (strlen(password) < SECRET_MIN || !strcmp(password, "x-oauth-basic"))
		secret_learn(user);
	add_base64(&basic, pair, strlen(pair));
	secret_learn(basic.buf);
}

/* The next word; curl's netrc may have quoted ones. False at the end. */
static bool next_word(const char **p, struct strbuf *word)
{
	const char *s = *p + strspn(*p, BLANKS);

	strbuf_reset(word);
	if (*s != '"') {
		strbuf_add(word, s, strcspn(s, BLANKS));
		*p = s + word->len;
		return word->len != 0;
	}
	for (s++; *s && *s != '"'; s++) {
		if (*s == '\\' && s[1])
			s++;
		strbuf_addch(word, *s);
	}
	*p = *s ? s + 1 : s;
	return true;
}

void secret_learn_netrc(const char *text)
{
	autostrbuf word = STRBUF_INIT, user = STRBUF_INIT;
	autostrbuf password = STRBUF_INIT;

	for (bool more = true; more;) {
		more = next_word(&text, &word);
		if (!more || !strcmp(word.buf, "machine") ||
		    !strcmp(word.buf, "default")) {
			if (password.len)
				secret_learn_login(user.buf, password.buf);
			strbuf_reset(&user);
			strbuf_reset(&password);
		} else if (!strcmp(word.buf, "login")) {
			more = next_word(&text, &user);
		} else if (!strcmp(word.buf, "password")) {
			more = next_word(&text, &password);
			/* Of what is no netrc(5), too: each that is called so. */
			secret_learn(password.buf);
		}
	}
}

/* "access-tokens = github.com=ghp_x gitlab.com=PAT:y" */
void secret_learn_nix_config(const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		autofree char *line = xstrndup(text, len);
		const char *words = strchr(line, '=');
		autostrbuf word = STRBUF_INIT;

		text += len + (text[len] == '\n');
		if (!words || !strstr(line, "access-tokens") ||
		    strstr(line, "access-tokens") > words)
			continue;
		for (words++; next_word(&words, &word);) {
			const char *token = strchr(word.buf, '=');
			const char *kind = token ? strchr(token, ':') : NULL;

			if (token)
				secret_learn(kind ? kind + 1 : token + 1);
		}
	}
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* What an escape of RFC 3986, 2.1, stands for; -1 if s is none. */
static int unescape(const char *s)
{
	int high = *s == '%' ? hex_value(s[1]) : -1;
	int low = high >= 0 ? hex_value(s[2]) : -1;

	return low >= 0 ? high << 4 | low : -1;
}

/* How much of s is that secret: as it is, or with any of its bytes escaped. */
static size_t match(const char *s, const char *secret)
{
	size_t len = strlen(secret);
	const char *p = s;

	if (!strncmp(s, secret, len))
		return len;
	for (; *secret; secret++) {
		int c = unescape(p);

		if (c >= 0 ? (char)c != *secret : *p != *secret)
			return 0;
		p += c >= 0 ? 3 : 1;
	}
	return (size_t)(p - s);
}

size_t secret_known(const char *s)
{
	size_t longest = 0;

	for (size_t i = 0; i < known_nr; i++) {
		size_t len = match(s, known[i]);

		longest = len > longest ? len : longest;
	}
	return longest;
}
