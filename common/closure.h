// SPDX-License-Identifier: MIT
#ifndef COMMON_CLOSURE_H
#define COMMON_CLOSURE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

struct json_object;

/*
 * A closure: store paths, each with its size and the edges to the others that
 * it needs, as Nix's database has them. Sorted by path, none twice; every
 * edge ends in a path of the closure.
 */

struct closure_path {
	char *path;	    /* /nix/store/HASH-name */
	char *nar_hash;	    /* "sha256:" and hex */
	uint64_t nar_size;  /* bytes */
	int64_t registered; /* by the store, in seconds since 1970 */
	size_t *edges;	    /* indices into paths, sorted, without itself */
	size_t nr_edges;
};

struct closure {
	struct closure_path *paths;
	size_t nr;
};

#define CLOSURE_INIT                                                           \
	{                                                                      \
		.paths = NULL, .nr = 0                                         \
	}

void closure_release(struct closure *closure);
#define autoclosure __attribute__((cleanup(closure_release))) struct closure

/*
 * Read what `nix path-info --json --recursive PATH` prints, in the form of
 * any Nix: an array, or since 2.19 an object. ERR_MALFORMED names the path;
 * so is an edge that leads out of what is there.
 */
MUST_CHECK int closure_read(struct closure *closure, struct json_object *json,
			    struct err *err);

/* The index of a path, or -1. */
ssize_t closure_find(const struct closure *closure, const char *path);

/*
 * Mark in keep[nr] what the path at index root needs, itself included; what
 * is marked already is not walked again.
 */
void closure_mark(const struct closure *closure, size_t root,
		  unsigned char *keep);

#endif
