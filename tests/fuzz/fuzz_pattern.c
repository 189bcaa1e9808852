// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/pattern.h"

#include "common/banned.h"

/* An expression, a text and a replacement: three parts. */

/* Few, so that none takes long. */
#define STEPS 100000

static char *next(const unsigned char **data, size_t *size)
{
	const unsigned char *part = NULL;
	size_t len = 0;

	if (!fuzz_part(data, size, &part, &len))
		return xstrdup("");
	return fuzz_string(part, len);
}

/* What is replaced by itself stays. */
static void check_same(struct pattern *pattern, const char *text)
{
	autostrbuf out = STRBUF_INIT;
	struct err err = ERR_INIT;

	if (pattern_replace(pattern, text, "${0}", &out, &err)) {
		fuzz_need_error(&err);
		return;
	}
	fuzz_need_same(out.buf, text);
}

static void check_replace(struct pattern *pattern, const char *text,
			  const char *replacement, int matches)
{
	autostrbuf out = STRBUF_INIT, none = STRBUF_INIT;
	struct err err = ERR_INIT;

	if (pattern_replace(pattern, text, replacement, &out, &err)) {
		fuzz_need_error(&err);
		return;
	}
	if (matches == 0)
		fuzz_need_same(out.buf, text);
	if (!pattern_replace(pattern, text, "", &none, &err))
		need(none.len <= strlen(text));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	autofree char *expression = next(&data, &size);
	autofree char *text = next(&data, &size);
	autofree char *replacement = next(&data, &size);
	struct pattern_budget budget = { .patterns = 1, .steps = STEPS };
	struct pattern *pattern;
	struct err err = ERR_INIT;
	int matches;

	if (pattern_new(&pattern, expression, &budget, &err)) {
		fuzz_need_error(&err);
		return 0;
	}
	matches = pattern_matches(pattern, text, &err);
	if (matches < 0)
		fuzz_need_error(&err);
	check_replace(pattern, text, replacement, matches);
	check_same(pattern, text);
	pattern_free(pattern);
	return 0;
}
