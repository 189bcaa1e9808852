// SPDX-License-Identifier: MIT
#include "tests/unit/planfixture.h"

#include <stdbool.h>

#include "tests/unit/check.h"

#include "common/banned.h"

uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

void check_plan(const struct closure *closure, const struct plan *plan,
		const unsigned char *wanted, size_t max_layers)
{
	size_t seen[PATHS_MAX] = { 0 };

	assert_true(plan->nr <= max_layers);
	for (size_t i = 0; i < plan->nr; i++) {
		const struct plan_layer *layer = &plan->layers[i];

		assert_true(layer->nr > 0);
		for (size_t j = 0; j < layer->nr; j++) {
			assert_true(layer->paths[j] < closure->nr);
			seen[layer->paths[j]]++;
			assert_true(!j ||
				    layer->paths[j] > layer->paths[j - 1]);
		}
	}
	for (size_t i = 0; i < closure->nr; i++)
		assert_int_equal(seen[i], !!wanted[i]);
}
