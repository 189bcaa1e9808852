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

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
/* A path of a closure, named by its number; it needs the next one. */
struct made {
	int name;
	uint64_t size;
};

/* The closure of paths, each of which needs the one of the next name. */
static void make_closure(struct closure *closure, const struct made *made,
			 size_t nr)
{
	autostrbuf text = STRBUF_INIT;
	struct err err = ERR_INIT;
	int last = 0;

	for (size_t i = 0; i < nr; i++)
		last = made[i].name > last ? made[i].name : last;
	for (size_t i = 0; i < nr; i++) {
		strbuf_addf(&text,
			    "/nix/store/%04d\n" HEX "\n%" PRIu64 "\n\n%d\n",
			    made[i].name, made[i].size, made[i].name < last);
		if (made[i].name < last)
			strbuf_addf(&text, "/nix/store/%04d\n",
				    made[i].name + 1);
	}
	if (closure_from_text(closure, text.buf, &err) < 0)
		fail_msg("%s", err.msg);
}

/* "1,2;3": the paths of the layers from the bottom up. */
static void format(struct strbuf *out, const struct plan *plan)
{
	for (size_t i = 0; i < plan->nr; i++)
		for (size_t j = 0; j < plan->layers[i].nr; j++)
			strbuf_addf(out, "%s%zu",
				    j	? ","
				    : i ? ";"
					: "",
				    plan->layers[i].paths[j]);
}

#define M << 20

static void test_plans(void **state)
{
	static const struct {
		const char *name;
		uint64_t sizes[8]; /* up to a 0; path i needs path i + 1 */
		size_t max_layers;
		const char *want;
	} cases[] = {
		{ "none", { 0 }, 10, "" },
		{ "one", { 1 }, 10, "0" },
		{ "one large", { 9 M }, 1, "0" },
		{ "a layer each", { 1 M, 2 M, 3 M }, 3, "2;1;0" },
		{ "more layers than paths", { 1 M, 2 M, 3 M }, 99, "2;1;0" },
		{ "one layer", { 1 M, 2 M, 3 M }, 1, "0,1,2" },
		{ "the largest alone", { 1 M, 2 M, 9 M }, 2, "2;0,1" },
		{ "the top apart", { 4 M, 3 M, 2 M, 1 M }, 2, "1,2,3;0" },
		{ "half alone",
		  { 1 M, 9 M, 1 M, 9 M, 9 M, 1 M },
		  4,
		  "3;2,4,5;1;0" },
		{ "equal ones", { 2 M, 2 M, 2 M, 2 M }, 3, "2,3;1;0" },
		{ "small ones together",
		  { 100, 200, 8 M, 300 },
		  99,
		  "2;0,1,3" },
		{ "small ones with a small one",
		  { 100, 200, 4 M, 300 },
		  99,
		  "0,1,2,3" },
		{ "small ones with the smaller one",
		  { 100, 200, 3 M, 300, 9 M },
		  99,
		  "4;0,1,2,3" },
		{ "all small", { 100, 200, 300 }, 99, "0,1,2" },
		{ "small ones to the minimum",
		  { 150000, 150000, 150000, 150000 },
		  99,
		  "2,3;0,1" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct made made[8];
		unsigned char wanted[8];
		autoclosure closure = CLOSURE_INIT;
		autoplan plan = PLAN_INIT;
		autostrbuf got = STRBUF_INIT;
		size_t nr;

		for (nr = 0; cases[i].sizes[nr]; nr++)
			made[nr] = (struct made){ (int)nr, cases[i].sizes[nr] };
		make_closure(&closure, made, nr);
		memset(wanted, 1, sizeof(wanted));
		plan_make(&plan, &closure, wanted, cases[i].max_layers);
		format(&got, &plan);
		check_str(cases[i].name, got.buf, cases[i].want);
	}
}

static void test_wanted(void **state)
{
	static const struct made made[] = { { 0, 1 M },
					    { 1, 2 M },
					    { 2, 3 M } };
	static const unsigned char wanted[] = { 1, 0, 1 };
	autoclosure closure = CLOSURE_INIT;
	autoplan plan = PLAN_INIT;
	autostrbuf got = STRBUF_INIT;

	make_closure(&closure, made, 3);
	plan_make(&plan, &closure, wanted, 10);
	format(&got, &plan);
	assert_string_equal(got.buf, "2;0");
}

static void shuffle(struct made *made, size_t nr, uint32_t *seed)
{
	for (size_t i = nr - 1; i > 0; i--) {
		size_t j = next_random(seed) % (i + 1);
		struct made old = made[i];

		made[i] = made[j];
		made[j] = old;
	}
}

static void plan_text(struct strbuf *out, const struct made *made, size_t nr,
		      const unsigned char *wanted, size_t max_layers)
{
	autoclosure closure = CLOSURE_INIT;
	autoplan plan = PLAN_INIT;

	make_closure(&closure, made, nr);
	plan_make(&plan, &closure, wanted, max_layers);
	check_plan(&closure, &plan, wanted, max_layers);
	format(out, &plan);
}

/* Every path once, within the limit, whatever the order of the text. */
static void test_random(void **state)
{
	uint32_t seed = 1;

	for (int round = 0; round < 200; round++) {
		autostrbuf first = STRBUF_INIT, second = STRBUF_INIT;
		struct made made[PATHS_MAX];
		unsigned char wanted[PATHS_MAX];
		size_t nr = 1 + next_random(&seed) % PATHS_MAX;
		size_t max_layers = 1 + next_random(&seed) % 125;

		for (size_t i = 0; i < nr; i++) {
			made[i].name = (int)i;
			made[i].size =
				next_random(&seed) >> next_random(&seed) % 24;
			wanted[i] = next_random(&seed) % 8 != 0;
		}
		plan_text(&first, made, nr, wanted, max_layers);
		shuffle(made, nr, &seed);
		plan_text(&second, made, nr, wanted, max_layers);
		assert_string_equal(first.buf, second.buf);
	}
}

/* Nix makes none; an edge that closes one does no harm. */
static void test_cycle(void **state)
{
	static const char text[] =
		"/nix/store/a\n" HEX "\n9\n\n1\n/nix/store/b\n"
		"/nix/store/b\n" HEX "\n9\n\n1\n/nix/store/a\n";
	static const unsigned char wanted[] = { 1, 1 };
	autoclosure closure = CLOSURE_INIT;
	autoplan plan = PLAN_INIT;
	struct err err = ERR_INIT;

	if (closure_from_text(&closure, text, &err) < 0)
		fail_msg("%s", err.msg);
	plan_make(&plan, &closure, wanted, 10);
	check_plan(&closure, &plan, wanted, 10);
}

static void test_keys(void **state)
{
	static const struct {
		const char *path, *want;
	} cases[] = {
#define H "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-"
		{ H "hello-2.12", "hello" },
		{ H "hello", "hello" },
		{ H "openssl-3.0.14-bin", "openssl-bin" },
		{ H "python3.11-requests-2.31.0", "python3.11-requests" },
		{ H "libstdc++-12-dev-12.2.0-14+deb12u1", "libstdc++-dev" },
		{ H "foo-0-unstable-2024-01-31", "foo-unstable" },
		{ H "2048-1.0", "" },
		{ H "a--b", "a--b" },
		{ H "-", "" },
		{ H "xz-", "xz-" },
		{ "/nix/store/short-1.0", "short" },
#undef H
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autofree char *key = plan_key(cases[i].path);

		check_str(cases[i].path, key, cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plans),  cmocka_unit_test(test_wanted),
		cmocka_unit_test(test_random), cmocka_unit_test(test_cycle),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
