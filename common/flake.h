// SPDX-License-Identifier: MIT
#ifndef COMMON_FLAKE_H
#define COMMON_FLAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/nix.h"
#include "common/pin.h"
#include "common/probe.h"
#include "common/settings.h"

/*
 * What a flake's outputs are called, at one state of its source.
 */

/* What an attribute path is in one system, by one evaluation. */
struct flake_output {
	/* Of what is realised: "packages.x86_64-linux.hello". */
	char *attribute_path;
	struct probe probe;
};

void flake_output_release(struct flake_output *output);
#define autooutput                                                             \
	__attribute__((cleanup(flake_output_release))) struct flake_output
#define FLAKE_OUTPUT_INIT                                                      \
	{                                                                      \
		.attribute_path = NULL                                         \
	}

/*
 * Find attribute (a repository name's components, "" for default) among the
 * flake's packages of system, then among its legacyPackages, and instantiate
 * it. Where none matches exactly, the only one does that matches when case
 * is ignored. ERR_UNKNOWN names the nearest attributes; flake_name is what it
 * calls the flake: "flake blog".
 */
MUST_CHECK int flake_find_output(struct nix *nix, const struct flake_pin *pin,
				 const char *flake_name, const char *system,
				 const char *attribute,
				 struct flake_output *output, struct err *err);

/*
 * What is there and no derivation, by Nix's name for its type; "no drvPath"
 * and "no outPath" are of a set that only calls itself one.
 */
const char *flake_type_text(const char *type);

/*
 * The names of the flake's packages of system, sorted; *nr of them. The
 * caller frees each and the array.
 */
MUST_CHECK int flake_list_names(struct nix *nix, const struct flake_pin *pin,
				const char *system, char ***names, size_t *nr,
				struct err *err);

/*
 * What an image is a function of, as far as a request can tell before Nix is
 * asked: the revision, or source and locks where there is none; attribute,
 * system, and the settings that its bytes depend on. One flake alone is
 * meant: records of others are not looked at.
 */
void flake_identity(const struct flake_pin *pin, const char *system,
		    const char *attribute, const struct image_settings *image,
		    struct digest *identity);

#endif
