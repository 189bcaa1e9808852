// SPDX-License-Identifier: MIT
#ifndef COMMON_LEASE_H
#define COMMON_LEASE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/cache.h"

/*
 * A lease: what was used stays for LEASE_S more. Whoever uses a file of the
 * cache sets its time while holding the lock "evict" together with others;
 * whoever removes one looks at its time and unlinks it while holding that
 * lock alone. So a file that was found and leased is not unlinked before the
 * lease has run out, and one whose lease had run out is not found any more.
 *
 * The time of a record is its mtime, that of a blob its atime: what a web
 * server says of a blob's age does not change by its being asked for.
 */

#define LEASE_S 600

/*
 * Keep all that is there from being removed until the descriptor is closed.
 * Any number of processes may at the same time. Never for longer than files
 * take to be written: evictions wait meanwhile.
 */
MUST_CHECK int lease_hold(const struct cache *cache, struct err *err);

/* Be the only one: nothing is leased or held until it is closed. */
MUST_CHECK int lease_bar(const struct cache *cache, struct err *err);

enum lease_time {
	LEASE_MTIME,
	LEASE_ATIME,
};

/*
 * Lease the file at path, whose stat(2) *st was just read. Renewed once a
 * minute at most. False if it is gone by now. Who may not write to the cache
 * leases nothing, and true is returned.
 */
bool lease_file(const struct cache *cache, const char *path,
		const struct stat *st, enum lease_time which);

/*
 * When a file was last used, in seconds since 1970; that it was made is a
 * use, too. A time in the future, by a clock that was set, is now.
 */
int64_t lease_last_use(const struct stat *st, enum lease_time which,
		       int64_t now);

/*
 * Is it there, and its lease run out? To be asked while barred, before an
 * unlink.
 */
bool lease_is_over(const struct cache *cache, const char *path,
		   enum lease_time which);

#endif
