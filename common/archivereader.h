// SPDX-License-Identifier: MIT
#ifndef COMMON_ARCHIVEREADER_H
#define COMMON_ARCHIVEREADER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

struct archive;
struct archive_entry;

/*
 * An archive that is being read from its start, by libarchive: the headers of
 * its members in their order, or what is compressed in it. For archive.c.
 */
struct archive_reader {
	struct archive *a;
	const char *file; /* for messages; borrowed */
	int fd;		  /* borrowed */
	char *piece;	  /* what was read last */
	size_t left;	  /* bytes that may be read for a header */
	bool header_too_long;
	bool compressed;
	bool too_much;	/* memory is asked for */
	struct xz *xz;	/* of what is in xz, else NULL */
	uint64_t nr_in; /* bytes that were read */
};

#define ARCHIVE_READER_INIT                                                    \
	{                                                                      \
		.a = NULL, .file = NULL, .fd = -1, .piece = NULL               \
	}

enum archive_member_type {
	MEMBER_FILE,
	MEMBER_SYMLINK,
	MEMBER_HARDLINK,
	MEMBER_SPARSE,
	MEMBER_OTHER,
};

/* What an archive's header says of a member. */
struct archive_member {
	char *name;   /* as archive_name() gives it */
	char *target; /* of a link: the member it leads to, or NULL */
	enum archive_member_type type;
	uint64_t offset, size; /* of its bytes in the tar */
};

/*
 * Read fd from its start: as a tar that is not compressed or, if raw, as bytes,
 * without a compression that is known. The reader stays where it is until it
 * is released, and fd open.
 */
MUST_CHECK int archive_reader_open(struct archive_reader *reader,
				   const char *file, int fd, bool raw,
				   struct err *err);
void archive_reader_release(struct archive_reader *reader);
#define autoarchivereader                                                      \
	__attribute__((cleanup(archive_reader_release))) struct archive_reader

/*
 * The next member, in place of the one in *member; the folder that all others
 * are in is passed over. 1 if there is one, 0 at the end, or -1: a name that
 * is absolute or has a "..", or a header of more than ARCHIVE_HEADER_MAX, is
 * ERR_MALFORMED.
 */
MUST_CHECK int archive_reader_next(struct archive_reader *reader,
				   struct archive_member *member,
				   struct err *err);
void archive_member_release(struct archive_member *member);
#define autoarchivemember                                                      \
	__attribute__((cleanup(archive_member_release))) struct archive_member

/* The error that libarchive tells of. Returns -1. */
int archive_reader_error(const struct archive_reader *reader, struct err *err);

/*
 * A name as it is compared: without "." components, double and trailing
 * slashes. NULL if it is absolute, has a "..", or nothing is left; the folder
 * dir that a symlink is in may be put before it, and ".." then goes up from
 * there. The caller frees it.
 */
char *archive_name(const char *dir, const char *name);

#endif
