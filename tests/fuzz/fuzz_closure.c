// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/closure.h"
#include "common/digest.h"
#include "common/plan.h"

#include "common/banned.h"

/* What `nix path-info` prints, in both forms; and the plan of its layers. */

/* One more path, as the array has them and as the object has them. */
static struct json_object *path_json(const struct closure *closure,
				     const struct closure_path *path,
				     bool with_path)
{
	struct json_object *json = json_object_new_object();
	struct json_object *edges = json_object_new_array();

	if (with_path)
		json_object_object_add(json, "path",
				       json_object_new_string(path->path));
	json_object_object_add(json, "narHash",
			       json_object_new_string(path->nar_hash));
	json_object_object_add(json, "narSize",
			       json_object_new_int64((int64_t)path->nar_size));
	json_object_object_add(json, "registrationTime",
			       json_object_new_int64(path->registered));
	for (size_t i = 0; i < path->nr_edges; i++)
		json_object_array_add(
			edges, json_object_new_string(
				       closure->paths[path->edges[i]].path));
	json_object_object_add(json, "references", edges);
	return json;
}

static void check_same(const struct closure *a, struct json_object *json)
{
	autoclosure b = CLOSURE_INIT;
	struct err err = ERR_INIT;

	need(!closure_read(&b, json, &err));
	need(a->nr == b.nr);
	for (size_t i = 0; i < a->nr; i++) {
		const struct closure_path *x = &a->paths[i], *y = &b.paths[i];

		fuzz_need_same(y->path, x->path);
		fuzz_need_same(y->nar_hash, x->nar_hash);
		need(x->nar_size == y->nar_size);
		need(x->registered == y->registered);
		need(x->nr_edges == y->nr_edges);
		for (size_t e = 0; e < x->nr_edges; e++)
			need(x->edges[e] == y->edges[e]);
	}
}

static void check_round_trip(const struct closure *closure)
{
	autojson *array = json_object_new_array();
	autojson *object = json_object_new_object();

	for (size_t i = 0; i < closure->nr; i++) {
		const struct closure_path *path = &closure->paths[i];

		json_object_array_add(array, path_json(closure, path, true));
		json_object_object_add(object, path->path,
				       path_json(closure, path, false));
	}
	check_same(closure, array);
	check_same(closure, object);
}

static void check_path(const struct closure *closure, size_t i)
{
	const struct closure_path *path = &closure->paths[i];
	struct digest digest;
	struct err err = ERR_INIT;

	need(path->path[0] == '/');
	need(!i || strcmp(closure->paths[i - 1].path, path->path) < 0);
	need(closure_find(closure, path->path) == (ssize_t)i);
	need(!digest_parse(&digest, path->nar_hash, strlen(path->nar_hash),
			   &err));
	for (size_t e = 0; e < path->nr_edges; e++) {
		need(path->edges[e] < closure->nr && path->edges[e] != i);
		need(!e || path->edges[e - 1] < path->edges[e]);
	}
}

/* What the first path needs, or all; each is in one layer. */
static void check_plan(const struct closure *closure, size_t max, bool all)
{
	autofree unsigned char *wanted = xcalloc(closure->nr, 1);
	autofree unsigned char *seen = xcalloc(closure->nr, 1);
	autoplan plan = PLAN_INIT;

	closure_mark(closure, 0, wanted);
	if (all)
		memset(wanted, 1, closure->nr);
	plan_make(&plan, closure, wanted, max);
	need(plan.nr <= max);
	for (size_t i = 0; i < plan.nr; i++) {
		need(plan.layers[i].nr);
		for (size_t j = 0; j < plan.layers[i].nr; j++) {
			size_t path = plan.layers[i].paths[j];

			need(path < closure->nr && wanted[path] && !seen[path]);
			seen[path] = 1;
		}
	}
	need(!memcmp(seen, wanted, closure->nr));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static const size_t layers[] = { 1, 2, 3, 10, 100 };
	autojson *json = fuzz_json(data, size);
	autoclosure closure = CLOSURE_INIT;
	struct err err = ERR_INIT;

	if (!json)
		return 0;
	if (closure_read(&closure, json, &err)) {
		fuzz_need_error(&err);
		return 0;
	}
	for (size_t i = 0; i < closure.nr; i++)
		check_path(&closure, i);
	check_round_trip(&closure);
	for (size_t i = 0; closure.nr && i < ARRAY_SIZE(layers); i++) {
		check_plan(&closure, layers[i], false);
		check_plan(&closure, layers[i], true);
	}
	return 0;
}
