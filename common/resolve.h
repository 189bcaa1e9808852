// SPDX-License-Identifier: MIT
#ifndef COMMON_RESOLVE_H
#define COMMON_RESOLVE_H

#include "common/cache.h"
#include "common/git.h"
#include "common/nix.h"
#include "common/pin.h"
#include "common/settings.h"

/*
 * From a tag to a pin: which state of the flake's source an image's tag means
 * now. git is asked wherever there is a repository; Nix only for folders and
 * tarballs.
 */
struct resolve {
	const struct settings *settings;
	const struct cache *cache; /* writable: refs and mirrors are kept */
	const struct flake_settings *flake;
	struct nix *nix;
	char *const *env; /* for git, or NULL */
	/*
	 * CLOCK_REALTIME: what git was asked since then need not be asked
	 * again. 0: since the call.
	 */
	int64_t since_ms;
};

/*
 * Resolve a tag: latest, a revision, a git tag, a git branch. ERR_UNKNOWN if
 * it is none of them, ERR_UPSTREAM if the flake's host does not answer.
 */
MUST_CHECK int resolve_tag(const struct resolve *resolve, const struct tag *tag,
			   struct flake_pin *pin, struct err *err);

/*
 * 0 if the tag means one revision for ever, whoever is asked: a revision
 * itself, or latest of a flake whose URL pins one. Else -1.
 */
int resolve_fixed(const struct flake_settings *flake, const struct tag *tag,
		  char revision[GIT_HASH_SIZE]);

/*
 * The refs that the flake's repository has now; none for a flake without
 * one. They are kept in the cache for cache_get_refs().
 */
MUST_CHECK int resolve_refs(const struct resolve *resolve,
			    struct git_refs *refs, struct err *err);

#endif
