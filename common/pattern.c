// SPDX-License-Identifier: MIT
#include "common/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/limits.h"
#include "common/utf8.h"

#include "common/banned.h"

struct pattern {
	char *text;
	pcre2_code *code;
	pcre2_match_data *data;
	pcre2_match_context *context;
};

static int refuse(const char *text, const char *what, size_t len,
		  struct err *err)
{
	return err_set(err, ERR_REFUSED,
		       "the expression '%s': '%.*s' is not done here", text,
		       (int)len, what);
}

/*
 * Escapes that mean the same to both: in a class none that stands for a place
 * between characters.
 */
static bool is_escape(char c, bool in_class)
{
	if (c && strchr("dDwWsSafnrtxpP", c))
		return true;
	if (c && strchr("bBAz", c))
		return !in_class;
	return c > ' ' && c < 0x7f &&
	       !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		 (c >= 'A' && c <= 'Z') || c == '_');
}

/* A class; p is behind its '['. Returns its ']', or NULL and err. */
static const char *check_class(const char *text, const char *p, struct err *err)
{
	if (*p == '^')
		p++;
	if (*p == ']')
		p++;
	for (; *p && *p != ']'; p++) {
		if (*p == '\\') {
			if (!is_escape(p[1], true)) {
				refuse(text, p, 2, err);
				return NULL;
			}
			p++;
		} else if (*p == '[' && p[1] && strchr(".=", p[1])) {
			refuse(text, p, 2, err);
			return NULL;
		} else if (*p == '[' && p[1] == ':' && strstr(p, ":]")) {
			p = strstr(p, ":]") + 1;
		}
	}
	if (*p)
		return p;
	refuse(text, "[", 1, err);
	return NULL;
}

/* What is behind "(?": "P<name>", or flags and ':' or ')'. */
static bool is_group(const char *p)
{
	if (*p == 'P')
		p++;
	if (*p == '<')
		return p[1] != '=' && p[1] != '!';
	if (p[-1] == 'P')
		return false;
	p += strspn(p, "imsU-");
	return *p == ':' || *p == ')';
}

static int check(const char *text, struct err *err)
{
	bool quantified = false; /* what is before p is a quantifier */

	for (const char *p = text; *p; p++) {
		bool quantifier = strchr("*+?}", *p) != NULL;

		if (*p == '\\' && !is_escape(p[1], false))
			return refuse(text, p, 2, err);
		if (quantified && (*p == '+' || *p == '*'))
			return refuse(text, p - 1, 2, err);
		if (*p == '(' && p[1] == '*')
			return refuse(text, p, 2, err);
		if (*p == '(' && p[1] == '?' && !is_group(p + 2))
			return refuse(text, p, 3, err);
		if (*p == '(' && p[1] == '?')
			p++;
		else if (*p == '\\')
			p++;
		else if (*p == '[' && !(p = check_class(text, p + 1, err)))
			return -1;
		quantified = quantifier;
	}
	return 0;
}

static int compile(struct pattern *p, struct err *err)
{
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	PCRE2_SIZE offset;
	int code;

	if (!context || pcre2_set_newline(context, PCRE2_NEWLINE_LF))
		abort();
	p->code = pcre2_compile((PCRE2_SPTR)p->text, PCRE2_ZERO_TERMINATED,
				PCRE2_UTF | PCRE2_MATCH_INVALID_UTF |
					PCRE2_DOLLAR_ENDONLY |
					PCRE2_NEVER_BACKSLASH_C,
				&code, &offset, context);
	pcre2_compile_context_free(context);
	if (!p->code) {
		char message[128] = "";

		pcre2_get_error_message(code, (PCRE2_UCHAR *)message,
					sizeof(message));
		return err_set(err, ERR_REFUSED,
			       "the expression '%s' cannot be read: %s",
			       p->text, message);
	}
	p->data = pcre2_match_data_create_from_pattern(p->code, NULL);
	p->context = pcre2_match_context_create(NULL);
	if (!p->data || !p->context ||
	    pcre2_set_match_limit(p->context, PATTERN_STEPS_MAX) ||
	    pcre2_set_heap_limit(p->context, PATTERN_HEAP_MAX))
		abort();
	return 0;
}

int pattern_new(struct pattern **pattern, const char *text, struct err *err)
{
	struct pattern *p;

	*pattern = NULL;
	if (check(text, err))
		return -1;
	p = xcalloc(1, sizeof(*p));
	p->text = xstrdup(text);
	if (compile(p, err)) {
		pattern_free(p);
		return -1;
	}
	*pattern = p;
	return 0;
}

void pattern_free(struct pattern *pattern)
{
	if (!pattern)
		return;
	pcre2_match_context_free(pattern->context);
	pcre2_match_data_free(pattern->data);
	pcre2_code_free(pattern->code);
	free(pattern->text);
	free(pattern);
}

/* 1 if there is a match from start on, 0 if not. */
static int match(const struct pattern *p, const char *s, size_t len,
		 size_t start, struct err *err)
{
	int rc = pcre2_match(p->code, (PCRE2_SPTR)s, len, start, 0, p->data,
			     p->context);

	if (rc >= 0)
		return 1;
	if (rc == PCRE2_ERROR_NOMATCH)
		return 0;
	return err_set(err, ERR_REFUSED,
		       "the expression '%s' takes too long on %s", p->text, s);
}

int pattern_matches(const struct pattern *pattern, const char *s,
		    struct err *err)
{
	return match(pattern, s, strlen(s), 0, err);
}

static void add_group(const struct pattern *p, const char *s, size_t group,
		      struct strbuf *out)
{
	const PCRE2_SIZE *v = pcre2_get_ovector_pointer(p->data);

	if (group < pcre2_get_ovector_count(p->data) &&
	    v[2 * group] != PCRE2_UNSET && v[2 * group] <= v[2 * group + 1])
		strbuf_add(out, s + v[2 * group],
			   v[2 * group + 1] - v[2 * group]);
}

/* A group's name, or number, as it stands in a replacement. */
static void add_named(const struct pattern *p, const char *s, const char *name,
		      size_t len, struct strbuf *out)
{
	autofree char *copy = xstrndup(name, len);
	int number;

	if (strspn(copy, "0123456789") == len) {
		if (len < 6)
			add_group(p, s, strtoul(copy, NULL, 10), out);
		return;
	}
	number = pcre2_substring_number_from_name(p->code, (PCRE2_SPTR)copy);
	if (number > 0)
		add_group(p, s, (size_t)number, out);
}

static void expand(const struct pattern *p, const char *s,
		   const char *replacement, struct strbuf *out)
{
	static const char word[] = "0123456789_abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	for (const char *r = replacement; *r; r++) {
		bool brace = *r == '$' && r[1] == '{';
		const char *name = r + 1 + brace;
		size_t len = *r == '$' ? strspn(name, word) : 0;

		if (*r == '$' && r[1] == '$') {
			strbuf_addch(out, *r++);
		} else if (len && (!brace || name[len] == '}')) {
			add_named(p, s, name, len, out);
			r = name + len + brace - 1;
		} else {
			strbuf_addch(out, *r);
		}
	}
}

static size_t width_at(const char *s, size_t len)
{
	uint32_t c;
	size_t n = len ? utf8_decode(s, len, &c) : 0;

	return n ? n : 1;
}

int pattern_replace(const struct pattern *pattern, const char *s,
		    const char *replacement, struct strbuf *out,
		    struct err *err)
{
	const PCRE2_SIZE *v = pcre2_get_ovector_pointer(pattern->data);
	size_t len = strlen(s), last = 0, search = 0;

	while (search <= len) {
		size_t width = width_at(s + search, len - search);
		int rc = match(pattern, s, len, search, err);

		if (rc < 0)
			return -1;
		if (!rc)
			break;
		strbuf_add(out, s + last, v[0] - last);
		/* Not for an empty match right behind another. */
		if (v[1] > last || !v[0])
			expand(pattern, s, replacement, out);
		last = v[1];
		search = search + width > last ? search + width : last;
	}
	strbuf_add(out, s + last, len - last);
	return 0;
}
