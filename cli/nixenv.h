// SPDX-License-Identifier: MIT
#ifndef CLI_NIXENV_H
#define CLI_NIXENV_H

/*
 * Nix where nobody set it up: root's machine after `apt install nix-bin`,
 * with no nix.conf, no daemon and no word about Nix in the environment. It
 * is then run single-user, by the environment of one run; a Nix that was set
 * up is left alone.
 */

/* NIX_CONFIG's value for such a machine, the caller's to free; else NULL. */
char *nixenv_single_user(void);

#endif
