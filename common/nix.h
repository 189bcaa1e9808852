// SPDX-License-Identifier: MIT
#ifndef COMMON_NIX_H
#define COMMON_NIX_H

#include <stdbool.h>
#include <stdint.h>

#include "common/closure.h"
#include "common/err.h"
#include "common/strbuf.h"

struct confine;
struct json_object;
struct settings;

/*
 * Nix, by commands whose output is understood of every version from 2.8 on: a
 * flake reference in, JSON or store paths out. All that Nix says on stderr
 * goes to the build's log; when it fails, the end of that is the error.
 */
struct nix {
	/* Told of what Nix writes to stderr, as it comes; may be NULL. */
	void (*on_stderr)(void *arg, const char *data, size_t len);
	void *arg;
	int64_t deadline_ms; /* CLOCK_MONOTONIC; < 0 for none */
	bool import_from_derivation;
	/* Where flakes are evaluated; NULL: as any program is run. */
	struct confine *confine;
	bool host_files; /* a flake's inputs may be files of this host */
	/* Bytes and seconds; 0 for none. */
	int64_t eval_memory, max_silent_time, max_build_log_size;
	char *const *env;   /* NULL: spawn_environment() */
	const char *netrc;  /* for its own downloads, or NULL */
	struct strbuf tail; /* of stderr, of the command under way */
};

#define NIX_INIT                                                               \
	{                                                                      \
		.on_stderr = NULL, .arg = NULL, .deadline_ms = -1,             \
		.import_from_derivation = false, .host_files = true,           \
		.tail = STRBUF_INIT                                            \
	}

/*
 * Its limits, and what flakes may do, as the settings have them. The tokens in
 * NIX_CONFIG are learned (common/secret.h).
 */
void nix_configure(struct nix *nix, const struct settings *settings);
void nix_release(struct nix *nix);
#define autonix __attribute__((cleanup(nix_release))) struct nix

/*
 * `nix flake metadata --json`: what a flake reference is right now. *json is
 * the caller's to put. No lock file is written.
 */
MUST_CHECK int nix_flake_metadata(struct nix *nix, const char *url,
				  struct json_object **json, struct err *err);

/*
 * `nix eval --json INSTALLABLE --apply FUNCTION`. Instantiates what the
 * function asks the drvPath of. *json is the caller's to put. ERR_NIX.
 */
MUST_CHECK int nix_eval(struct nix *nix, const char *installable,
			const char *function, struct json_object **json,
			struct err *err);

/* Append s as a Nix string: quoted, with what must be escaped escaped. */
void nix_quote(struct strbuf *out, const char *s);

/*
 * Build an output of a derivation, or fetch a store path, and make root (an
 * absolute path) a GC root of it. The store path is appended to *path. A
 * root that is there is replaced. ERR_NIX, without a word to Nix, where
 * drv_path is no derivation in the store.
 */
MUST_CHECK int nix_realise_output(struct nix *nix, const char *drv_path,
				  const char *output, const char *root,
				  struct strbuf *path, struct err *err);
MUST_CHECK int nix_realise_path(struct nix *nix, const char *store_path,
				const char *root, struct err *err);

/* Read them all and compare with what they were: ERR_NIX names the others. */
MUST_CHECK int nix_verify_paths(struct nix *nix, const struct closure *closure,
				struct err *err);

/* The closure of a store path that is there. */
MUST_CHECK int nix_closure(struct nix *nix, const char *store_path,
			   struct closure *closure, struct err *err);

#endif
