// SPDX-License-Identifier: MIT
#include "common/closure.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/digest.h"
#include "common/json.h"

#include "common/banned.h"

#define WHAT "nix path-info"

/* A path as it is read; the names of its edges are borrowed from the JSON. */
struct entry {
	struct closure_path path;
	const char **edges;
};

struct entries {
	struct entry *e;
	size_t nr, alloc;
};

static void release_path(struct closure_path *path)
{
	free(path->path);
	free(path->nar_hash);
	free(path->edges);
}

void closure_release(struct closure *closure)
{
	for (size_t i = 0; i < closure->nr; i++)
		release_path(&closure->paths[i]);
	free(closure->paths);
	*closure = (struct closure)CLOSURE_INIT;
}

static void release_entries(struct entries *entries)
{
	for (size_t i = 0; i < entries->nr; i++) {
		release_path(&entries->e[i].path);
		free(entries->e[i].edges);
	}
	free(entries->e);
}

/* "sha256-" and the base64 of 32 bytes, as browsers have it (SRI). */
static int parse_sri(struct digest *digest, const char *s)
{
	static const char prefix[] = "sha256-";
	unsigned char raw[DIGEST_RAW + 1];
	size_t len = strlen(prefix);

	if (strncmp(s, prefix, len) || strlen(s + len) != 44 ||
	    strcspn(s + len, "=") != 43 ||
	    EVP_DecodeBlock(raw, (const unsigned char *)s + len, 44) != 33)
		return -1;
	memcpy(digest->raw, raw, DIGEST_RAW);
	return 0;
}

static int read_hash(struct json_object *json, const char *path, char **hash,
		     struct err *err)
{
	char out[DIGEST_STR_SIZE];
	struct digest digest;
	const char *text;
	struct err bad;

	if (json_need_string(json, "narHash", &text, WHAT, err))
		return -1;
	if (parse_sri(&digest, text) &&
	    digest_parse(&digest, text, strlen(text), &bad))
		return err_set(err, ERR_MALFORMED,
			       WHAT ": %s: narHash is no SHA-256: %.100s", path,
			       text);
	*hash = xstrdup(digest_str(&digest, out));
	return 0;
}

static int read_edges(struct json_object *json, struct entry *e,
		      struct err *err)
{
	struct json_object *references;
	size_t nr;

	if (json_need_array(json, "references", &references, WHAT, err))
		return -1;
	nr = json_object_array_length(references);
	e->edges = xcalloc(nr, sizeof(*e->edges));
	for (size_t i = 0; i < nr; i++) {
		struct json_object *edge =
			json_object_array_get_idx(references, i);

		if (!json_object_is_type(edge, json_type_string))
			return err_set(err, ERR_MALFORMED,
				       WHAT ": %s: a reference is no text",
				       e->path.path);
		if (strcmp(json_object_get_string(edge), e->path.path))
			e->edges[e->path.nr_edges++] =
				json_object_get_string(edge);
	}
	return 0;
}

static int read_entry(struct entries *entries, const char *path,
		      struct json_object *json, struct err *err)
{
	struct entry *e;

	ALLOC_GROW(entries->e, entries->nr, entries->alloc);
	e = &entries->e[entries->nr++];
	*e = (struct entry){ .path.path = xstrdup(path) };
	if (path[0] != '/')
		return err_set(err, ERR_MALFORMED,
			       WHAT ": %.100s is no store path", path);
	if (!json_object_is_type(json, json_type_object))
		return err_set(err, ERR_MALFORMED, WHAT ": %s is not valid",
			       path);
	if (read_hash(json, path, &e->path.nar_hash, err) ||
	    json_need_bytes(json, "narSize", &e->path.nar_size, path, err) ||
	    json_need_int(json, "registrationTime", &e->path.registered, WHAT,
			  err))
		return -1;
	return read_edges(json, e, err);
}

/* An object, a path a key: Nix 2.19 and later. */
static int read_object(struct entries *entries, struct json_object *json,
		       struct err *err)
{
	json_object_object_foreach(json, path, value)
	{
		if (read_entry(entries, path, value, err))
			return -1;
	}
	return 0;
}

static int read_array(struct entries *entries, struct json_object *json,
		      struct err *err)
{
	for (size_t i = 0; i < json_object_array_length(json); i++) {
		struct json_object *value = json_object_array_get_idx(json, i);
		const char *path;

		if (json_need_string(value, "path", &path, WHAT, err) ||
		    read_entry(entries, path, value, err))
			return -1;
	}
	return 0;
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return strcmp(x->path.path, y->path.path);
}

static int read_entries(struct entries *entries, struct json_object *json,
			struct err *err)
{
	int rc;

	if (json_object_is_type(json, json_type_object))
		rc = read_object(entries, json, err);
	else if (json_object_is_type(json, json_type_array))
		rc = read_array(entries, json, err);
	else
		return err_set(err, ERR_MALFORMED,
			       WHAT ": neither an array nor an object");
	if (rc)
		return -1;
	if (entries->nr)
		qsort(entries->e, entries->nr, sizeof(*entries->e),
		      compare_entries);
	for (size_t i = 1; i < entries->nr; i++)
		if (!compare_entries(&entries->e[i - 1], &entries->e[i]))
			return err_set(err, ERR_MALFORMED,
				       WHAT ": %s stands there twice",
				       entries->e[i].path.path);
	return 0;
}

static int compare_indices(const void *a, const void *b)
{
	const size_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

ssize_t closure_find(const struct closure *closure, const char *path)
{
	size_t low = 0, high = closure->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(closure->paths[middle].path, path);

		if (!order)
			return (ssize_t)middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

/* Turn the names of a path's edges into indices. */
static int resolve(struct closure *closure, struct closure_path *path,
		   const char *const *edges, struct err *err)
{
	size_t nr = 0;

	path->edges = xcalloc(path->nr_edges, sizeof(*path->edges));
	for (size_t i = 0; i < path->nr_edges; i++) {
		ssize_t to = closure_find(closure, edges[i]);

		if (to < 0)
			return err_set(err, ERR_MALFORMED,
				       WHAT ": %s needs %s, which is not there",
				       path->path, edges[i]);
		path->edges[nr++] = (size_t)to;
	}
	qsort(path->edges, nr, sizeof(*path->edges), compare_indices);
	path->nr_edges = 0;
	for (size_t i = 0; i < nr; i++)
		if (!i || path->edges[i] != path->edges[i - 1])
			path->edges[path->nr_edges++] = path->edges[i];
	return 0;
}

int closure_read(struct closure *closure, struct json_object *json,
		 struct err *err)
{
	struct entries entries = { 0 };
	int rc = read_entries(&entries, json, err);

	*closure = (struct closure)CLOSURE_INIT;
	if (!rc) {
		closure->nr = entries.nr;
		closure->paths = xcalloc(entries.nr, sizeof(*closure->paths));
		for (size_t i = 0; i < entries.nr; i++) {
			closure->paths[i] = entries.e[i].path;
			entries.e[i].path = (struct closure_path){ 0 };
		}
	}
	for (size_t i = 0; !rc && i < closure->nr; i++)
		rc = resolve(closure, &closure->paths[i], entries.e[i].edges,
			     err);
	release_entries(&entries);
	return rc;
}

void closure_mark(const struct closure *closure, size_t root,
		  unsigned char *keep)
{
	autofree size_t *todo = xcalloc(closure->nr, sizeof(*todo));
	size_t nr = 0;

	assert(root < closure->nr);
	if (keep[root])
		return;
	keep[root] = 1;
	todo[nr++] = root;
	while (nr) {
		const struct closure_path *path = &closure->paths[todo[--nr]];

		for (size_t i = 0; i < path->nr_edges; i++) {
			size_t to = path->edges[i];

			if (!keep[to]) {
				keep[to] = 1;
				todo[nr++] = to;
			}
		}
	}
}
