// SPDX-License-Identifier: MIT
#include "common/secret.h"

#include <ctype.h>
#include <string.h>

#include "common/alloc.h"
#include "common/limits.h"

#include "common/banned.h"

#define ELLIPSIS "…"

/* What ends a URL, or the part of a query that is one value. */
#define URL_ENDS   "\"'<> \t\n"
#define VALUE_ENDS "&#" URL_ENDS

static int hex_value(char c)
{
	const char *digits = "0123456789abcdef";
	const char *p = strchr(digits, tolower((unsigned char)c));

	return c && p ? (int)(p - digits) : -1;
}

/* In lower case and without escapes; a broken one stays as it is. */
static void plain_key(char plain[QUERY_KEY_MAX + 1], const char *key,
		      size_t len)
{
	size_t nr = 0;

	for (size_t i = 0; i < len; i++) {
		char c = key[i];
		int high, low;

		if (c == '%' && len - i > 2) {
			high = hex_value(key[i + 1]);
			low = hex_value(key[i + 2]);
			if (high >= 0 && low >= 0 && (high | low)) {
				c = (char)(high << 4 | low);
				i += 2;
			}
		}
		plain[nr++] = (char)tolower((unsigned char)c);
	}
	plain[nr] = 0;
}

bool secret_is_key(const char *key, size_t len)
{
	static const char *const parts[] = {
		"token",      "passw",	 "secret",  "signature", "credential",
		"apikey",     "api_key", "api-key", "accesskey", "access_key",
		"access-key", "auth",	 "private",
	};
	static const char *const words[] = { "key", "sig", "pwd", "pass",
					     "jwt" };
	char plain[QUERY_KEY_MAX + 1];

	if (!len || len > QUERY_KEY_MAX)
		return false;
	plain_key(plain, key, len);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (strstr(plain, parts[i]))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(plain, words[i]))
			return true;
	return false;
}

/*
 * RFC 3986, 3.2: the authority ends at '/', '?' or '#'; the user information
 * in it ends at an '@'. The last one, for passwords with an '@' in them.
 */
static const char *find_user_end(const char *authority)
{
	return memrchr(authority, '@', strcspn(authority, "/?#\"<> \t\n"));
}

/* Of "?key=value" the length of "?key=", if the value is a secret; else 0. */
static size_t secret_parameter(const char *s)
{
	size_t len = strcspn(s + 1, "=?/" VALUE_ENDS);

	if (s[1 + len] != '=' || !secret_is_key(s + 1, len))
		return 0;
	return len + 2;
}

void secret_mask(struct strbuf *out, const char *text)
{
	const char *s = text;

	while (*s) {
		const char *end = NULL;
		size_t len = 1, known = secret_known(s);

		if (known) {
			len = 0;
			end = s + known;
		} else if (!strncmp(s, "://", 3)) {
			len = 3;
			end = find_user_end(s + len);
		} else if (*s == '?' || *s == '&') {
			size_t start = secret_parameter(s);

			if (start) {
				len = start;
				end = s + len + strcspn(s + len, VALUE_ENDS);
			}
		}
		strbuf_add(out, s, len);
		s += len;
		if (end) {
			strbuf_addstr(out, ELLIPSIS);
			s = end;
		}
	}
}
