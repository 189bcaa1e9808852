// SPDX-License-Identifier: MIT
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

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

#endif
