// SPDX-License-Identifier: MIT
#ifndef COMMON_REFERENCE_H
#define COMMON_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/digest.h"
#include "common/limits.h"

/*
 * What a client names: a repository, and in it a tag or a digest. Each of
 * these structs is well formed by the grammar of the distribution-spec: only
 * its parser makes one. None can hold "..", a leading slash or an upper-case
 * repository name, so they may be used in the cache's file names.
 */

struct repository_name {
	char text[REPOSITORY_NAME_MAX + 1];
};

struct tag {
	char text[TAG_MAX + 1];
};

struct reference {
	bool is_digest;
	struct tag tag;	      /* unless is_digest */
	struct digest digest; /* if is_digest */
};

/* Each parses exactly len bytes; ERR_MALFORMED says what is wrong. */
MUST_CHECK int repository_name_parse(struct repository_name *name,
				     const char *s, size_t len,
				     struct err *err);
MUST_CHECK int tag_parse(struct tag *tag, const char *s, size_t len,
			 struct err *err);
/*
 * Is it one that clients ask for on their own, of signatures ("sha256-…",
 * distribution-spec, "Referrers Tag Schema") and lazy pulling ("…-esgztoc")?
 */
bool tag_is_passive(const struct tag *tag);
/* A tag, or whatever has a ':' as a digest (ERR_UNKNOWN as digest_parse). */
MUST_CHECK int reference_parse(struct reference *ref, const char *s, size_t len,
			       struct err *err);

/* As it stands in a URL: the tag, or "sha256:…". Returns out. */
#define REFERENCE_STR_SIZE (TAG_MAX + 1)
const char *reference_str(const struct reference *ref,
			  char out[REFERENCE_STR_SIZE]);

/*
 * NAME, NAME:TAG or NAME@DIGEST, as on a command line; without either the
 * tag is latest.
 */
MUST_CHECK int image_name_parse(struct repository_name *name,
				struct reference *ref, const char *s,
				struct err *err);

#endif
