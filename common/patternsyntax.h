// SPDX-License-Identifier: MIT
#ifndef COMMON_PATTERNSYNTAX_H
#define COMMON_PATTERNSYNTAX_H

#include "common/err.h"
#include "common/strbuf.h"

/*
 * Append to out what PCRE2 reads as RE2 (github.com/google/re2/wiki/Syntax,
 * as Go's regexp/syntax has it) reads text: most of it is the same; what is
 * another thing to the two is put in other words, or it is ERR_REFUSED, with
 * the expression and what of it is not done here. What both refuse may pass.
 */
MUST_CHECK int pattern_translate(const char *text, struct strbuf *out,
				 struct err *err);

#endif
