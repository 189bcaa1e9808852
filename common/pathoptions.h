// SPDX-License-Identifier: MIT
#ifndef COMMON_PATHOPTIONS_H
#define COMMON_PATHOPTIONS_H

#include <stdbool.h>

#include "common/err.h"
#include "common/strbuf.h"
#include "common/tar.h"

struct json_object;
struct pattern_budget;

/*
 * What nix2container does to the files of a store path on their way into a
 * layer: rewrite their names, set their owners and modes.
 */
struct path_options;

/*
 * Read them from the `options` of a path, which name is for messages of.
 * ERR_REFUSED for what is not done here: a key, or an expression. The budget
 * is that of the layer, and lives as long as they do.
 */
MUST_CHECK int path_options_new(struct path_options **options,
				struct json_object *json,
				struct pattern_budget *budget, const char *name,
				struct err *err);
void path_options_free(struct path_options *options);

/* NULL is options that change nothing, here and below. */
bool path_options_same_perms(const struct path_options *a,
			     const struct path_options *b);

/* Append the name that a file has in the image; nothing to leave it out. */
MUST_CHECK int path_options_rewrite(const struct path_options *options,
				    const char *path, struct strbuf *name,
				    struct err *err);

/* Set owner and mode of the file at path where they say so. */
MUST_CHECK int path_options_apply(const struct path_options *options,
				  const char *path, struct tar_options *owner,
				  mode_t *mode, struct err *err);

#endif
