// SPDX-License-Identifier: MIT
#ifndef COMMON_CONFINE_H
#define COMMON_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cache.h"
#include "common/credentials.h"
#include "common/err.h"
#include "common/settings.h"

/*
 * What the evaluation of a flake can see of this host, when sandbox-eval is
 * set: the store, programs, what a network needs, a home folder of the
 * flake's own, and of the flake its mirror, its folder and its credentials.
 * bubblewrap shows these and hides all else. Evaluation fetches the flake's
 * inputs, too, and an input may name any file that Nix can read.
 */
struct confine {
	const struct cache *cache;
	const struct settings *settings;
	const struct flake_settings *flake;
	const struct credentials *credentials;
	char **words; /* "bwrap … --", made when needed */
	size_t nr, alloc;
	bool prepared, works;
	char *why; /* it does not work; NULL where it does */
};

#define CONFINE_INIT                                                           \
	{                                                                      \
		.words = NULL                                                  \
	}

/* Keeps the pointers. Nothing is run or made. */
void confine_init(struct confine *confine, const struct cache *cache,
		  const struct settings *settings,
		  const struct flake_settings *flake,
		  const struct credentials *credentials);
void confine_release(struct confine *confine);
#define autoconfine __attribute__((cleanup(confine_release))) struct confine

/*
 * The words before a command, *nr of them; NULL where it is known that they
 * do not work. -1 if they cannot be made now, on a full disk say: then nothing
 * is to be evaluated. They need a lifeline (common/spawn.h): when it ends, all
 * in there is killed.
 *
 * bubblewrap's --die-with-parent does not do that. Of its two processes the
 * inner one asks for its death signal last of all, so if the outer one has
 * gone by then, it evaluates on; or it waits for a word of the outer one's,
 * for ever (0.8, tried). For the same reason no death signal may end that one.
 */
MUST_CHECK int confine_words(struct confine *confine, char *const **words,
			     size_t *nr, struct err *err);

/*
 * Do the words work? For who ran a command with them that failed. A program
 * that does nothing tells, since a flake can make Nix print what bubblewrap
 * prints. 1: they do. 0: bubblewrap is not there or not permitted on this
 * host; confine->why says so, a warning is logged, and there are no words from
 * then on. -1: it does not start now, but may at another time (common/bwrap.h).
 */
MUST_CHECK int confine_works(struct confine *confine, struct err *err);

/* A command with the words has succeeded: they need no trial any more. */
void confine_worked(struct confine *confine);

/*
 * Does bubblewrap work here? For who starts: without a flake, and without a
 * word of it in the log. 0, or -1 and err says why not: ERR_REFUSED where it
 * never will, as bwrap_try().
 */
MUST_CHECK int confine_try(struct err *err);

#endif
