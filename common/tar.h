// SPDX-License-Identifier: MIT
#ifndef COMMON_TAR_H
#define COMMON_TAR_H

#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/strbuf.h"

/*
 * Tar bytes, exactly as a reference writer makes them. A dialect is one such
 * writer: Python's tarfile as nixpkgs' dockerTools uses it, or Go's archive/tar
 * as nix2container uses it; tests/golden/ holds what they made. Nothing here
 * reads a file: names and numbers go in, header bytes come out.
 *
 * A tar is, for each entry, tar_header(), a file's bytes and tar_padding()
 * zeros; then tar_end() zeros.
 */

#define TAR_BLOCK 512

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

enum tar_type {
	TAR_FILE,
	TAR_SYMLINK,
	TAR_DIRECTORY,
};

struct tar_entry {
	enum tar_type type;
	mode_t mode;	    /* of it, the bits 07777; not of a symlink */
	mode_t link_mode;   /* of a symlink; 0 is 0777 */
	uint64_t size;	    /* of a file, bytes */
	const char *name;   /* absolute, without a trailing slash */
	const char *target; /* of a symlink */
};

/* Append the entry's header, after a pax header where it needs one. */
void tar_header(struct strbuf *out, const struct tar_options *options,
		const struct tar_entry *entry);

/* How many zeros follow a file of that size. */
size_t tar_padding(uint64_t size);

/* How many zeros end a tar whose entries have that many bytes in all. */
size_t tar_end(enum tar_dialect dialect, uint64_t size);

#endif
