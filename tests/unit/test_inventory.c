// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "common/inventory.h"
#include "tests/unit/cachefixture.h"

#include "common/banned.h"

static void test_inventory(void **state)
{
	struct cachefixture *f = *state;
	struct digest a = put_image(f, "a");
	autoinventory inventory = INVENTORY_INIT;
	struct err err = ERR_INIT;

	put_image(f, "b");
	assert_int_equal(inventory_take(&inventory, &f->cache, &err), 0);
	assert_int_equal(inventory.nr_images, 2);
	assert_int_equal(inventory.nr_blobs, 7);
	assert_true(inventory_is_fresh(&inventory));
	for (size_t i = 0; i < inventory.nr_images; i++) {
		assert_int_equal(inventory.images[i].nr_needs, 3);
		assert_int_equal(inventory.images[i].nr_names, 1);
		assert_false(inventory.images[i].is_broken);
	}
	for (size_t i = 0; i < inventory.nr_blobs; i++) {
		const struct inventory_blob *blob = &inventory.blobs[i];
		struct digest shared;

		digest_of(SHARED_LAYER, strlen(SHARED_LAYER), &shared);
		if (digest_equal(&blob->digest, &shared))
			assert_int_equal(blob->needed_by, 2);
		else if (digest_equal(&blob->digest, &a))
			assert_int_not_equal(blob->image, NO_IMAGE);
		else
			assert_true(blob->needed_by <= 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CACHE_TEST(test_inventory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
