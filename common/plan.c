// SPDX-License-Identifier: MIT
#include "common/plan.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/strbuf.h"

#include "common/banned.h"

/*
 * Up to half of the layers go to the largest paths, one each. All other paths
 * are put in a row in which those stand together that change together, and the
 * row is cut, its heaviest piece first, until all layers are used. Where a
 * piece is cut is up to the names in it: the one whose hash is the highest,
 * of those that do not lie too near to its ends. So a path that is added,
 * removed or grows moves the cuts beside it at most, as in chunking by
 * content.
 *
 * A path's hash changes when one of those that it needs changes. So the row
 * goes by the height in the graph, in powers of two, and then by a sketch of
 * all that the path needs: the lowest of these names' hashes, which for two
 * paths is the same one with the probability that their needs overlap
 * (MinHash). What nothing else needs, the application, comes last and is cut
 * off first.
 *
 * docs/ARCHITECTURE.md, "Planning", has what else was tried, and the figures.
 */

/*
 * A layer costs a client a request and an unpacking: about the time of this
 * many bytes. No layer is made for less as long as there are others to put
 * its paths with.
 */
#define LAYER_MIN (UINT64_C(256) << 10)

/*
 * The largest path that less than that is put with. It is fetched again with
 * whatever changes beside it, which may be the application's script.
 */
#define COMPANY_MAX (UINT64_C(4) << 20)

/* What there is to know of a path of the closure. */
struct item {
	size_t index; /* in the closure */
	char *key;
	const char *name; /* its store path without folder and hash */
	uint64_t size;
	uint64_t hash;	 /* of key */
	uint64_t sketch; /* the lowest hash of what it needs and of itself */
	size_t height;	 /* edges to the farthest path that it needs */
	bool top;	 /* nothing else needs it */
};

/* A layer to be: items[from] to items[from + nr - 1]. */
struct piece {
	size_t from, nr;
	uint64_t size;
	bool whole;    /* it cannot be cut */
	size_t height; /* the largest of its items */
	char *key;     /* the first of its items */
};

struct planning {
	struct item *items;
	size_t nr;
	struct piece *pieces;
	size_t nr_pieces, max_pieces;
};

void plan_release(struct plan *plan)
{
	for (size_t i = 0; i < plan->nr; i++)
		free(plan->layers[i].paths);
	free(plan->layers);
	*plan = (struct plan)PLAN_INIT;
}

/* A store path's name, after folder and hash. */
static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	const char *dash = strchr(base, '-');

	return dash && dash - base == 32 ? dash + 1 : base;
}

char *plan_key(const char *path)
{
	autostrbuf key = STRBUF_INIT;
	const char *part = name_of(path);

	for (;;) {
		size_t len = strcspn(part, "-");

		if (*part < '0' || *part > '9') {
			if (key.len)
				strbuf_addch(&key, '-');
			strbuf_add(&key, part, len);
		}
		if (!part[len])
			return strbuf_detach(&key, NULL);
		part += len + 1;
	}
}

/* FNV-1a, and its bits mixed as in splitmix64: the same on every machine. */
static uint64_t hash_of(const char *s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
	return h ^ (h >> 31);
}

/*
 * The closure's indices, each after those that it needs. Nix makes no cycles;
 * one is cut where it would close.
 */
static size_t *needed_first(const struct closure *closure)
{
	size_t *order = xcalloc(closure->nr, sizeof(*order));
	autofree size_t *next = xcalloc(closure->nr, sizeof(*next));
	autofree size_t *stack = xcalloc(closure->nr, sizeof(*stack));
	autofree unsigned char *seen = xcalloc(closure->nr, 1);
	size_t nr = 0;

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
				order[nr++] = from;
				depth--;
				continue;
			}
			to = p->edges[next[from]++];
			if (!seen[to]) {
				seen[to] = 1;
				stack[depth++] = to;
			}
		}
	}
	return order;
}

static void inherit(struct item *item, const struct item *needed)
{
	if (item->height < needed->height + 1)
		item->height = needed->height + 1;
	if (item->sketch > needed->sketch)
		item->sketch = needed->sketch;
}

/* All of the closure's paths, by index. */
static struct item *make_items(const struct closure *closure,
			       const unsigned char *wanted)
{
	struct item *items = xcalloc(closure->nr, sizeof(*items));
	autofree size_t *order = needed_first(closure);

	for (size_t i = 0; i < closure->nr; i++) {
		struct item *item = &items[i];

		item->index = i;
		item->key = plan_key(closure->paths[i].path);
		item->name = name_of(closure->paths[i].path);
		item->size = closure->paths[i].nar_size;
		item->hash = hash_of(item->key);
		item->sketch = item->hash;
		item->top = true;
	}
	for (size_t i = 0; i < closure->nr; i++) {
		const struct closure_path *p = &closure->paths[order[i]];

		for (size_t j = 0; j < p->nr_edges; j++) {
			inherit(&items[order[i]], &items[p->edges[j]]);
			if (wanted[order[i]])
				items[p->edges[j]].top = false;
		}
	}
	return items;
}

/* Two paths of one key and name have but their sizes and hashes left. */
static int compare_names(const struct item *x, const struct item *y)
{
	int order = strcmp(x->key, y->key);

	if (!order)
		order = strcmp(x->name, y->name);
	if (order)
		return order;
	if (x->size != y->size)
		return x->size < y->size ? 1 : -1;
	return (x->index > y->index) - (x->index < y->index);
}

/* Largest first. */
static int compare_sizes(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->size != y->size)
		return x->size < y->size ? 1 : -1;
	return compare_names(x, y);
}

static unsigned int magnitude(size_t n)
{
	unsigned int bits = 0;

	for (; n; n >>= 1)
		bits++;
	return bits;
}

/* What changes together, together; what changes most often, last. */
static int compare_kinship(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->top != y->top)
		return x->top ? 1 : -1;
	if (magnitude(x->height) != magnitude(y->height))
		return magnitude(x->height) < magnitude(y->height) ? -1 : 1;
	if (x->sketch != y->sketch)
		return x->sketch < y->sketch ? -1 : 1;
	return compare_names(x, y);
}

static void add_piece(struct planning *p, size_t from, size_t nr)
{
	struct piece *piece = &p->pieces[p->nr_pieces++];

	assert(p->nr_pieces <= p->max_pieces);
	*piece = (struct piece){ .from = from, .nr = nr, .whole = nr < 2 };
	for (size_t i = from; i < from + nr; i++)
		piece->size += p->items[i].size;
}

/* Cut a piece in two, of which the first gets nr items. */
static void cut(struct planning *p, struct piece *piece, size_t nr)
{
	struct piece old = *piece;

	assert(nr && nr < old.nr);
	add_piece(p, old.from + nr, old.nr - nr);
	piece->nr = nr;
	piece->size = old.size - p->pieces[p->nr_pieces - 1].size;
	piece->whole = nr < 2;
}

/*
 * How many items the first part of a piece is to get; 0 if it stays whole.
 * A part has a quarter of the piece at least if that can be, and no less than
 * a layer is made for.
 */
static size_t find_cut(const struct planning *p, const struct piece *piece)
{
	size_t by_hash = 0, by_size = 0;
	uint64_t left = 0, highest = 0, best = 0;

	for (size_t i = 0; i + 1 < piece->nr; i++) {
		const struct item *item = &p->items[piece->from + i];
		uint64_t less;

		left += item->size;
		less = left < piece->size - left ? left : piece->size - left;
		if (less < LAYER_MIN)
			continue;
		if (less > best) {
			best = less;
			by_size = i + 1;
		}
		if (less >= piece->size / 4 && item->hash >= highest) {
			highest = item->hash;
			by_hash = i + 1;
		}
	}
	return by_hash ? by_hash : by_size;
}

/*
 * Cut what nothing else needs from the rest, with as much of what is before
 * it as it takes to be worth a layer.
 */
static void cut_top(struct planning *p, struct piece *piece)
{
	uint64_t size = 0;
	size_t nr = piece->nr;

	while (nr && (p->items[piece->from + nr - 1].top || size < LAYER_MIN))
		size += p->items[piece->from + --nr].size;
	if (nr && nr < piece->nr && piece->size - size >= LAYER_MIN)
		cut(p, piece, nr);
}

/* The heaviest piece that may be cut, or NULL. */
static struct piece *heaviest(struct planning *p)
{
	struct piece *best = NULL;

	for (size_t i = 0; i < p->nr_pieces; i++) {
		struct piece *piece = &p->pieces[i];

		if (!piece->whole && (!best || piece->size > best->size))
			best = piece;
	}
	return best;
}

/*
 * The largest get a layer each: half of the layers at most, and each of them
 * no less than what the other layers have on average.
 */
static size_t add_largest(struct planning *p, size_t max_layers)
{
	uint64_t left = 0;
	size_t nr = 0;

	qsort(p->items, p->nr, sizeof(*p->items), compare_sizes);
	for (size_t i = 0; i < p->nr; i++)
		left += p->items[i].size;
	while (nr < max_layers / 2 && nr < p->nr &&
	       p->items[nr].size >= LAYER_MIN &&
	       /* nr < max_layers. NOLINTNEXTLINE(*DivideZero) */
	       p->items[nr].size >= left / (max_layers - nr)) {
		left -= p->items[nr].size;
		add_piece(p, nr++, 1);
	}
	return nr;
}

/*
 * What is left beside the largest may be less than a layer is made for: then
 * the smallest of them is not alone. Returns how many are.
 */
static size_t keep_company(struct planning *p, size_t alone)
{
	uint64_t rest = 0;

	for (size_t i = alone; i < p->nr; i++)
		rest += p->items[i].size;
	if (!alone || alone == p->nr || rest >= LAYER_MIN ||
	    p->items[alone - 1].size > COMPANY_MAX)
		return alone;
	return --p->nr_pieces;
}

static void make_pieces(struct planning *p, size_t max_layers)
{
	size_t alone = keep_company(p, add_largest(p, max_layers));
	struct piece *piece;

	if (alone == p->nr)
		return;
	qsort(p->items + alone, p->nr - alone, sizeof(*p->items),
	      compare_kinship);
	add_piece(p, alone, p->nr - alone);
	if (p->nr_pieces < p->max_pieces)
		cut_top(p, &p->pieces[alone]);
	while (p->nr_pieces < p->max_pieces && (piece = heaviest(p))) {
		size_t nr = find_cut(p, piece);

		if (nr)
			cut(p, piece, nr);
		else
			piece->whole = true;
	}
}

/*
 * From the bottom up come first the layers that need least of the others: a
 * C library below, the application on top. Clients that unpack layers upon
 * each other keep what is below the first that changed.
 */
static int compare_pieces(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;
	int order;

	if (x->height != y->height)
		return x->height < y->height ? -1 : 1;
	order = strcmp(x->key, y->key);
	return order ? order : (x->from > y->from) - (x->from < y->from);
}

static void sort_pieces(struct planning *p)
{
	for (size_t i = 0; i < p->nr_pieces; i++) {
		struct piece *piece = &p->pieces[i];

		piece->key = p->items[piece->from].key;
		for (size_t j = 0; j < piece->nr; j++) {
			const struct item *item = &p->items[piece->from + j];

			if (piece->height < item->height)
				piece->height = item->height;
			if (strcmp(item->key, piece->key) < 0)
				piece->key = item->key;
		}
	}
	qsort(p->pieces, p->nr_pieces, sizeof(*p->pieces), compare_pieces);
}

static int compare_paths(const void *a, const void *b)
{
	const size_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void add_layers(struct plan *plan, const struct planning *p)
{
	plan->nr = p->nr_pieces;
	plan->layers = xcalloc(plan->nr, sizeof(*plan->layers));
	for (size_t i = 0; i < plan->nr; i++) {
		const struct piece *piece = &p->pieces[i];
		struct plan_layer *layer = &plan->layers[i];

		layer->nr = piece->nr;
		layer->paths = xcalloc(layer->nr, sizeof(*layer->paths));
		for (size_t j = 0; j < layer->nr; j++)
			layer->paths[j] = p->items[piece->from + j].index;
		qsort(layer->paths, layer->nr, sizeof(*layer->paths),
		      compare_paths);
	}
}

void plan_make(struct plan *plan, const struct closure *closure,
	       const unsigned char *wanted, size_t max_layers)
{
	struct planning p = { .nr = 0 };
	autofree struct item *all = make_items(closure, wanted);
	autofree struct item *items = xcalloc(closure->nr, sizeof(*items));
	autofree struct piece *pieces = NULL;

	assert(max_layers >= 1);
	*plan = (struct plan)PLAN_INIT;
	p.items = items;
	for (size_t i = 0; i < closure->nr; i++)
		if (wanted[i])
			items[p.nr++] = all[i];
	p.max_pieces = p.nr < max_layers ? p.nr : max_layers;
	pieces = xcalloc(p.max_pieces, sizeof(*pieces));
	p.pieces = pieces;
	if (p.nr) {
		make_pieces(&p, max_layers);
		sort_pieces(&p);
		add_layers(plan, &p);
	}
	for (size_t i = 0; i < closure->nr; i++)
		free(all[i].key);
}
