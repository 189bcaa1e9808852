// SPDX-License-Identifier: MIT
#ifndef COMMON_PATTERN_H
#define COMMON_PATTERN_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/limits.h"
#include "common/strbuf.h"

/*
 * A pattern is a regular expression in RE2's syntax, as Go has it. PCRE2 does
 * the work, so what the two would read differently is refused
 * (patternsyntax.h), and so is what takes PCRE2 too long; RE2 knows none such.
 */
struct pattern;

/*
 * How many patterns there may be and how many steps they may take, all
 * together. Threads that make layers of one image have a budget each, and one
 * count of the steps that were taken.
 */
struct pattern_budget {
	size_t patterns;
	uint64_t steps;
	_Atomic uint64_t *taken; /* the shared count, or NULL: */
	_Atomic uint64_t own;	 /* then this is it */
};

#define PATTERN_BUDGET_INIT                                                    \
	{                                                                      \
		.patterns = PATTERNS_MAX, .steps = PATTERN_STEPS_ALL_MAX       \
	}

/*
 * ERR_REFUSED names the expression, and what of it cannot be done here. The
 * budget lives as long as the pattern.
 */
MUST_CHECK int pattern_new(struct pattern **pattern, const char *text,
			   struct pattern_budget *budget, struct err *err);
void pattern_free(struct pattern *pattern);

/* Is there a match in s? 1, 0, or -1 and err. May be used by one thread. */
MUST_CHECK int pattern_matches(struct pattern *pattern, const char *s,
			       struct err *err);

/*
 * Append s to out with each match replaced, as Go's Regexp.ReplaceAll does:
 * $1, $name and ${name} in replacement are what a group matched.
 */
MUST_CHECK int pattern_replace(struct pattern *pattern, const char *s,
			       const char *replacement, struct strbuf *out,
			       struct err *err);

#endif
