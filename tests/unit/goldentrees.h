// SPDX-License-Identifier: MIT
#ifndef TESTS_UNIT_GOLDENTREES_H
#define TESTS_UNIT_GOLDENTREES_H

#include <stddef.h>

#include "common/layer.h"

struct json_object;

/*
 * tests/golden/trees.json: trees of store paths, and the digests and sizes of
 * the tars that the reference writers make of them.
 */

/* The list of cases, read once and kept. */
struct json_object *goldentrees(size_t *nr);

/* A case's name. */
const char *goldentree_name(struct json_object *list, size_t i);
/* Make its store paths in a folder. */
void goldentree_lay_out(struct json_object *list, size_t i, const char *dir);
/* The layer of it, with what a writer ("dockerTools") made of it promised. */
void goldentree_input(struct json_object *list, size_t i, const char *writer,
		      struct layer_input *input, uint64_t *tar_size);

#endif
