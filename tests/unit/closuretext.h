// SPDX-License-Identifier: MIT
#ifndef TESTS_UNIT_CLOSURETEXT_H
#define TESTS_UNIT_CLOSURETEXT_H

#include "common/closure.h"

/*
 * A closure from text: for each path a line each of the path, its NAR's
 * SHA-256 in hex, its NAR's size, its deriver or nothing, how many references
 * it has, and these; as `nix-store --dump-db` prints it.
 */
MUST_CHECK int closure_from_text(struct closure *closure, const char *text,
				 struct err *err);

#endif
