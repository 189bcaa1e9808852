// SPDX-License-Identifier: MIT
#ifndef COMMON_TREE_H
#define COMMON_TREE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

/*
 * A tree is what stands at one store path, walked in pre-order: a directory
 * before what is in it, siblings sorted by name. The order is that of the
 * names alone. Symlinks are given, never followed. Memory holds the names of
 * one chain of directories, and a few of their descriptors.
 */

enum tree_type {
	TREE_FILE,
	TREE_SYMLINK,
	TREE_DIRECTORY,
};

/* By which siblings are sorted. */
enum tree_order {
	TREE_BY_CHARACTERS, /* as utf8_compare() */
	TREE_BY_BYTES,
};

enum tree_read {
	TREE_WHOLE,	 /* everything of an entry */
	TREE_NAMES_ONLY, /* its path and type */
};

struct tree_entry {
	enum tree_type type;
	const char *path; /* the tree's own path, and below it */
	size_t path_len;
	const char *name; /* the last component of path */
	/* If TREE_WHOLE: */
	mode_t mode;	    /* bits 07777 */
	uint64_t size;	    /* of a file, bytes */
	const char *target; /* of a symlink */
	int fd;		    /* of a file, open for reading; the tree's */
};

struct tree;

/* Walk what store_open() finds at path. */
struct tree *tree_new(const char *path, enum tree_order order,
		      enum tree_read read);
void tree_free(struct tree *tree);
void cleanup_tree(struct tree **tree);
#define autotree __attribute__((cleanup(cleanup_tree))) struct tree

/*
 * The next entry, valid until the next call: 1, 0 at the end, or -1 and an
 * error that names the path. What is none of the three types is malformed.
 */
MUST_CHECK int tree_next(struct tree *tree, const struct tree_entry **entry,
			 struct err *err);

/* Do not enter the directory that tree_next() gave last. */
void tree_skip(struct tree *tree);

#endif
