// SPDX-License-Identifier: MIT
#ifndef COMMON_PROBE_H
#define COMMON_PROBE_H

#include <stddef.h>

#include "common/err.h"

struct json_object;

/*
 * A probe is what one evaluation says of a derivation before anything is
 * built: which derivation to realise, and what the package calls itself.
 * Where dockerTools' streamLayeredImage or buildLayeredImage made it, that is
 * the derivation of its conf, so that neither script nor tarball is ever
 * built. An attribute that is missing, throws or has another type is NULL.
 */
struct probe {
	/* Below the attribute: "conf", "stream.conf", or "" for itself. */
	char *part;
	char *drv_path;
	char *output; /* of the derivation: "out" */
	char *name;   /* "hello-2.12" */
	char *pname;  /* "hello"; from name if need be */
	char *version;
	char *main_program;
	char *description;
	char *homepage;
	char *licenses; /* SPDX expression, as far as Nix knows them */
	/*
	 * Of a composition: the store paths of the packages that the output
	 * refers to, which make the image without it. Of two files of one
	 * name the first path's is visible. NULL: the output is the package.
	 */
	char **roots;
	size_t nr_roots;
};

#define PROBE_INIT                                                             \
	{                                                                      \
		.part = NULL                                                   \
	}

void probe_release(struct probe *probe);

/*
 * A Nix function: of a derivation, to what probe_read() reads. It forces
 * nothing that may throw but the drvPath of what is to be realised.
 */
extern const char probe_function[];

MUST_CHECK int probe_read(struct probe *probe, struct json_object *json,
			  struct err *err);

/*
 * The annotations of a package's manifest (image-spec, annotations.md), an
 * object of strings for the caller to put, or NULL if there are none.
 */
struct json_object *probe_annotations(const struct probe *probe);

#endif
