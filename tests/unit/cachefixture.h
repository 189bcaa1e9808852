// SPDX-License-Identifier: MIT
#ifndef TESTS_UNIT_CACHEFIXTURE_H
#define TESTS_UNIT_CACHEFIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cache.h"
#include "common/settings.h"

/*
 * What tests of the cache begin with: a cache of a test's own, which goes when
 * the test ends, and images in it that nobody built. What fails in here fails
 * the test.
 */
struct cachefixture {
	char *dir;
	struct cache cache;
	struct settings settings; /* the defaults */
};

int cachefixture_set_up(void **state);
int cachefixture_tear_down(void **state);
#define CACHE_TEST(name)                                                       \
	cmocka_unit_test_setup_teardown(name, cachefixture_set_up,             \
					cachefixture_tear_down)

struct repository_name repository_of(const char *name);
struct tag tag_of(const char *name);

/* Put a blob of that text. */
void put_text(struct cachefixture *f, const char *text, struct digest *digest);

/*
 * Put an image, REPOSITORY:latest, of "config of REPOSITORY", "layer of
 * REPOSITORY" and SHARED_LAYER, which all have. Returns its manifest's digest.
 */
#define SHARED_LAYER "the layer that all have"
struct digest put_image(struct cachefixture *f, const char *repository);

bool has_blob(struct cachefixture *f, const struct digest *digest);

/* Let a file, an image's record or all blobs be as old as that. */
void set_age(struct cachefixture *f, const char *path, int64_t age_s);
void set_image_age(struct cachefixture *f, const char *repository,
		   const struct digest *manifest, int64_t age_s);
void set_blobs_age(struct cachefixture *f, int64_t age_s);
#define DAY (24 * 3600)

#endif
