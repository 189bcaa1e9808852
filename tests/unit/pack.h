// SPDX-License-Identifier: MIT
#ifndef TESTS_UNIT_PACK_H
#define TESTS_UNIT_PACK_H

#include <stddef.h>

/* Archives for tests, made by libarchive. */

/* A member to write: with data a file, else a link, else a folder. */
struct pack_entry {
	const char *name; /* NULL ends the list */
	const char *data;
	const char *symlink;
	const char *hardlink;
	size_t len; /* of data, where it is no string */
};

/* Write a tar of entries to file, in the filter, an ARCHIVE_FILTER_*. */
void pack(const char *file, const struct pack_entry *entries, size_t nr,
	  int filter);

#endif
