// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/strbuf.h"
#include "tests/unit/closuretext.h"
#include "tests/unit/planfixture.h"

#include "common/banned.h"

#define HEX    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LAYERS 100

/* A path of a package, whose hash and version are those of a revision. */
static void format_path(struct strbuf *out, int name, int revision)
{
	strbuf_addf(out, "/nix/store/%032x-lib%c%c-%d.%d\n",
		    (unsigned int)name * 7919u + (unsigned int)revision * 977u,
		    'a' + name % 26, 'a' + name / 26, name % 3, revision);
}

/*
 * A closure of random packages, and how it goes on from there: each needs a
 * few of those of a lower number, and nothing needs the last.
 */
#define NEEDS_MAX 4

struct package {
	uint64_t size;
	int needs[NEEDS_MAX];
	int nr_needs;
	bool gone;
};

struct world {
	struct package packages[PATHS_MAX];
	int nr;
	int revision; /* of all hashes */
};

static void make_world(struct world *w, int nr, uint32_t seed)
{
	memset(w, 0, sizeof(*w));
	w->nr = nr;
	for (int i = 0; i < nr; i++) {
		struct package *p = &w->packages[i];

		p->size = 1000 +
			  (UINT64_C(40000000) >> (next_random(&seed) % 14)) +
			  next_random(&seed) % 5000;
		while (i && p->nr_needs < NEEDS_MAX && next_random(&seed) % 4)
			p->needs[p->nr_needs++] =
				(int)(next_random(&seed) % (uint32_t)i);
	}
}

static void make_world_closure(struct closure *closure, const struct world *w)
{
	autostrbuf text = STRBUF_INIT;
	struct err err = ERR_INIT;

	for (int i = 0; i < w->nr; i++) {
		const struct package *p = &w->packages[i];
		autostrbuf needs = STRBUF_INIT;
		int nr = 0;

		for (int j = 0; j < p->nr_needs; j++) {
			if (w->packages[p->needs[j]].gone)
				continue;
			format_path(&needs, p->needs[j], w->revision);
			nr++;
		}
		if (p->gone)
			continue;
		format_path(&text, i, w->revision);
		strbuf_addf(&text, HEX "\n%" PRIu64 "\n\n%d\n", p->size, nr);
		strbuf_add(&text, needs.buf, needs.len);
	}
	if (closure_from_text(closure, text.buf, &err) < 0)
		fail_msg("%s", err.msg);
}

/* The plan of a world, each layer as the sum of its paths' marks. */
struct marked {
	uint64_t marks[LAYERS], sizes[LAYERS];
	size_t nr_paths[LAYERS], nr_top[LAYERS];
	size_t nr;
};

/* A number for a path, from its name and not its hash. */
static uint64_t mark_of(const char *path)
{
	uint64_t mark = 7;

	for (const char *s = path + strlen("/nix/store/") + 32; *s != '.'; s++)
		mark = mark * UINT64_C(6364136223846793005) + (unsigned char)*s;
	return mark ^ mark >> 29;
}

static void plan_world(const struct world *w, size_t max_layers,
		       struct marked *out)
{
	unsigned char wanted[PATHS_MAX];
	bool needed[PATHS_MAX] = { false };
	autoclosure closure = CLOSURE_INIT;
	autoplan plan = PLAN_INIT;

	memset(wanted, 1, sizeof(wanted));
	memset(out, 0, sizeof(*out));
	make_world_closure(&closure, w);
	plan_make(&plan, &closure, wanted, max_layers);
	check_plan(&closure, &plan, wanted, max_layers);
	for (size_t i = 0; i < closure.nr; i++)
		for (size_t j = 0; j < closure.paths[i].nr_edges; j++)
			needed[closure.paths[i].edges[j]] = true;
	out->nr = plan.nr;
	for (size_t i = 0; i < plan.nr; i++) {
		out->nr_paths[i] = plan.layers[i].nr;
		for (size_t j = 0; j < plan.layers[i].nr; j++) {
			const struct closure_path *p =
				&closure.paths[plan.layers[i].paths[j]];

			out->nr_top[i] += !needed[plan.layers[i].paths[j]];
			out->marks[i] += mark_of(p->path);
			out->sizes[i] += p->nar_size;
		}
	}
}

/* The bytes of those layers that before has not. */
static uint64_t bytes_anew(const struct marked *before,
			   const struct marked *after)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < after->nr; i++) {
		bool had = false;

		for (size_t j = 0; j < before->nr; j++)
			had |= before->marks[j] == after->marks[i];
		if (!had)
			bytes += after->sizes[i];
	}
	return bytes;
}

static uint64_t bytes_of(const struct marked *m)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < m->nr; i++)
		bytes += m->sizes[i];
	return bytes;
}

/* All hashes and versions change, nothing else: the layers stay. */
static void test_rebuilt(void **state)
{
	static struct world w;
	struct marked before, after;

	for (uint32_t seed = 1; seed <= 20; seed++) {
		make_world(&w, 250, seed);
		plan_world(&w, LAYERS, &before);
		w.revision++;
		plan_world(&w, LAYERS, &after);
		assert_int_equal(bytes_anew(&before, &after), 0);
		assert_int_equal(before.nr, after.nr);
		for (size_t i = 0; i < after.nr; i++)
			assert_true(before.marks[i] == after.marks[i]);
	}
}

/*
 * One package is added, removed, or changes its size: few layers are others.
 * The package's own bytes count, too.
 */
static void check_small_change(const char *name,
			       void (*change)(struct world *, uint32_t))
{
	static struct world w;
	uint64_t sum = 0, worst = 0, all = 0;

	for (uint32_t seed = 1; seed <= 50; seed++) {
		struct marked before, after;
		uint64_t anew;

		make_world(&w, 250, seed);
		plan_world(&w, LAYERS, &before);
		change(&w, seed);
		plan_world(&w, LAYERS, &after);
		anew = bytes_anew(&before, &after) * 1000 / bytes_of(&after);
		sum += anew;
		all++;
		worst = anew > worst ? anew : worst;
	}
	if (sum / all > 30 || worst > 200)
		fail_msg("%s: %" PRIu64 " per mille anew in the mean, %" PRIu64
			 " at most",
			 name, sum / all, worst);
}

static void add_one(struct world *w, uint32_t seed)
{
	struct package *p = &w->packages[w->nr++];

	p->size = 1000 + next_random(&seed) % 3000000;
	p->needs[p->nr_needs++] = (int)(next_random(&seed) % 200);
}

static void remove_one(struct world *w, uint32_t seed)
{
	w->packages[next_random(&seed) % 250].gone = true;
}

static void grow_one(struct world *w, uint32_t seed)
{
	struct package *p = &w->packages[next_random(&seed) % 250];

	p->size += p->size / 3;
}

static void test_small_changes(void **state)
{
	check_small_change("one added", add_one);
	check_small_change("one removed", remove_one);
	check_small_change("one grown", grow_one);
}

#define LAYER_MIN (UINT64_C(256) << 10)

/* No shared layer is out of proportion, and none is too small. */
static void test_balance(void **state)
{
	static const size_t limits[] = { 2, 5, 20, 50, LAYERS };
	static struct world w;

	for (uint32_t seed = 1; seed <= 20; seed++) {
		make_world(&w, 250, seed);
		for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
			struct marked m;
			uint64_t shared = 0;
			size_t nr_shared = 0, nr_small = 0;

			plan_world(&w, limits[i], &m);
			for (size_t j = 0; j < m.nr; j++) {
				nr_small += m.sizes[j] < LAYER_MIN;
				if (m.nr_paths[j] < 2)
					continue;
				shared += m.sizes[j];
				nr_shared++;
			}
			assert_true(nr_small <= 1);
			for (size_t j = 0; j < m.nr; j++)
				assert_true(m.nr_paths[j] < 2 ||
					    m.sizes[j] <=
						    4 * shared / nr_shared);
		}
	}
}

/* What nothing else needs, the application, shares a layer with its like. */
static void test_top_is_apart(void **state)
{
	static struct world w;

	for (uint32_t seed = 1; seed <= 20; seed++) {
		struct marked m;

		make_world(&w, 250, seed);
		plan_world(&w, LAYERS, &m);
		for (size_t i = 0; i < m.nr; i++)
			assert_true(!m.nr_top[i] ||
				    m.nr_top[i] == m.nr_paths[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rebuilt),
		cmocka_unit_test(test_small_changes),
		cmocka_unit_test(test_balance),
		cmocka_unit_test(test_top_is_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
