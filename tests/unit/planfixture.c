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

static uint64_t layer_size(const struct closure *closure,
			   const struct plan_layer *layer)
{
	uint64_t size = 0;

	for (size_t i = 0; i < layer->nr; i++)
		size += closure->paths[layer->paths[i]].nar_size;
	return size;
}

static void check_sizes(const struct closure *closure, const struct plan *plan)
{
	for (size_t i = 0; i < plan->nr; i++) {
		if (layer_size(closure, &plan->layers[i]) >= 256 << 10)
			continue;
		for (size_t j = 0; j < plan->nr; j++) {
			const struct plan_layer *other = &plan->layers[j];

			if (j == i)
				continue;
			assert_int_equal(other->nr, 1);
			assert_true(layer_size(closure, other) > 4 << 20);
		}
	}
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
	check_sizes(closure, plan);
}
