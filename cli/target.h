// SPDX-License-Identifier: MIT
#ifndef CLI_TARGET_H
#define CLI_TARGET_H

#include "common/err.h"

/*
 * A flake as it is named on a command line: a folder, absolute or looked up
 * from where one is, or any reference that flakehub.conf(5) takes.
 */

/*
 * Turn it into the url of a settings file; the caller frees it. A folder is
 * given to Nix by its absolute path: inside a git repository Nix then takes
 * what git tracks, as it is in the work tree, and elsewhere the folder as it
 * is. ERR_UNKNOWN if there is no such folder, or no flake.nix in it;
 * ERR_MALFORMED if it is no reference.
 */
MUST_CHECK int target_url(const char *text, char **url, struct err *err);

#endif
