// SPDX-License-Identifier: MIT
#include "common/sourceinput.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "common/imageconfig.h"
#include "common/plan.h"
#include "common/strbuf.h"

#include "common/banned.h"

struct layer_input *source_add_input(struct source *source,
				     enum layer_kind kind,
				     const struct tar_options *options)
{
	struct layer_input *input;

	source->inputs = xreallocarray(source->inputs, source->nr + 1,
				       sizeof(*source->inputs));
	input = &source->inputs[source->nr++];
	*input = (struct layer_input){ .kind = kind, .options = *options };
	input->options.uname = xstrdup(options->uname);
	input->options.gname = xstrdup(options->gname);
	return input;
}

void layer_input_add_path(struct layer_input *input, const char *path,
			  const struct closure_path *in)
{
	input->paths = xreallocarray(input->paths, input->nr_paths + 1,
				     sizeof(*input->paths));
	input->paths[input->nr_paths++] =
		(struct layer_path){ .path = xstrdup(path),
				     .nar_hash = xstrdup(in->nar_hash),
				     .nar_size = in->nar_size };
}

char *layer_comment(const char *text, const char *const *names, size_t nr)
{
	autostrbuf out = STRBUF_INIT;

	strbuf_addf(&out, "%s: [", text);
	for (size_t i = 0; i < nr; i++) {
		if (i)
			strbuf_addstr(&out, ", ");
		imageconfig_format_repr(&out, names[i]);
	}
	strbuf_addch(&out, ']');
	return strbuf_detach(&out, NULL);
}

void layer_input_comment(struct layer_input *input, const char *text)
{
	autofree const char **names =
		xcalloc(input->nr_paths + 1, sizeof(*names));

	for (size_t i = 0; i < input->nr_paths; i++)
		names[i] = input->paths[i].path;
	input->comment = layer_comment(text, names, input->nr_paths);
}

void source_add_planned(struct source *source, const struct closure *closure,
			const unsigned char *wanted, size_t max_layers,
			const struct tar_options *options)
{
	autoplan plan = PLAN_INIT;

	plan_make(&plan, closure, wanted, max_layers);
	for (size_t i = 0; i < plan.nr; i++) {
		struct layer_input *input =
			source_add_input(source, LAYER_STORE_PATHS, options);

		for (size_t j = 0; j < plan.layers[i].nr; j++) {
			const struct closure_path *path =
				&closure->paths[plan.layers[i].paths[j]];

			layer_input_add_path(input, path->path, path);
		}
		layer_input_comment(input, "store paths");
	}
	source->plan_version = PLAN_VERSION;
}

int source_own_config(const struct source *source, const struct layer *layers,
		      struct strbuf *out, struct err *err)
{
	strbuf_addstr(out, source->data);
	return 0;
}

void source_free_own_config(struct source *source)
{
	free(source->data);
}
