// SPDX-License-Identifier: MIT
#ifndef COMMON_EVICT_H
#define COMMON_EVICT_H

#include "common/gc.h"
#include "common/inventory.h"

/*
 * Evicting images: the manifest goes first, then the blobs that no other
 * needs. So a manifest that is there has all its blobs there, whatever ends
 * this between two files.
 */

/*
 * Bring the cache down to limit bytes: first what is broken, what was last
 * used before too_old (seconds since 1970), and blobs that nothing needs;
 * then, while it is larger, the image that was used longest ago. What is
 * leased stays. The inventory is brought up to date. Returns the number of
 * images evicted, or -1.
 */
MUST_CHECK int evict_images(const struct gc *gc, struct inventory *inventory,
			    uint64_t limit, int64_t too_old, struct err *err);

#endif
