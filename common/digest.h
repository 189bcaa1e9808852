// SPDX-License-Identifier: MIT
#ifndef COMMON_DIGEST_H
#define COMMON_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

/*
 * A digest names a blob by its content: "sha256:" and 64 lowercase hex
 * digits. A struct digest is always well formed: only digest_parse(),
 * digest_parse_hex(), digest_of() and hasher_final() make one, so a file name
 * made from it is safe.
 */

#define DIGEST_RAW	32
#define DIGEST_HEX_SIZE 65 /* 64 hex digits and the NUL */
#define DIGEST_STR_SIZE 72 /* "sha256:", 64 hex digits and the NUL */

struct digest {
	unsigned char raw[DIGEST_RAW];
};

/*
 * Parse exactly len bytes of s (image-spec, descriptor.md, digests).
 * ERR_UNKNOWN for another algorithm whose digest is well formed, ERR_MALFORMED
 * for everything else.
 */
MUST_CHECK int digest_parse(struct digest *d, const char *s, size_t len,
			    struct err *err);

/* Parse 64 lowercase hex digits. */
MUST_CHECK int digest_parse_hex(struct digest *d, const char *s, size_t len,
				struct err *err);

/* Write the hex digits, or "sha256:" and them, with a NUL; return out. */
const char *digest_hex(const struct digest *d, char out[DIGEST_HEX_SIZE]);
const char *digest_str(const struct digest *d, char out[DIGEST_STR_SIZE]);

bool digest_equal(const struct digest *a, const struct digest *b);

/* The digest of len bytes. */
void digest_of(const void *data, size_t len, struct digest *d);

/* A running SHA-256. */
struct hasher;
struct hasher *hasher_new(void);
void hasher_free(struct hasher *h);
void hasher_update(struct hasher *h, const void *data, size_t len);
/* The digest of all that was added; the hasher starts anew. */
void hasher_final(struct hasher *h, struct digest *d);

void cleanup_hasher(struct hasher **h);
#define autohasher __attribute__((cleanup(cleanup_hasher))) struct hasher

#endif
