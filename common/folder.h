// SPDX-License-Identifier: MIT
#ifndef COMMON_FOLDER_H
#define COMMON_FOLDER_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

/*
 * The names in a folder of the cache, read at once: what is done with them
 * may add to the folder and remove from it. Names that begin with a dot are
 * nobody's and left out.
 */
struct folder {
	char **names;
	size_t nr;
};

#define FOLDER_INIT                                                            \
	{                                                                      \
		.names = NULL, .nr = 0                                         \
	}

void folder_release(struct folder *folder);
#define autofolder __attribute__((cleanup(folder_release))) struct folder

/* A folder that is not there is empty. path is below the cache. */
MUST_CHECK int folder_read(struct folder *folder, int cache, const char *path,
			   struct err *err);

/*
 * readdir(3): 1, 0 at the end, or -1 and errno. A folder of which a part
 * cannot be read is none that ends there.
 */
MUST_CHECK int folder_next(DIR *dir, const struct dirent **entry);

#endif
