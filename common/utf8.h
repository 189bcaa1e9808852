// SPDX-License-Identifier: MIT
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"

/*
 * UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, nothing beyond
 * U+10FFFF.
 */

/*
 * Decode the character at the start of len bytes into *c. Returns how many
 * bytes it has, or 0 if what is there is no UTF-8 (or len is 0).
 */
size_t utf8_decode(const char *s, size_t len, uint32_t *c);

/* Append a character, which is no surrogate. */
void utf8_add(struct strbuf *out, uint32_t c);

bool utf8_is_ascii(const char *s, size_t len);
bool utf8_is_valid(const char *s, size_t len);

/*
 * The character at *s, which is before end; *s moves behind it. A byte that
 * belongs to none counts as one of its own, U+DC80 to U+DCFF: Python's
 * surrogate escapes (PEP 383), by which its tar writer counts and sorts names.
 */
uint32_t utf8_next(const char **s, const char *end);

/* The order of two names by such characters, as strcmp(3) by bytes. */
int utf8_compare(const char *a, const char *b);
/* The same of two paths: '/' is before every other character. */
int utf8_compare_paths(const char *a, const char *b);

#endif
