// SPDX-License-Identifier: MIT
#ifndef CLI_PRIVATE_H
#define CLI_PRIVATE_H

#include <stddef.h>

#include "common/err.h"

/*
 * A folder for one run, which no other user can enter: in XDG_RUNTIME_DIR,
 * else in /tmp.
 */

/* Make it; *path is the caller's to free. */
MUST_CHECK int private_make(char **path, struct err *err);

/* Write a file into it; *path, its own, is the caller's to free. */
MUST_CHECK int private_write(const char *folder, const char *name,
			     const char *text, size_t len, char **path,
			     struct err *err);

/* Make a listening unix socket in it, returned; *path as above. */
MUST_CHECK int private_listen(const char *folder, const char *name, char **path,
			      struct err *err);

/* Remove it with all that is in it. */
void private_remove(const char *folder);

#endif
