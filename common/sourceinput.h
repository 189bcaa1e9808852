// SPDX-License-Identifier: MIT
#ifndef COMMON_SOURCEINPUT_H
#define COMMON_SOURCEINPUT_H

#include "common/source.h"

/*
 * How a kind of source fills in its layer inputs.
 */

/*
 * One more input, above those that are there. It has its own copies of the
 * names in options. Valid until the next call.
 */
struct layer_input *source_add_input(struct source *source,
				     enum layer_kind kind,
				     const struct tar_options *options);

/* path: the path of the closure that in is, or one in it. */
void layer_input_add_path(struct layer_input *input, const char *path,
			  const struct closure_path *in);

/* "TEXT: ['a', 'b']", a Python list's text; the caller frees it. */
char *layer_comment(const char *text, const char *const *names, size_t nr);

/* That of the input's paths becomes its comment. */
void layer_input_comment(struct layer_input *input, const char *text);

/*
 * Layers of the paths of closure for which wanted[i] is not 0, as plan_make()
 * puts them together. Sets plan_version.
 */
void source_add_planned(struct source *source, const struct closure *closure,
			const unsigned char *wanted, size_t max_layers,
			const struct tar_options *options);

/*
 * A source_kind's config and release, where data is the text of the image
 * config, the output's own.
 */
MUST_CHECK int source_own_config(const struct source *source,
				 const struct layer *layers, struct strbuf *out,
				 struct err *err);
void source_free_own_config(struct source *source);

#endif
