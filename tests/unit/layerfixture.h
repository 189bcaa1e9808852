// SPDX-License-Identifier: MIT
#ifndef TESTS_UNIT_LAYERFIXTURE_H
#define TESTS_UNIT_LAYERFIXTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cache.h"
#include "common/layer.h"

/*
 * What tests of layers begin with: a store and a cache of a test's own, below
 * a folder that goes when the test ends. What fails in here fails the test.
 */
struct fixture {
	char *dir;
	char *store; /* where /nix/store is */
	struct cache cache;
	/* Of the last fixture_make(): */
	struct layer layers[64];
	unsigned int made, found, warnings;
	uint64_t bytes;
	char warning[1024]; /* the last */
	struct err err;
};

int fixture_set_up(void **state);
int fixture_tear_down(void **state);
#define FIXTURE_TEST(name)                                                     \
	cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

/* Another cache, still empty unless it was used under that name before. */
void fixture_new_cache(struct fixture *f, const char *name);

/* A file of the store, "HASH-name/bin/x", with the folders above it. */
void fixture_put(struct fixture *f, const char *path, const char *data);

/* layers_make(); _ok fails the test if that fails. */
int fixture_make(struct fixture *f, const struct layer_input *inputs, size_t nr,
		 enum compression c);
void fixture_make_ok(struct fixture *f, const struct layer_input *inputs,
		     size_t nr, enum compression c);

/* The whole blob and a NUL, the caller's to free. */
char *fixture_read_blob(struct fixture *f, const struct layer *layer);

/* An input of the store paths of these names, NULL at their end. */
struct layer_input input_of(enum layer_kind kind, const char *const *names);
/* Set the diff ID that its bytes should have: that of data. */
void promise(struct layer_input *input, const void *data, size_t len);

bool same_layer(const struct layer *a, const struct layer *b);

/* Text that repeats here and there, the same at every run; to be freed. */
char *some_text(size_t len);

#endif
