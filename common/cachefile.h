// SPDX-License-Identifier: MIT
#ifndef COMMON_CACHEFILE_H
#define COMMON_CACHEFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/strbuf.h"

/*
 * Files of the cache: opened without ever following a symlink, published
 * whole. Paths are relative to the cache's descriptor and made of parsed
 * names only. For the modules behind cache.h.
 */

/* openat(2) of a path of several components, none of which is a symlink. */
int open_beneath(int dirfd, const char *path, int flags);

/* Open the folder of path, making it and those above it if create. */
MUST_CHECK int cachefile_open_folder(int cache, const char *path, bool create,
				     struct err *err);

/*
 * Append the file at path. ERR_UNKNOWN if there is none, ERR_MALFORMED if it is
 * a folder.
 */
MUST_CHECK int cachefile_read(int cache, const char *path, size_t max,
			      struct strbuf *out, struct err *err);

enum cachefile_sync {
	/*
	 * It is on the disk before it has the name: after a crash there is
	 * what was, or this. That the name lasts is cache_sync()'s affair.
	 */
	CACHEFILE_SYNC,
	/* Whoever publishes what depends on it calls cache_sync() before. */
	CACHEFILE_NO_SYNC,
};

/* Remove a folder that is where a file should be, or move it to bad/. */
MUST_CHECK int cachefile_set_aside(int cache, const char *path,
				   struct err *err);

/* Put the file at path in place of what is there, whole. */
MUST_CHECK int cachefile_replace(int cache, const char *path, const void *data,
				 size_t len, enum cachefile_sync sync,
				 struct err *err);

/*
 * "tmp/", the prefix and a random number: a name that nobody else takes.
 * Process ids would not do: those of two containers over one cache are the
 * same. It is the caller's to free.
 */
char *cachefile_tmp_name(const char *prefix);

/* A file without a name, in folder: O_TMPFILE, else one in tmp/ at *tmp. */
MUST_CHECK int cachefile_create(int cache, mode_t mode, char **tmp,
				struct err *err);

/* Give it the name. That the name is taken is success. */
MUST_CHECK int cachefile_link(int cache, int fd, const char *tmp,
			      const char *path, struct err *err);

/*
 * Small records are lines of "key value", in the order of a table of their
 * fields; a line of its own, empty, ends them.
 */
enum field_kind {
	FIELD_DIGEST,	  /* struct digest, as "sha256:…" */
	FIELD_MEDIA_TYPE, /* enum media_type */
	FIELD_UINT,	  /* uint64_t */
	FIELD_INT,	  /* int64_t */
	FIELD_TEXT,	  /* char[size], no newline in it */
	FIELD_ERR_CODE,	  /* enum err_code */
};

struct field {
	const char *key;
	enum field_kind kind;
	size_t offset; /* in the struct */
	size_t size;   /* FIELD_TEXT */
};

void fields_format(struct strbuf *out, const struct field *fields, size_t nr,
		   const void *record);

/*
 * Every field must be there, in order. *used, unless NULL, is the length with
 * the empty line. name is for messages.
 */
MUST_CHECK int fields_parse(const struct field *fields, size_t nr, void *record,
			    const char *text, size_t len, size_t *used,
			    const char *name, struct err *err);

#endif
