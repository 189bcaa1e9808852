// SPDX-License-Identifier: MIT
#include "fcgi/route.h"

#include <string.h>

#include "common/banned.h"

#define ROOT "/v2/"

struct row {
	const char *word;
	enum route route;
	bool takes_tag;
	const char *fixed; /* what stands in the reference's place, or NULL */
};

static const struct row rows[] = {
	{ "manifests", ROUTE_MANIFESTS, true, NULL },
	{ "blobs", ROUTE_BLOBS, false, NULL },
	{ "referrers", ROUTE_REFERRERS, false, NULL },
	{ "tags", ROUTE_TAGS, false, "list" },
};

/* Paths that are one of a kind. */
static const struct {
	const char *path;
	enum route route;
} fixed[] = {
	{ "/v2", ROUTE_BASE },
	{ ROOT, ROUTE_BASE },
	{ ROOT "_catalog", ROUTE_CATALOG },
	{ "/healthz", ROUTE_HEALTH },
};

/* The last slash of the len bytes at s, or NULL. */
static const char *last_slash(const char *s, size_t len)
{
	return memrchr(s, '/', len);
}

static const struct row *find_row(const char *word, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (strlen(rows[i].word) == len &&
		    !memcmp(rows[i].word, word, len))
			return &rows[i];
	return NULL;
}

static int parse_reference(const struct row *row, const char *s,
			   struct target *target, struct response *error)
{
	struct reference *ref = &target->reference;
	struct err err = ERR_INIT;
	int rc;

	ref->is_digest = true;
	if (row->takes_tag)
		rc = reference_parse(ref, s, strlen(s), &err);
	else
		rc = digest_parse(&ref->digest, s, strlen(s), &err);
	target->has_foreign_digest = rc && err.code == ERR_UNKNOWN;
	if (!rc || target->has_foreign_digest)
		return 0;
	return response_error(error,
			      ref->is_digest ? PROBLEM_DIGEST_INVALID
					     : PROBLEM_TAG_INVALID,
			      "%s", err.msg);
}

static int no_route(struct response *error)
{
	return response_error(error, PROBLEM_NO_ROUTE,
			      "there is no such endpoint; images are at "
			      "/v2/NAME/manifests/TAG");
}

int route_find(const char *path, struct target *target, struct response *error)
{
	const char *name, *word, *reference;
	const struct row *row;
	struct err err = ERR_INIT;

	memset(target, 0, sizeof(*target));
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		if (strcmp(path, fixed[i].path) != 0)
			continue;
		target->route = fixed[i].route;
		return 0;
	}
	if (strncmp(path, ROOT, strlen(ROOT)) != 0)
		return no_route(error);
	name = path + strlen(ROOT);
	reference = last_slash(name, strlen(name));
	word = reference ? last_slash(name, (size_t)(reference - name)) : NULL;
	if (!word)
		return no_route(error);
	row = find_row(word + 1, (size_t)(reference - word) - 1);
	if (!row || (row->fixed && strcmp(row->fixed, reference + 1) != 0))
		return no_route(error);
	target->route = row->route;
	if (repository_name_parse(&target->name, name, (size_t)(word - name),
				  &err))
		return response_error(error, PROBLEM_NAME_INVALID, "%s",
				      err.msg);
	return row->fixed ? 0
			  : parse_reference(row, reference + 1, target, error);
}
