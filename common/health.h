// SPDX-License-Identifier: MIT
#ifndef COMMON_HEALTH_H
#define COMMON_HEALTH_H

#include <stdint.h>

#include "common/cache.h"
#include "common/settings.h"

/*
 * Whether a build could succeed: the cache can be written, there is space,
 * Nix and git answer. Checked by a process of its own and kept in the cache
 * for a few seconds, however many ask.
 */

#define HEALTH_MAX_AGE_S 5

struct health {
	int64_t checked;     /* seconds since 1970 */
	uint64_t free_bytes; /* where the cache lies */
	char nix[64];	     /* its version, or "" */
	char problem[512];   /* the first thing that is wrong, or "" */
};

/* Look at all of it. What is wrong is in health, not an error. */
void health_check(const struct cache *cache, struct health *health);

/* What health_write() kept. ERR_UNKNOWN. */
MUST_CHECK int health_read(const struct cache *cache, struct health *health,
			   struct err *err);
MUST_CHECK int health_write(const struct cache *cache,
			    const struct health *health, struct err *err);

#endif
