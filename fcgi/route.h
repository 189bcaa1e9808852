// SPDX-License-Identifier: MIT
#ifndef FCGI_ROUTE_H
#define FCGI_ROUTE_H

#include "common/reference.h"
#include "fcgi/response.h"

/*
 * A route leads from a path to an endpoint. /v2/NAME/WORD/REFERENCE is taken
 * apart from the right, since names may have any words in them: in
 * /v2/a/manifests/b/blobs/sha256:… the name is a/manifests/b. Tags are at
 * /v2/NAME/tags/list.
 */

enum route {
	ROUTE_BASE, /* /v2/ */
	ROUTE_MANIFESTS,
	ROUTE_BLOBS,
	ROUTE_REFERRERS,
	ROUTE_TAGS,
	ROUTE_CATALOG, /* /v2/_catalog */
	ROUTE_HEALTH,  /* /healthz */
};

/* Where a path leads. */
struct target {
	enum route route;
	struct repository_name name; /* of the routes that have one */
	/* Of the first three, unless has_foreign_digest; a digest for blobs. */
	struct reference reference;
	/* Well formed, but of an algorithm that names nothing here. */
	bool has_foreign_digest;
};

/* Find the target of a decoded path; else -1 with an answer in error. */
MUST_CHECK int route_find(const char *path, struct target *target,
			  struct response *error);

#endif
