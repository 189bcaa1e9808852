// SPDX-License-Identifier: MIT
#include "common/plan.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

#include "common/banned.h"

/*
 * The largest paths get a layer each, as long as a path is larger than what
 * the other layers would hold on average; the rest is spread over the layers
 * that are left, largest first, each into what is smallest by then.
 *
 * From the bottom up come first the layers that need least of the others: a
 * C library below, the application on top. Clients that unpack layers upon
 * each other keep what is below the first that changed.
 */

/*
 * A layer costs a client a request and an unpacking: about the time of this
 * many bytes. No layer is made for less as long as there are others.
 */
#define LAYER_MIN (UINT64_C(256) << 10)

struct item {
	size_t index; /* in the closure */
	uint64_t size;
	size_t bin;
};

struct bin {
	uint64_t size;
	size_t nr;     /* paths */
	size_t layer;  /* its number before they were sorted */
	size_t height; /* the largest of its paths */
	size_t first;  /* its first path, the lowest index */
};

void plan_release(struct plan *plan)
{
	for (size_t i = 0; i < plan->nr; i++)
		free(plan->layers[i].paths);
	free(plan->layers);
	*plan = (struct plan)PLAN_INIT;
}

/* Largest first; the closure's order, which is by path, if equal. */
static int compare_items(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->size != y->size)
		return x->size < y->size ? 1 : -1;
	return (x->index > y->index) - (x->index < y->index);
}

static struct item *sorted_items(const struct closure *closure,
				 const unsigned char *wanted, size_t *nr,
				 uint64_t *total)
{
	struct item *items = xcalloc(closure->nr, sizeof(*items));

	*nr = 0;
	*total = 0;
	for (size_t i = 0; i < closure->nr; i++) {
		if (!wanted[i])
			continue;
		items[*nr].index = i;
		items[*nr].size = closure->paths[i].nar_size;
		*total += items[(*nr)++].size;
	}
	qsort(items, *nr, sizeof(*items), compare_items);
	return items;
}

/* How many of the largest paths get a layer each; *total becomes the rest. */
static size_t count_alone(const struct item *items, size_t nr, size_t layers,
			  uint64_t *total)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		size_t left = layers - i;

		if (left < 2 && nr - i > 1)
			break;
		if (items[i].size < LAYER_MIN || items[i].size < *total / left)
			break;
		*total -= items[i].size;
	}
	return i;
}

/* How many layers the rest of nr paths and total bytes gets, of those left. */
static size_t count_shared(size_t nr, uint64_t total, size_t left)
{
	uint64_t n = total / LAYER_MIN;

	if (!nr)
		return 0;
	if (n > nr)
		n = nr;
	if (n > left)
		n = left;
	return n ? (size_t)n : 1;
}

static size_t smallest(const struct bin *bins, size_t from, size_t to)
{
	size_t best = from;

	for (size_t i = from + 1; i < to; i++)
		if (bins[i].size < bins[best].size ||
		    (bins[i].size == bins[best].size &&
		     bins[i].nr < bins[best].nr))
			best = i;
	return best;
}

/*
 * How many edges the longest way from each path to one without edges has.
 * Nix makes no cycles; one is cut where it would close.
 */
static size_t *heights(const struct closure *closure)
{
	size_t *height = xcalloc(closure->nr, sizeof(*height));
	autofree size_t *next = xcalloc(closure->nr, sizeof(*next));
	autofree size_t *stack = xcalloc(closure->nr, sizeof(*stack));
	autofree unsigned char *seen = xcalloc(closure->nr, 1);

	for (size_t root = 0; root < closure->nr; root++) {
		size_t depth = 0;

		if (!seen[root]) {
			seen[root] = 1;
			stack[depth++] = root;
		}
		while (depth) {
			size_t from = stack[depth - 1], to;
			const struct closure_path *p = &closure->paths[from];

			if (next[from] == p->nr_edges) {
				depth--;
				continue;
			}
			to = p->edges[next[from]];
			if (!seen[to]) {
				seen[to] = 1;
				stack[depth++] = to;
				continue;
			}
			if (height[from] < height[to] + 1)
				height[from] = height[to] + 1;
			next[from]++;
		}
	}
	return height;
}

static int compare_bins(const void *a, const void *b)
{
	const struct bin *x = a, *y = b;

	if (x->height != y->height)
		return x->height < y->height ? -1 : 1;
	return (x->first > y->first) - (x->first < y->first);
}

/* Put each item into a bin; returns how many bins. */
static size_t fill_bins(struct item *items, size_t nr, uint64_t total,
			size_t max_layers, struct bin *bins)
{
	size_t alone = count_alone(items, nr, max_layers, &total);
	size_t nr_bins =
		alone + count_shared(nr - alone, total, max_layers - alone);

	for (size_t i = 0; i < nr; i++) {
		struct bin *bin;

		items[i].bin = i < alone ? i : smallest(bins, alone, nr_bins);
		bin = &bins[items[i].bin];
		bin->size += items[i].size;
		bin->nr++;
	}
	return nr_bins;
}

/* From the bottom of the image up; what was bin i is layer i now. */
static void sort_bins(struct bin *bins, size_t nr_bins,
		      const struct item *items, size_t nr, const size_t *height)
{
	for (size_t i = 0; i < nr_bins; i++) {
		bins[i].layer = i;
		bins[i].first = SIZE_MAX;
	}
	for (size_t i = 0; i < nr; i++) {
		struct bin *bin = &bins[items[i].bin];

		if (bin->height < height[items[i].index])
			bin->height = height[items[i].index];
		if (bin->first > items[i].index)
			bin->first = items[i].index;
	}
	qsort(bins, nr_bins, sizeof(*bins), compare_bins);
}

static int compare_paths(const void *a, const void *b)
{
	const size_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void add_layers(struct plan *plan, const struct item *items, size_t nr,
		       const struct bin *bins, size_t nr_bins)
{
	autofree size_t *layer_of = xcalloc(nr_bins, sizeof(*layer_of));

	plan->nr = nr_bins;
	plan->layers = xcalloc(nr_bins, sizeof(*plan->layers));
	for (size_t i = 0; i < nr_bins; i++) {
		layer_of[bins[i].layer] = i;
		plan->layers[i].paths = xcalloc(bins[i].nr, sizeof(size_t));
	}
	for (size_t i = 0; i < nr; i++) {
		struct plan_layer *layer =
			&plan->layers[layer_of[items[i].bin]];

		layer->paths[layer->nr++] = items[i].index;
	}
	for (size_t i = 0; i < nr_bins; i++)
		qsort(plan->layers[i].paths, plan->layers[i].nr, sizeof(size_t),
		      compare_paths);
}

void plan_make(struct plan *plan, const struct closure *closure,
	       const unsigned char *wanted, size_t max_layers)
{
	autofree size_t *height = heights(closure);
	autofree struct item *items = NULL;
	autofree struct bin *bins = NULL;
	size_t nr, nr_bins;
	uint64_t total;

	assert(max_layers >= 1);
	*plan = (struct plan)PLAN_INIT;
	items = sorted_items(closure, wanted, &nr, &total);
	if (!nr)
		return;
	bins = xcalloc(nr < max_layers ? nr : max_layers, sizeof(*bins));
	nr_bins = fill_bins(items, nr, total, max_layers, bins);
	sort_bins(bins, nr_bins, items, nr, height);
	add_layers(plan, items, nr, bins, nr_bins);
}
