// SPDX-License-Identifier: MIT
#ifndef COMMON_SPACE_H
#define COMMON_SPACE_H

#include <stdint.h>

#include "common/cache.h"

/*
 * The disk that the cache lies on. Nearly full is with less than 64 MB free,
 * or less than a twentieth where the whole disk is small, or with less than
 * a thousand inodes, likewise: then warm pulls go on, and nothing is built.
 */

/* Bytes that anybody may still write; 0 if that cannot be told. */
uint64_t space_free(const struct cache *cache);

/*
 * Why not even a record of a failure can be written, or NULL: whoever begins
 * a build then learns nothing by it that lasts.
 */
const char *space_none(const struct cache *cache);

/* ERR_REFUSED, with the numbers, if the disk is nearly full. */
MUST_CHECK int space_check(const struct cache *cache, struct err *err);

#endif
