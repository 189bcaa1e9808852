// SPDX-License-Identifier: MIT
#ifndef FCGI_ROUTE_H
#define FCGI_ROUTE_H

#include "common/reference.h"
#include "fcgi/response.h"

/*
 * A route leads from a path to an endpoint. /v2/NAME/WORD/REFERENCE is taken
 * apart from the right, since names may have any words in them: in
 * /v2/a/manifests/b/blobs/sha256:… the name is a/manifests/b.
 */

enum route {
	ROUTE_BASE, /* /v2/ */
	ROUTE_MANIFESTS,
	ROUTE_BLOBS,
	ROUTE_REFERRERS,
};

/* Where a path leads. */
struct target {
	enum route route;
	struct repository_name name; /* unless ROUTE_BASE */
	/* Unless ROUTE_BASE or has_foreign_digest; a digest for blobs. */
	struct reference reference;
	/* Well formed, but of an algorithm that names nothing here. */
	bool has_foreign_digest;
};

/* Find the target of a decoded path; else -1 with an answer in error. */
MUST_CHECK int route_find(const char *path, struct target *target,
			  struct response *error);

#endif
