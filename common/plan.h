// SPDX-License-Identifier: MIT
#ifndef COMMON_PLAN_H
#define COMMON_PLAN_H

#include <stddef.h>

#include "common/closure.h"

/*
 * A plan says which store paths share a layer. It is a function of the
 * closure alone (paths, sizes, edges) and of how many layers there may be.
 */

/* Changes whenever the same closure would be planned otherwise. */
#define PLAN_VERSION 1

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

#endif
