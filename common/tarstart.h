// SPDX-License-Identifier: MIT
#ifndef COMMON_TARSTART_H
#define COMMON_TARSTART_H

#include <stdbool.h>
#include <stddef.h>

#include "common/tar.h"

/*
 * Whether bytes of others that go by are a tar at all, told by their first
 * block: clients look no further either before they unpack.
 */
struct tar_start {
	char block[TAR_BLOCK];
	size_t nr; /* bytes of it that went by */
};

void tar_start_add(struct tar_start *start, const void *data, size_t len);

/* It is a header, or the zeros at the end of an empty one, or there is none. */
bool tar_start_is_tar(const struct tar_start *start);

/*
 * Does it have the checksum of a header: its bytes added up, with spaces for
 * the sum itself? Some old writers take them as signed, as libarchive knows.
 */
bool tar_is_header(const char block[TAR_BLOCK]);

#endif
