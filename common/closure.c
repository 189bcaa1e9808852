// SPDX-License-Identifier: MIT
#include "common/closure.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/digest.h"

#include "common/banned.h"

/*
 * What nix-store --dump-db prints, for each path:
 *
 * path, SHA-256 of its NAR in hex, size of its NAR, deriver or nothing,
 * number of references, and the references, each on a line of its own.
 */

struct text {
	const char *next, *end;
	size_t line;
};

/* A part of the text. */
struct slice {
	const char *s;
	size_t len;
};

struct entry {
	struct closure_path path;
	struct slice *edges;
	size_t alloc;
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

static int malformed(const struct text *text, const char *expected,
		     struct err *err)
{
	return err_set(err, ERR_MALFORMED,
		       "nix-store --dump-db, line %zu: expected %s", text->line,
		       expected);
}

static int read_line(struct text *text, struct slice *line,
		     const char *expected, struct err *err)
{
	const char *nl;

	text->line++;
	nl = memchr(text->next, '\n', (size_t)(text->end - text->next));
	if (!nl || memchr(text->next, 0, (size_t)(nl - text->next)))
		return malformed(text, expected, err);
	line->s = text->next;
	line->len = (size_t)(nl - text->next);
	text->next = nl + 1;
	return 0;
}

static int read_path(struct text *text, struct slice *path, struct err *err)
{
	static const char expected[] = "a store path";

	if (read_line(text, path, expected, err) < 0)
		return -1;
	if (!path->len || path->s[0] != '/')
		return malformed(text, expected, err);
	return 0;
}

static int read_number(struct text *text, uint64_t *n, const char *expected,
		       struct err *err)
{
	struct slice line;

	if (read_line(text, &line, expected, err) < 0)
		return -1;
	*n = 0;
	for (size_t i = 0; i < line.len; i++)
		if (line.s[i] < '0' || line.s[i] > '9' ||
		    __builtin_mul_overflow(*n, 10, n) ||
		    __builtin_add_overflow(*n, line.s[i] - '0', n))
			return malformed(text, expected, err);
	return line.len ? 0 : malformed(text, expected, err);
}

static int read_hash(struct text *text, char **hash, struct err *err)
{
	static const char expected[] = "a NAR's SHA-256";
	char out[DIGEST_STR_SIZE];
	struct digest digest;
	struct slice line;
	struct err bad;

	if (read_line(text, &line, expected, err) < 0)
		return -1;
	if (digest_parse_hex(&digest, line.s, line.len, &bad) < 0)
		return malformed(text, expected, err);
	*hash = xstrdup(digest_str(&digest, out));
	return 0;
}

static int read_edges(struct text *text, struct entry *e, struct err *err)
{
	const char *self = e->path.path;
	struct slice edge;
	uint64_t n;

	if (read_number(text, &n, "the number of references", err) < 0)
		return -1;
	for (; n; n--) {
		if (read_path(text, &edge, err) < 0)
			return -1;
		if (strlen(self) == edge.len && !memcmp(self, edge.s, edge.len))
			continue;
		ALLOC_GROW(e->edges, e->path.nr_edges, e->alloc);
		e->edges[e->path.nr_edges++] = edge;
	}
	return 0;
}

static int read_entry(struct text *text, struct entry *e, struct err *err)
{
	struct slice line;

	*e = (struct entry){ 0 };
	if (read_path(text, &line, err) < 0)
		return -1;
	e->path.path = xstrndup(line.s, line.len);
	if (read_hash(text, &e->path.nar_hash, err) < 0 ||
	    read_number(text, &e->path.nar_size, "a NAR's size", err) < 0 ||
	    read_line(text, &line, "a deriver", err) < 0)
		return -1;
	return read_edges(text, e, err);
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return strcmp(x->path.path, y->path.path);
}

static int read_entries(struct entries *entries, const char *s, size_t len,
			struct err *err)
{
	struct text text = { .next = s, .end = s + len };

	while (text.next < text.end) {
		ALLOC_GROW(entries->e, entries->nr, entries->alloc);
		if (read_entry(&text, &entries->e[entries->nr++], err) < 0)
			return -1;
	}
	if (entries->nr)
		qsort(entries->e, entries->nr, sizeof(*entries->e),
		      compare_entries);
	for (size_t i = 1; i < entries->nr; i++)
		if (!compare_entries(&entries->e[i - 1], &entries->e[i]))
			return err_set(err, ERR_MALFORMED,
				       "nix-store --dump-db: %s stands there "
				       "twice",
				       entries->e[i].path.path);
	return 0;
}

static int compare_indices(const void *a, const void *b)
{
	const size_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static ssize_t find(const struct closure *closure, const char *s, size_t len)
{
	size_t low = 0, high = closure->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const char *path = closure->paths[middle].path;
		int order = strncmp(path, s, len);

		if (!order && path[len])
			order = 1;
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
		   const struct slice *edges, struct err *err)
{
	size_t nr = 0;

	path->edges = xcalloc(path->nr_edges, sizeof(*path->edges));
	for (size_t i = 0; i < path->nr_edges; i++) {
		ssize_t to = find(closure, edges[i].s, edges[i].len);

		if (to < 0)
			return err_set(err, ERR_MALFORMED,
				       "nix-store --dump-db: %s needs %.*s, "
				       "which is not there",
				       path->path, (int)edges[i].len,
				       edges[i].s);
		path->edges[nr++] = (size_t)to;
	}
	qsort(path->edges, nr, sizeof(*path->edges), compare_indices);
	path->nr_edges = 0;
	for (size_t i = 0; i < nr; i++)
		if (!i || path->edges[i] != path->edges[i - 1])
			path->edges[path->nr_edges++] = path->edges[i];
	return 0;
}

int closure_parse(struct closure *closure, const char *text, size_t len,
		  struct err *err)
{
	struct entries entries = { 0 };
	int rc = read_entries(&entries, text, len, err);

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

ssize_t closure_find(const struct closure *closure, const char *path)
{
	return find(closure, path, strlen(path));
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
