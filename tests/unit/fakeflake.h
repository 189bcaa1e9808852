// SPDX-License-Identifier: MIT
#ifndef TESTS_UNIT_FAKEFLAKE_H
#define TESTS_UNIT_FAKEFLAKE_H

#include "common/cache.h"
#include "common/image.h"
#include "common/imagework.h"
#include "common/settings.h"

/*
 * A flake of which nix, nix-store and git tell what a test has them say, a
 * store with what it builds, and a cache. At first it has one package of one
 * file, at the revision FAKE_REV, which is main and HEAD.
 */

#define FAKE_REV    "0123456789abcdef0123456789abcdef01234567"
#define FAKE_SYSTEM "x86_64-linux"
#define FAKE_HASH   "00000000000000000000000000000000"
#define FAKE_OUTPUT "/nix/store/" FAKE_HASH "-hello"
#define FAKE_DRV    FAKE_OUTPUT ".drv"
#define FAKE_URL    "git+https://example.org/infra"

struct fakeflake {
	char *dir, *store;
	struct cache cache;
	struct settings settings;
	struct repository_name name;
	struct image_build build; /* of name; its reference is set by ask */
	struct reference reference;
};

/* Settings of the test's own come before the flake's; "" for none. */
void fakeflake_init(struct fakeflake *f, const char *settings);
void fakeflake_release(struct fakeflake *f);

/*
 * What they say, each once a question; the text goes to stdout:
 *   refs              of git ls-remote
 *   metadata          of nix flake metadata
 *   probe.SYSTEM      of nix eval, asked for an output in packages
 *   names             of nix eval for legacyPackages
 *   again.SYSTEM      of nix eval, asked for a derivation that is known
 *   closure.NAME      of nix path-info, of that path's name
 *   output.NAME       the store path that a derivation of that name gives
 *   verify            of nix-store --verify-path
 */
void fakeflake_says(const struct fakeflake *f, const char *what,
		    const char *text);
/* It goes to stderr instead, and the status is 1. */
void fakeflake_fails(const struct fakeflake *f, const char *what,
		     const char *text);

/* A package: its tree in the store, derivation and closure. */
void fakeflake_add(const struct fakeflake *f, const char *system,
		   const char *name, const char *content);
/* The file of the package, as the store has it. */
void fakeflake_write(const struct fakeflake *f, const char *name,
		     const char *content);

/* How often were these words in what programs were run with? Forget that. */
size_t fakeflake_asked(const struct fakeflake *f, const char *words);
void fakeflake_forget(const struct fakeflake *f);

/* image_build() of a tag, or of the digest of a manifest. */
MUST_CHECK int fakeflake_build(struct fakeflake *f, const char *reference,
			       struct image_head *head, struct err *err);
/* The same; the test fails unless it is built, or fails so and says that. */
void fakeflake_build_ok(struct fakeflake *f, const char *reference,
			struct image_head *head);
void fakeflake_build_fails(struct fakeflake *f, const char *reference,
			   enum err_code code, const char *says);

/*
 * Read the record of an image, and write it with one text in place of
 * another, which must be there.
 */
void fakeflake_forge(const struct fakeflake *f, const struct image_head *head,
		     const char *text, const char *with);
void fakeflake_record(const struct fakeflake *f, const struct image_head *head,
		      struct record *record);

/* Unlink a blob. */
void fakeflake_lose(const struct fakeflake *f, const struct digest *digest);

#endif
