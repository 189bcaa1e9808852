// SPDX-License-Identifier: MIT
#ifndef TESTS_UNIT_PLANFIXTURE_H
#define TESTS_UNIT_PLANFIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "common/closure.h"
#include "common/plan.h"

/* What tests of plans for random closures share. */

/* Of a test's closure. */
#define PATHS_MAX 300

/* A small generator of our own: the same numbers everywhere. */
uint32_t next_random(uint32_t *seed);

/*
 * Fail unless the plan has each path that is wanted once, sorted in its layer,
 * no empty layer and no more layers than that; and none of less than 256 KB,
 * unless it is the only one, or all that is left beside layers of one path of
 * more than 4 MB each.
 */
void check_plan(const struct closure *closure, const struct plan *plan,
		const unsigned char *wanted, size_t max_layers);

#endif
