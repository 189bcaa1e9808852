// SPDX-License-Identifier: MIT
#ifndef COMMON_CATALOG_H
#define COMMON_CATALOG_H

#include <stddef.h>

#include "common/cache.h"
#include "common/settings.h"

/*
 * What there is to pull: the tags of a repository, the repositories of the
 * flakes. Both are kept in the cache, so that a listing asks neither git nor
 * Nix; catalog_refresh() brings them up to date.
 */

struct name_list {
	char **names; /* sorted by bytes, none twice */
	size_t nr;
};

#define NAME_LIST_INIT                                                         \
	{                                                                      \
		.names = NULL                                                  \
	}

void name_list_release(struct name_list *list);
#define autonames __attribute__((cleanup(name_list_release))) struct name_list

/*
 * The tags of the flake's repositories: latest, and git's branches and tags
 * as git_tag_of() writes them; the ambiguous are left out. *asked is when git
 * was asked, in seconds since 1970. ERR_UNKNOWN if that is not known yet.
 */
MUST_CHECK int catalog_tags(const struct cache *cache,
			    const struct flake_settings *flake,
			    struct name_list *tags, int64_t *asked,
			    struct err *err);

/*
 * The repository names of all flakes whose names are known; *asked is when
 * the oldest of them was asked for, 0 if one never was.
 */
MUST_CHECK int catalog_names(const struct cache *cache,
			     const struct settings *settings,
			     struct name_list *names, int64_t *asked,
			     struct err *err);

/* Is a package of that name among those known of the flake? 1, 0, or -1 if
 * nothing is known. A name with a slash is taken to be there. */
int catalog_has(const struct cache *cache, const struct flake_settings *flake,
		const char *attribute);

/* Ask git for the refs of a flake. */
MUST_CHECK int catalog_refresh_tags(const struct cache *cache,
				    const struct settings *settings,
				    const struct flake_settings *flake,
				    struct err *err);

/*
 * Ask git for the refs of a flake, and Nix for the names of its packages if
 * its source is another than when they were last asked for.
 */
MUST_CHECK int catalog_refresh(const struct cache *cache,
			       const struct settings *settings,
			       const struct flake_settings *flake,
			       struct err *err);

#endif
