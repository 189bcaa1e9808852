// SPDX-License-Identifier: MIT
#ifndef COMMON_CREDENTIALS_H
#define COMMON_CREDENTIALS_H

#include "common/cache.h"
#include "common/settings.h"

/*
 * What git and Nix are given for one private flake, and for no other: a netrc
 * file, by a home folder of this process's own in which it is .netrc, or an
 * ssh key, by GIT_SSH_COMMAND. Which of the two the file is, its first line
 * says. User and password of the flake's URL are written to such a netrc
 * file, too: in a command's arguments every user of the host could read them.
 * All these are learned, to be masked (common/secret.h).
 */
struct credentials {
	char **env;	   /* the environment for git and Nix; NULL: ours */
	const char *netrc; /* for Nix's netrc-file, or NULL; the settings' */
	char *home;	   /* that folder, or NULL */
	char *own_netrc;   /* written there for the URL's password, or NULL */
};

#define CREDENTIALS_INIT                                                       \
	{                                                                      \
		.env = NULL                                                    \
	}

/* ERR_REFUSED if the file cannot be read or is neither. */
MUST_CHECK int credentials_open(struct credentials *credentials,
				const struct cache *cache,
				const struct flake_settings *flake,
				struct err *err);

/* Could the flake's file be opened, by this user? ERR_REFUSED if not. */
MUST_CHECK int credentials_check(const struct flake_settings *flake,
				 struct err *err);

/* Removes the folder. */
void credentials_release(struct credentials *credentials);
#define autocredentials                                                        \
	__attribute__((cleanup(credentials_release))) struct credentials

#endif
