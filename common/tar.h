// SPDX-License-Identifier: MIT
#ifndef COMMON_TAR_H
#define COMMON_TAR_H

#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

/*
 * Tar bytes, exactly as a reference writer makes them. A dialect is one such
 * writer: Python's tarfile as nixpkgs' dockerTools uses it (FORMATS.md §3), or
 * Go's archive/tar as nix2container uses it (§4). Nothing here reads a file:
 * names and numbers go in, header bytes come out.
 */

enum tar_dialect {
	TAR_DOCKERTOOLS,
	TAR_NIX2CONTAINER,
};

/* What a layer's entries have in common. Strings are the owner's. */
struct tar_options {
	enum tar_dialect dialect;
	mode_t nix_mode; /* of /nix and /nix/store: 0755, 0555 for old confs */
	int64_t mtime;	 /* seconds since 1970 */
	uint64_t uid, gid;
	const char *uname, *gname;
};

#endif
