// SPDX-License-Identifier: MIT
#ifndef COMMON_LOCKCHECK_H
#define COMMON_LOCKCHECK_H

#include "common/err.h"

struct json_object;

/*
 * Is every input of a flake from elsewhere than this host? locks is what
 * flake.lock holds, as `nix flake metadata` prints it. An input that is a
 * folder or a file of this host, or a name that only a registry knows, is
 * ERR_REFUSED, by its name in the lock file. A path below the flake itself is
 * none of these.
 */
MUST_CHECK int lockcheck_inputs(struct json_object *locks, struct err *err);

#endif
