// SPDX-License-Identifier: MIT
#ifndef COMMON_FLAKEREF_H
#define COMMON_FLAKEREF_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "common/strbuf.h"

/*
 * A flake reference as the settings have it, taken apart as far as needed to
 * ask git what it holds and to name one revision of it for Nix (nix3-flake,
 * "Flake references").
 */

enum flakeref_kind {
	FLAKEREF_FOLDER,  /* an absolute path: a git work tree, or not */
	FLAKEREF_PATH,	  /* path: a folder as it stands, git or not */
	FLAKEREF_GIT,	  /* git: and git+…: */
	FLAKEREF_FORGE,	  /* github: gitlab: sourcehut: */
	FLAKEREF_TARBALL, /* http: https: file: */
};

struct flakeref {
	enum flakeref_kind kind;
	char *base;	 /* without query, and without a forge's ref or rev */
	char *clone_url; /* for git; NULL where git has no part in it */
	char *params; /* what of the query stays: "dir=…&host=…", or "" */
	char *ref;    /* that the reference asks for, or NULL */
	char *rev;    /* that it is pinned to, 40 hex digits, or NULL */
};

void flakeref_release(struct flakeref *ref);
#define autoflakeref __attribute__((cleanup(flakeref_release))) struct flakeref
#define FLAKEREF_INIT                                                          \
	{                                                                      \
		.kind = FLAKEREF_FOLDER                                        \
	}

/*
 * Parse a reference. ERR_MALFORMED says what is wrong with it and what there
 * is instead, never the reference itself: it may hold a password.
 */
MUST_CHECK int flakeref_parse(struct flakeref *ref, const char *text,
			      struct err *err);

/*
 * Append the reference of one revision, for Nix: "github:o/r/HEX",
 * "git+URL?ref=refs/heads/main&rev=HEX". git_ref is the full name of a git
 * ref that holds it. Only of FLAKEREF_GIT and FLAKEREF_FORGE.
 */
void flakeref_pin(struct strbuf *out, const struct flakeref *ref,
		  const char *git_ref, const char *rev);

/* Is it 40 lowercase hex digits, a commit as Nix and the registry name it? */
bool is_revision(const char *s);

/*
 * Take user and password out of a reference by http or https, which would
 * stand in the process list otherwise. Decoded, the caller's to free; NULL,
 * and the text as it was, where there are none. ERR_MALFORMED if they cannot
 * be written to a netrc file.
 */
struct login {
	char *host, *user, *password;
};
MUST_CHECK int flakeref_take_login(char *text, struct login *login,
				   struct err *err);
void login_release(struct login *login);

/*
 * Does Nix take an absolute path as it stands for a flake's? What has another
 * character in it can be named as git+file: alone, encoded, and then means
 * the last commit.
 */
bool flakeref_is_plain_path(const char *path);

/* Append s with all but unreserved characters and '/' percent-encoded. */
void url_encode(struct strbuf *out, const char *s);

/*
 * len bytes with their escapes decoded, the caller's to free; NULL where one
 * is broken or is a NUL.
 */
char *url_decode(const char *s, size_t len);

#endif
