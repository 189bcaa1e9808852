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
#include "common/patternsyntax.h"
#include "common/utf8.h"

#include "common/banned.h"

struct pattern {
	char *text;
	pcre2_code *code;
	pcre2_match_context *context;
	struct pattern_budget *budget;
	uint64_t steps; /* of the match under way */
	uint64_t per_step;
	uint64_t uncounted; /* of all, those that the budget knows not yet */
	bool spent;	    /* the budget is */
};

/* Threads count together only now and then. */
#define COUNT_EVERY 65536

static void tell_budget(struct pattern *p)
{
	struct pattern_budget *budget = p->budget;
	_Atomic uint64_t *taken = budget->taken ? budget->taken : &budget->own;

	p->spent = atomic_fetch_add(taken, p->uncounted) + p->uncounted >=
		   budget->steps;
	p->uncounted = 0;
}

/*
 * Called before each item of the expression, wherever in the subject it is
 * tried. What PCRE2 counts by itself it counts anew for every place that a
 * match may begin at.
 */
static int count(pcre2_callout_block *block, void *arg)
{
	struct pattern *p = arg;

	p->steps += p->per_step;
	p->uncounted += p->per_step;
	if (p->uncounted >= COUNT_EVERY)
		tell_budget(p);
	return p->steps > PATTERN_STEPS_MAX || p->spent ? PCRE2_ERROR_CALLOUT
							: 0;
}

static int compile(struct pattern *p, const char *translated, struct err *err)
{
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	PCRE2_SIZE offset;
	int code;

	if (!context || pcre2_set_newline(context, PCRE2_NEWLINE_LF))
		abort();
	p->code = pcre2_compile(
		(PCRE2_SPTR)translated, PCRE2_ZERO_TERMINATED,
		PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_CIRCUMFLEX |
			PCRE2_AUTO_CALLOUT | PCRE2_NEVER_BACKSLASH_C,
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
	p->context = pcre2_match_context_create(NULL);
	if (!p->context || pcre2_set_heap_limit(p->context, PATTERN_HEAP_MAX) ||
	    pcre2_set_callout(p->context, count, p))
		abort();
	return 0;
}

int pattern_new(struct pattern **pattern, const char *text,
		struct pattern_budget *budget, struct err *err)
{
	autostrbuf translated = STRBUF_INIT;
	struct pattern *p;

	*pattern = NULL;
	if (!budget->patterns)
		return err_set(err, ERR_REFUSED,
			       "more than %u expressions in an image",
			       PATTERNS_MAX);
	budget->patterns--;
	if (pattern_translate(text, &translated, err))
		return -1;
	p = xcalloc(1, sizeof(*p));
	p->text = xstrdup(text);
	p->budget = budget;
	if (compile(p, translated.buf, err)) {
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
	pcre2_code_free(pattern->code);
	free(pattern->text);
	free(pattern);
}

/*
 * What is matched: to RE2 each byte that is no UTF-8 is a U+FFFD, which has
 * three.
 */
struct subject {
	const struct pattern *pattern;
	const char *original;
	struct strbuf text;
	size_t *origin; /* of each byte, or NULL: they are the same */
	pcre2_match_data *data;
};

static void subject_release(struct subject *s)
{
	strbuf_release(&s->text);
	free(s->origin);
	pcre2_match_data_free(s->data);
}
#define autosubject __attribute__((cleanup(subject_release))) struct subject

static size_t origin(const struct subject *s, size_t at)
{
	return s->origin ? s->origin[at] : at;
}

static void subject_init(struct subject *s, const struct pattern *pattern,
			 const char *original)
{
	size_t len = strlen(original);

	*s = (struct subject){
		.pattern = pattern,
		.original = original,
		.text = STRBUF_INIT,
		.data = pcre2_match_data_create_from_pattern(pattern->code,
							     NULL),
	};
	if (!s->data)
		abort();
	if (utf8_is_valid(original, len)) {
		strbuf_add(&s->text, original, len);
		return;
	}
	s->origin = xreallocarray(NULL, 3 * len + 1, sizeof(*s->origin));
	for (size_t at = 0; at < len;) {
		uint32_t c;
		size_t n = utf8_decode(original + at, len - at, &c);
		size_t begin = s->text.len;

		strbuf_add(&s->text, n ? original + at : "\xef\xbf\xbd",
			   n ? n : 3);
		for (size_t i = begin; i < s->text.len; i++)
			s->origin[i] = at;
		at += n ? n : 1;
	}
	s->origin[s->text.len] = len;
}

/* 1 if there is a match from start on, 0 if not. */
static int match(struct pattern *p, struct subject *s, size_t start,
		 struct err *err)
{
	int rc;

	p->steps = 0;
	p->per_step = 1 + s->text.len / PATTERN_STEP_BYTES;
	tell_budget(p);
	rc = pcre2_match(p->code, (PCRE2_SPTR)s->text.buf, s->text.len, start,
			 0, s->data, p->context);
	tell_budget(p);
	if (rc >= 0)
		return 1;
	if (rc == PCRE2_ERROR_NOMATCH)
		return 0;
	return err_set(err, ERR_REFUSED,
		       p->spent ? "the image's expressions take too long, all "
				  "together: the last was '%s' on %s"
				: "the expression '%s' takes too long on %s",
		       p->text, s->original);
}

int pattern_matches(struct pattern *pattern, const char *s, struct err *err)
{
	autosubject subject;

	subject_init(&subject, pattern, s);
	return match(pattern, &subject, 0, err);
}

static void add_between(const struct subject *s, size_t from, size_t to,
			struct strbuf *out)
{
	from = origin(s, from);
	strbuf_add(out, s->original + from, origin(s, to) - from);
}

static void add_group(const struct subject *s, size_t group, struct strbuf *out)
{
	const PCRE2_SIZE *v = pcre2_get_ovector_pointer(s->data);

	if (group < pcre2_get_ovector_count(s->data) &&
	    v[2 * group] != PCRE2_UNSET && v[2 * group] <= v[2 * group + 1])
		add_between(s, v[2 * group], v[2 * group + 1], out);
}

/* A group's name, or number, as it stands in a replacement. */
static void add_named(const struct subject *s, const char *name, size_t len,
		      struct strbuf *out)
{
	autofree char *copy = xstrndup(name, len);
	int number;

	if (strspn(copy, "0123456789") == len) {
		if (len < 6)
			add_group(s, strtoul(copy, NULL, 10), out);
		return;
	}
	number = pcre2_substring_number_from_name(s->pattern->code,
						  (PCRE2_SPTR)copy);
	if (number > 0)
		add_group(s, (size_t)number, out);
}

static void expand(const struct subject *s, const char *replacement,
		   struct strbuf *out)
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
			add_named(s, name, len, out);
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

int pattern_replace(struct pattern *pattern, const char *s,
		    const char *replacement, struct strbuf *out,
		    struct err *err)
{
	autosubject subject;
	const PCRE2_SIZE *v;
	size_t len, last = 0, search = 0;

	subject_init(&subject, pattern, s);
	v = pcre2_get_ovector_pointer(subject.data);
	len = subject.text.len;
	while (search <= len) {
		size_t width =
			width_at(subject.text.buf + search, len - search);
		int rc = match(pattern, &subject, search, err);

		if (rc < 0)
			return -1;
		if (!rc)
			break;
		add_between(&subject, last, v[0], out);
		/* Not for an empty match right behind another. */
		if (v[1] > last || !v[0])
			expand(&subject, replacement, out);
		last = v[1];
		search = search + width > last ? search + width : last;
	}
	add_between(&subject, last, len, out);
	return 0;
}
