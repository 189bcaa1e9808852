// SPDX-License-Identifier: MIT
#ifndef COMMON_PLAN_H
#define COMMON_PLAN_H

#include <stddef.h>

#include "common/closure.h"

/*
 * A plan says which store paths share a layer. It is a function of the
 * closure alone (paths, sizes, edges) and of how many layers there may be, so
 * that two hosts, or one whose cache was emptied, make the same layers. What
 * it goes by are names without hash and version: where a path is of another
 * hash in the next revision, it is in the same company all the same, and who
 * has that revision's other layers need not fetch them again.
 */

/* Changes whenever the same closure would be planned otherwise. */
#define PLAN_VERSION 3

struct plan_layer {
	size_t *paths; /* indices into the closure, in tar order */
	size_t nr;
};

struct plan {
	struct plan_layer *layers; /* from the bottom of the image up */
	size_t nr;
};

#define PLAN_INIT                                                              \
	{                                                                      \
		.layers = NULL, .nr = 0                                        \
	}

void plan_release(struct plan *plan);
#define autoplan __attribute__((cleanup(plan_release))) struct plan

/*
 * Plan the paths of closure for which wanted[i] is not 0 into at most
 * max_layers layers, which is 1 at least. Every such path is in one layer.
 */
void plan_make(struct plan *plan, const struct closure *closure,
	       const unsigned char *wanted, size_t max_layers);

/*
 * What a path is known by from revision to revision: its name without the
 * parts that begin with a digit, "openssl-bin" for …-openssl-3.0.14-bin. The
 * caller frees it.
 */
char *plan_key(const char *path);

#endif
