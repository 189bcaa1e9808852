// SPDX-License-Identifier: MIT
#ifndef COMMON_XZ_H
#define COMMON_XZ_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

/*
 * A file in xz on its way to what it holds. How much memory that takes is up
 * to the file, which names the size of its dictionary, up to 4 GiB; one that
 * asks for more than XZ_MEMORY_MAX is refused, where libarchive would give it
 * all.
 */
struct xz;

struct xz *xz_new(void);
void xz_free(struct xz *xz);

/*
 * Up to size bytes of what the file fd, read on from where it stands, holds:
 * their number, 0 at the end, or -1 and err; too much memory is ERR_REFUSED.
 * *nr_in grows by what was read.
 */
MUST_CHECK ssize_t xz_read(struct xz *xz, int fd, void *out, size_t size,
			   uint64_t *nr_in, struct err *err);

#endif
