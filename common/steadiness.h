// SPDX-License-Identifier: MIT
#ifndef COMMON_STEADINESS_H
#define COMMON_STEADINESS_H

#include <stdbool.h>

#include "common/cache.h"

/*
 * Whether ages mean something: a clock that was set, forward or back, makes
 * everything look old or young. The last look is kept in the cache, by the
 * clock of the day and by the one that nobody sets; where they differ by more
 * than a minute the clock was set, and for ten minutes nothing may go by its
 * age: leases that were given by the old clock have run out by then. Where the
 * start of the machine cannot be told (/proc/sys is hidden) that is an error,
 * and the last look stays what it was.
 */
MUST_CHECK int steadiness_look(const struct cache *cache, bool *is_steady,
			       struct err *err);

#endif
