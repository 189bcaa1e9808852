// SPDX-License-Identifier: MIT
#ifndef COMMON_GIT_H
#define COMMON_GIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/reference.h"
#include "common/strbuf.h"

/*
 * What a git repository holds, by `git ls-remote`: refs and the commits that
 * they name. git alone says what is fresh and whether a host is there; Nix
 * would answer out of its cache.
 */

#define GIT_HASH_SIZE 65 /* hex digits of SHA-1 or SHA-256, and the NUL */

struct git_ref {
	char *name;		  /* "refs/heads/main" */
	char hash[GIT_HASH_SIZE]; /* of the commit, a tag peeled */
};

struct git_refs {
	struct git_ref *refs; /* branches and tags, in git's order */
	size_t nr;
	char *head_name;	  /* "refs/heads/main", or NULL */
	char head[GIT_HASH_SIZE]; /* of HEAD, or "" */
};

#define GIT_REFS_INIT                                                          \
	{                                                                      \
		.refs = NULL                                                   \
	}

void git_refs_release(struct git_refs *refs);
#define autorefs __attribute__((cleanup(git_refs_release))) struct git_refs

/*
 * Append what `git ls-remote --symref URL` prints. env is the environment,
 * NULL for spawn_environment(). ERR_UPSTREAM, with the end of what git said,
 * when it fails or does not answer within timeout_ms.
 */
MUST_CHECK int git_ls_remote(const char *url, char *const *env,
			     int64_t timeout_ms, struct strbuf *out,
			     struct err *err);

/* Parse that. ERR_MALFORMED names the line. */
MUST_CHECK int git_refs_parse(struct git_refs *refs, const char *text,
			      size_t len, struct err *err);

/*
 * The ref that an image's tag means: the git tag of that name, else the
 * branch, else the only one whose name is the tag when every character that
 * a tag cannot hold is written '-'. ERR_UNKNOWN names the nearest, or the
 * two that it could be. *found points into refs.
 */
MUST_CHECK int git_refs_find(const struct git_refs *refs, const struct tag *tag,
			     const struct git_ref **found, struct err *err);

/* The ref of that name, short ("main") or full; NULL if there is none. */
const struct git_ref *git_refs_named(const struct git_refs *refs,
				     const char *name);

/* A ref whose commit is hash; NULL if it is at no tip. */
const struct git_ref *git_refs_of_commit(const struct git_refs *refs,
					 const char *hash);

/* How a ref's name is written as a tag; -1 if it cannot be. */
int git_tag_of(const char *ref_name, struct tag *tag);

/*
 * Have a commit that is at no tip in the bare repository at the absolute
 * path, which is made if it is not there, under refs/flakehub/HASH; alone, or
 * with all those before it. ERR_UNKNOWN if there is no such commit at url.
 */
MUST_CHECK int git_fetch_commit(const char *path, const char *url,
				const char *hash, bool alone, char *const *env,
				int64_t timeout_ms, struct err *err);

/*
 * The top of the git work tree that an absolute path lies in, and in prefix
 * the path below it ("" or "sub/dir"). ERR_UNKNOWN if it is in none.
 */
MUST_CHECK int git_top_level(const char *path, struct strbuf *top,
			     struct strbuf *prefix, struct err *err);

/*
 * Of the repository that an absolute path lies in: the folder that all its
 * work trees share, "/a/.git", and the top of the work tree, "" where there is
 * none. Both absolute, appended. -1 where it lies in no repository.
 */
MUST_CHECK int git_folders(const char *path, struct strbuf *common,
			   struct strbuf *top, struct err *err);

#endif
