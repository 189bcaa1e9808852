// SPDX-License-Identifier: MIT
#ifndef FCGI_RANGE_H
#define FCGI_RANGE_H

#include <stddef.h>
#include <stdint.h>

/*
 * The Range header (RFC 9110, 14): which part of a blob a client wants. A
 * client that resumes asks for one part up to the end; others, of
 * zstd:chunked layers, for up to a thousand parts at once.
 */

enum range_kind {
	RANGE_ALL, /* no header, a malformed one, or several parts */
	RANGE_PART,
	RANGE_UNSATISFIABLE,
};

struct range {
	uint64_t first;	 /* offset */
	uint64_t length; /* bytes, never 0 for RANGE_PART */
};

/* Of a body of size bytes; header may be NULL. */
enum range_kind range_parse(const char *header, uint64_t size,
			    struct range *range);

/* How many parts a header asks for; 0 for NULL or no byte ranges. */
size_t range_count(const char *header);

#endif
