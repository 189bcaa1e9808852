// SPDX-License-Identifier: MIT
#ifndef COMMON_STORE_H
#define COMMON_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

struct stat;
struct strbuf;

/*
 * The Nix store, read only. A store path is /nix/store/HASH-name; what is
 * below one is a file of it. The store's files may lie in another folder
 * than their names say, as in a test.
 */

#define STORE_DIR "/nix/store"

/* The folder that STORE_DIR's files lie in; set once, before any thread. */
void store_set_real_dir(const char *dir);

/* Does the path lie in the store: STORE_DIR/NAME or below, without ".."? */
bool store_has_path(const char *path);

/* How many characters of such a path are the store path that it lies in. */
size_t store_path_len(const char *path);

/*
 * Open a path in the store, following no symlink; flags are those of
 * open(2), O_CLOEXEC and O_NOFOLLOW are added. A path that is not in the
 * store is opened as it stands. Returns a descriptor, or -1: ERR_UNKNOWN
 * names a path that is not there, such as one that vanished.
 */
MUST_CHECK int store_open(const char *path, int flags, struct err *err);

/*
 * Replace path, which is in the store, by what it leads to: through symlinks,
 * those on the way too, and "..", as the kernel goes in an image that has the
 * whole store. path is then a name without any; *st is of what is there.
 * ERR_UNKNOWN if nothing is, ERR_REFUSED if it leads out of the store or
 * around. path and *st are of no use after an error.
 */
MUST_CHECK int store_follow(struct strbuf *path, struct stat *st,
			    struct err *err);

#endif
