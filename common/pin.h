// SPDX-License-Identifier: MIT
#ifndef COMMON_PIN_H
#define COMMON_PIN_H

#include <stdbool.h>

#include "common/err.h"
#include "common/nix.h"

/*
 * A pin is a flake at one state of its source. All that follows is asked of
 * the pinned URL, so that a push in the middle of a build mixes nothing.
 */
struct flake_pin {
	char *url;	   /* names this source alone, for Nix */
	char revision[65]; /* commit in hex, or "" */
	/* Until pin_complete() these are NULL and false for a revision. */
	char *nar_hash;	    /* of the source, or its store path */
	char *locks;	    /* the flake's locks, compact JSON */
	bool reproducible;  /* another host, or this one later, gets the same */
	const char *reason; /* why not; static */
	bool moves;	    /* url names the folder, whatever is in it then */
};

#define FLAKE_PIN_INIT                                                         \
	{                                                                      \
		.url = NULL                                                    \
	}

void flake_pin_release(struct flake_pin *pin);
#define autopin __attribute__((cleanup(flake_pin_release))) struct flake_pin

/*
 * The pin of what `nix flake metadata --json` prints; without host_files an
 * input that is a file of this host is ERR_REFUSED (lockcheck.h).
 */
MUST_CHECK int pin_read(struct flake_pin *pin, struct json_object *metadata,
			bool host_files, struct err *err);

/* Ask Nix what the flake at url is now. The pin is complete. */
MUST_CHECK int pin_now(struct nix *nix, const char *url, struct flake_pin *pin,
		       struct err *err);

/* The pin of a revision, whose URL is the pin's to free. Asks nobody. */
void pin_revision(struct flake_pin *pin, char *url, const char *revision);

/* Ask Nix what it must be asked to know all of the pin. */
MUST_CHECK int pin_complete(struct nix *nix, struct flake_pin *pin,
			    struct err *err);

/*
 * The copy in the store that the pin's URL names, for the caller to free, or
 * NULL: Nix fetches any other source again should its collector take it.
 */
char *pin_store_path(const struct flake_pin *pin);

/* Does Nix say that it missed a file of that copy which is there? */
bool pin_is_back(const struct flake_pin *pin, const char *msg);

/*
 * After an evaluation: was it of the source that was pinned? ERR_BUSY if a
 * folder was changed meanwhile.
 */
MUST_CHECK int pin_check(struct nix *nix, const struct flake_pin *pin,
			 struct err *err);

#endif
