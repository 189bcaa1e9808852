// SPDX-License-Identifier: MIT
#include "common/patternsyntax.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

/* RE2 refuses more. */
#define REPEAT_MAX 1000

static int refuse(const char *text, const char *what, size_t len,
		  const char *is, struct err *err)
{
	return err_set(err, ERR_REFUSED,
		       "the expression '%s': '%.*s' is %s, which is not done "
		       "here",
		       text, (int)len, what, is);
}

static bool is_one_of(const char *const *words, size_t nr, const char *s,
		      size_t len)
{
	for (size_t i = 0; i < nr; i++)
		if (strlen(words[i]) == len && !strncmp(words[i], s, len))
			return true;
	return false;
}

/*
 * What is behind "\p": a general category, which is the same in both. To
 * PCRE2 a script is also what is used with it, and C what is not assigned.
 * Returns how long it is, 0 for none.
 */
static size_t category_len(const char *p)
{
	static const char *const names[] = { "L",  "Ll", "Lm", "Lo", "Lt", "Lu",
					     "M",  "Mc", "Me", "Mn", "N",  "Nd",
					     "Nl", "No", "P",  "Pc", "Pd", "Pe",
					     "Pf", "Pi", "Po", "Ps", "S",  "Sc",
					     "Sk", "Sm", "So", "Z",  "Zl", "Zp",
					     "Zs", "Cc", "Cf", "Co", "Any" };
	size_t begin = 1, len;

	if (*p != '{')
		return is_one_of(names, ARRAY_SIZE(names), p, 1);
	if (p[1] == '^')
		begin++;
	len = strcspn(p + begin, "}");
	if (!p[begin + len] ||
	    !is_one_of(names, ARRAY_SIZE(names), p + begin, len))
		return 0;
	return begin + len + 1;
}

/* What is behind "\x": two hex digits, or some in braces. 0 for neither. */
static size_t hex_len(const char *p)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	size_t len;

	if (*p != '{')
		return strspn(p, digits) >= 2 ? 2 : 0;
	len = strspn(p + 1, digits);
	return len && p[1 + len] == '}' ? len + 2 : 0;
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z');
}

/* What an escape that is refused is. */
static const char *escape_is(char c)
{
	if (!c)
		return "the end";
	if ((c >= '0' && c <= '9') || c == 'g' || c == 'k')
		return "a reference to a group, or an octal number";
	if (strchr("pP", c))
		return "no general category of Unicode";
	if (c == 'x')
		return "no number of two hex digits";
	return "an escape that RE2 does not have, or reads in another way";
}

/* How much of an escape is behind its backslash; 0 if it is not done. */
static size_t escape_len(const char *p, bool in_class)
{
	size_t len;

	if (!*p)
		return 0;
	if (*p == 'p' || *p == 'P' || *p == 'x') {
		len = *p == 'x' ? hex_len(p + 1) : category_len(p + 1);
		return len ? len + 1 : 0;
	}
	if (strchr("bBAz", *p))
		return !in_class;
	if (strchr("dDwWafnrt", *p))
		return 1;
	return *p > ' ' && *p < 0x7f && !is_alnum(*p);
}

/*
 * These append what begins at p, and return what is behind it, or NULL and
 * err.
 */

/*
 * PCRE2's \s has a vertical tab, which RE2's has not; in a class it is put so
 * that a '-' behind it begins no range.
 */
static const char *translate_escape(const char *text, const char *p,
				    bool in_class, struct strbuf *out,
				    struct err *err)
{
	size_t len = escape_len(p + 1, in_class);

	if (p[1] == 's') {
		strbuf_addstr(out, in_class ? "\\n\\f\\r[:blank:]"
					    : "[ \\t\\n\\f\\r]");
		return p + 2;
	}
	if (p[1] == 'S' && !in_class) {
		strbuf_addstr(out, "[^ \\t\\n\\f\\r]");
		return p + 2;
	}
	if (!len) {
		refuse(text, p, 1 + !!p[1], escape_is(p[1]), err);
		return NULL;
	}
	strbuf_add(out, p, 1 + len);
	return p + 1 + len;
}

/* "[:alpha:]" in a class; p is at its '['. */
static const char *translate_posix(const char *text, const char *p,
				   struct strbuf *out, struct err *err)
{
	static const char *const names[] = { "alnum", "alpha", "ascii", "blank",
					     "cntrl", "digit", "graph", "lower",
					     "print", "punct", "space", "upper",
					     "word",  "xdigit" };
	const char *name = p + 2, *end = strstr(p + 2, ":]");

	if (!end) {
		strbuf_addch(out, *p);
		return p + 1;
	}
	name += *name == '^';
	if (!is_one_of(names, ARRAY_SIZE(names), name, (size_t)(end - name))) {
		refuse(text, p, (size_t)(end + 2 - p),
		       "no class of characters of RE2", err);
		return NULL;
	}
	strbuf_add(out, p, (size_t)(end + 2 - p));
	return end + 2;
}

static const char *translate_class(const char *text, const char *p,
				   struct strbuf *out, struct err *err)
{
	const char *begin = p;

	strbuf_addch(out, *p++);
	if (*p == '^')
		strbuf_addch(out, *p++);
	if (*p == ']')
		strbuf_addch(out, *p++);
	while (p && *p && *p != ']') {
		if (*p == '\\') {
			p = translate_escape(text, p, true, out, err);
		} else if (*p == '[' && p[1] == ':') {
			p = translate_posix(text, p, out, err);
		} else if (*p == '[' && (p[1] == '.' || p[1] == '=')) {
			refuse(text, p, 2, "a collating element", err);
			return NULL;
		} else {
			strbuf_addch(out, *p++);
		}
	}
	if (p && !*p)
		refuse(text, begin, 1, "a class without an end", err);
	if (!p || !*p)
		return NULL;
	strbuf_addch(out, *p);
	return p + 1;
}

/* What a group that is refused is; p is behind its "(?". */
static const char *group_is(const char *p)
{
	static const struct {
		const char *begin, *is;
	} rows[] = {
		{ "=", "a look-ahead" },
		{ "!", "a look-ahead" },
		{ "<=", "a look-behind" },
		{ "<!", "a look-behind" },
		{ ">", "an atomic group" },
		{ "|", "a group that counts its branches alike" },
		{ "(", "a condition" },
		{ "P=", "a reference to a group" },
		{ "P>", "a call of a group" },
		{ "R", "a call of the expression" },
		{ "&", "a call of a group" },
		{ "'", "a name in quotes" },
		{ "#", "a comment" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strncmp(p, rows[i].begin, strlen(rows[i].begin)))
			return rows[i].is;
	return "no group and no flag of RE2";
}

static const char *translate_group(const char *text, const char *p,
				   struct strbuf *out, struct err *err)
{
	const char *q = p + 2;
	size_t flags;

	if (p[1] == '*') {
		refuse(text, p, 2, "a verb", err);
		return NULL;
	}
	if (p[1] != '?') {
		strbuf_addch(out, *p);
		return p + 1;
	}
	flags = strspn(q, "imsU-");
	q += *q == 'P' && q[1] == '<';
	if (*q == '<' && q[1] != '=' && q[1] != '!')
		q++;
	else if (q == p + 2 && (q[flags] == ':' || q[flags] == ')'))
		q += flags + 1;
	else {
		refuse(text, p, strnlen(p, 3), group_is(p + 2), err);
		return NULL;
	}
	strbuf_add(out, p, (size_t)(q - p));
	return q;
}

/* A number of a count: without a zero before it. */
static bool is_number(const char *p, size_t len)
{
	return len && len <= 4 && (len == 1 || *p != '0') &&
	       strtoul(p, NULL, 10) <= REPEAT_MAX;
}

/* How much of a quantifier is at p, 0 if none. */
static size_t quantifier_len(const char *p)
{
	static const char digits[] = "0123456789";
	size_t first, second = 0, comma;

	if (*p == '*' || *p == '+' || *p == '?')
		return 1;
	if (*p != '{')
		return 0;
	first = strspn(p + 1, digits);
	comma = p[1 + first] == ',';
	if (comma)
		second = strspn(p + 2 + first, digits);
	if (!is_number(p + 1, first) ||
	    (second && !is_number(p + 2 + first, second)) ||
	    p[1 + first + comma + second] != '}')
		return 0;
	return first + comma + second + 2;
}

static const char *translate_quantifier(const char *text, const char *p,
					struct strbuf *out, struct err *err)
{
	size_t len = quantifier_len(p);
	size_t loose = strspn(p + 1, "0123456789, \t");

	/* Some PCRE2 take what is text to RE2 for a count. */
	if (!len && loose && p[1 + loose] == '}') {
		refuse(text, p, loose + 2, "no count of RE2", err);
		return NULL;
	}
	if (len && p[len] == '?')
		len++;
	if (len && quantifier_len(p + len)) {
		refuse(text, p, len + quantifier_len(p + len),
		       "a quantifier on another, or a possessive one", err);
		return NULL;
	}
	strbuf_add(out, p, len ? len : 1);
	return p + (len ? len : 1);
}

int pattern_translate(const char *text, struct strbuf *out, struct err *err)
{
	const char *p = text;

	while (p && *p) {
		if (*p == '\\')
			p = translate_escape(text, p, false, out, err);
		else if (*p == '[')
			p = translate_class(text, p, out, err);
		else if (*p == '(')
			p = translate_group(text, p, out, err);
		else if (strchr("*+?{", *p))
			p = translate_quantifier(text, p, out, err);
		else
			strbuf_addch(out, *p++);
	}
	return p ? 0 : -1;
}
