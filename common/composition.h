// SPDX-License-Identifier: MIT
#ifndef COMMON_COMPOSITION_H
#define COMMON_COMPOSITION_H

#include "common/flake.h"

/*
 * A composition is one image of several packages of a flake, as Nixery has
 * it: HOST/NAME/bash/git where the flake's settings say compose = yes. Its
 * text has the names in canonical form, which is sorted, none twice, each
 * with a '+' before it: "+bash+git". No attribute begins so, for no
 * repository name has a '+' in it.
 *
 * The name "shell" stands for what one wants in a container to look around:
 * bashInteractive (or else bash) and coreutils, and of cacert, moreutils and
 * nano those that the flake has.
 */

/*
 * The composition that attribute, a repository name's components, asks for:
 * its text, which the caller frees. NULL if that is one package, as it would
 * be without compose; *one is its name then, and the caller's to free.
 */
char *composition_parse(const char *attribute, char **one);

/* Is the text of an attribute that of a composition? */
bool composition_is(const char *attribute);

/*
 * Evaluate a composition once: among the flake's packages of system, or else
 * all among its legacyPackages. What it gives is an output that refers to
 * the packages, with the probe's roots. ERR_UNKNOWN names each package that
 * is not there, with the nearest; ERR_REFUSED one that is an image.
 */
MUST_CHECK int composition_find(struct nix *nix, const struct flake_pin *pin,
				const char *flake_name, const char *system,
				const char *composition,
				struct flake_output *output, struct err *err);

/*
 * A Nix function, of the set of packages to the drvPath of the composition's
 * derivation; the caller frees it.
 */
char *composition_function(const char *composition);

#endif
