// SPDX-License-Identifier: MIT
/*
 * plan MAX-LAYERS: read a closure as `nix path-info --json --recursive`
 * prints it from stdin, plan all its paths and print each layer, from the
 * bottom up, as a line of store paths.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/plan.h"

#include "common/banned.h"

static int read_closure(struct closure *closure, struct err *err)
{
	autojson *json = NULL;

	if (json_read(&json, STDIN_FILENO, NIX_CLOSURE_MAX, "stdin", err))
		return -1;
	return closure_read(closure, json, err);
}

static void print(const struct closure *closure, const struct plan *plan)
{
	for (size_t i = 0; i < plan->nr; i++)
		for (size_t j = 0; j < plan->layers[i].nr; j++)
			printf("%s%c",
			       closure->paths[plan->layers[i].paths[j]].path,
			       j + 1 < plan->layers[i].nr ? ' ' : '\n');
}

int main(int argc, char **argv)
{
	autoclosure closure = CLOSURE_INIT;
	autoplan plan = PLAN_INIT;
	autofree unsigned char *wanted = NULL;
	struct err err = ERR_INIT;
	size_t max_layers = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;

	if (!max_layers) {
		fprintf(stderr, "usage: plan MAX-LAYERS\n");
		return 2;
	}
	if (read_closure(&closure, &err)) {
		fprintf(stderr, "plan: %s\n", err.msg);
		return 1;
	}
	wanted = xcalloc(closure.nr, 1);
	memset(wanted, 1, closure.nr);
	plan_make(&plan, &closure, wanted, max_layers);
	print(&closure, &plan);
	return 0;
}
