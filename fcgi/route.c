// SPDX-License-Identifier: MIT
#include "fcgi/route.h"

#include <string.h>

#include "common/banned.h"

#define ROOT "/v2/"

struct row {
	const char *word;
	enum route route;
	bool takes_tag;
};

static const struct row rows[] = {
	{ "manifests", ROUTE_MANIFESTS, true },
	{ "blobs", ROUTE_BLOBS, false },
	{ "referrers", ROUTE_REFERRERS, false },
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
	bool is_digest = !row->takes_tag || strchr(s, ':');
	struct err err = ERR_INIT;
	int rc;

	ref->is_digest = is_digest;
	if (is_digest)
		rc = digest_parse(&ref->digest, s, strlen(s), &err);
	else
		rc = tag_parse(&ref->tag, s, strlen(s), &err);
	target->has_foreign_digest = rc && err.code == ERR_UNKNOWN;
	if (!rc || target->has_foreign_digest)
		return 0;
	return response_error(
		error, is_digest ? PROBLEM_DIGEST_INVALID : PROBLEM_TAG_INVALID,
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
	target->route = ROUTE_BASE;
	if (!strcmp(path, "/v2") || !strcmp(path, ROOT))
		return 0;
	if (strncmp(path, ROOT, strlen(ROOT)) != 0)
		return no_route(error);
	name = path + strlen(ROOT);
	reference = last_slash(name, strlen(name));
	word = reference ? last_slash(name, (size_t)(reference - name)) : NULL;
	if (!word)
		return no_route(error);
	row = find_row(word + 1, (size_t)(reference - word) - 1);
	if (!row)
		return no_route(error);
	target->route = row->route;
	if (repository_name_parse(&target->name, name, (size_t)(word - name),
				  &err))
		return response_error(error, PROBLEM_NAME_INVALID, "%s",
				      err.msg);
	return parse_reference(row, reference + 1, target, error);
}
