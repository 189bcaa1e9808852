// SPDX-License-Identifier: MIT
#ifndef COMMON_NEAREST_H
#define COMMON_NEAREST_H

#include <stddef.h>

#include "common/strbuf.h"

/*
 * The names that somebody may have meant: those of fewest edits away from
 * what was written, case aside, for error messages.
 */

/*
 * Append up to max of names[nr], nearest first, as "a, b or c"; nothing if
 * none is near. Two names equally near come in the order of names.
 */
void nearest_names(struct strbuf *out, const char *wanted,
		   const char *const *names, size_t nr, size_t max);

#endif
