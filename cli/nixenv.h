// SPDX-License-Identifier: MIT
#ifndef CLI_NIXENV_H
#define CLI_NIXENV_H

/*
 * Nix where nobody set it up: root's machine after `apt install nix-bin`,
 * with no nix.conf, no daemon and no word about Nix in the environment. It
 * is then run single-user, by the environment of one run; a Nix that was set
 * up is left alone.
 */
#include "common/err.h"

/*
 * *config becomes NIX_CONFIG's value for such a machine, the caller's to free;
 * else NULL. There only root can run Nix, unless the store is the user's or is
 * yet to be made: else that is the error.
 */
MUST_CHECK int nixenv_single_user(char **config, struct err *err);

#endif
