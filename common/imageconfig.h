// SPDX-License-Identifier: MIT
#ifndef COMMON_IMAGECONFIG_H
#define COMMON_IMAGECONFIG_H

#include <stddef.h>

#include "common/layer.h"
#include "common/strbuf.h"

struct json_object;

/*
 * The image config (image-spec, config.md), byte for byte as nixpkgs'
 * dockerTools writes it: its digest is the image ID, which is then that of
 * `$(nix build …) | docker load`.
 */
struct imageconfig {
	const char *created; /* ISO 8601, of the image and of each layer */
	const char *architecture;
	const char *variant; /* of the architecture, or NULL */
	const char *os;
	struct json_object *config; /* an object, or NULL for null */
};

/*
 * Append the image config of nr layers, whose history comments are those of
 * their inputs.
 */
void imageconfig_format(struct strbuf *out, const struct imageconfig *image,
			const struct layer_input *inputs,
			const struct layer *layers, size_t nr);

/*
 * Take over the environment of a base image: into config's Env goes base's,
 * then its own; of a name that is set twice the first place and the last
 * value. config and base are objects or NULL, for null; *merged is a new
 * object or NULL. ERR_MALFORMED if an Env is not an array of strings; the
 * names are for that message.
 */
MUST_CHECK int imageconfig_merge(struct json_object **merged,
				 struct json_object *config,
				 const char *config_name,
				 struct json_object *base,
				 const char *base_name, struct err *err);

/* Append a value as Python's json.dumps(value, indent=4) writes it. */
void imageconfig_format_json(struct strbuf *out, struct json_object *json);

/* Append a string as Python's repr() writes it, '…'. */
void imageconfig_format_repr(struct strbuf *out, const char *s);

#endif
