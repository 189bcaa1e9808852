// SPDX-License-Identifier: MIT
#ifndef COMMON_BWRAP_H
#define COMMON_BWRAP_H

#include <stddef.h>

#include "common/err.h"

/*
 * Does bubblewrap start? Whoever finds that it does not must know why: on a
 * host that permits no namespaces it never will, and flakes are evaluated
 * without it; where memory, processes or descriptors are short it will again,
 * and an evaluation without it meanwhile would be one that somebody brought
 * about.
 */

/*
 * Run a program that does nothing after the words "bwrap … --", nr of them.
 * ERR_REFUSED: it is not installed, or says that this host does not permit
 * what it needs. Any other error: it did not start this time.
 */
MUST_CHECK int bwrap_try(char *const *words, size_t nr, struct err *err);

#endif
