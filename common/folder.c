// SPDX-License-Identifier: MIT
#include "common/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cachefile.h"

#include "common/banned.h"

void folder_release(struct folder *folder)
{
	for (size_t i = 0; i < folder->nr; i++)
		free(folder->names[i]);
	free(folder->names);
	*folder = (struct folder)FOLDER_INIT;
}

int folder_next(DIR *dir, const struct dirent **entry)
{
	errno = 0;
	*entry = readdir(dir);
	return *entry ? 1 : errno ? -1 : 0;
}

int folder_read(struct folder *folder, int cache, const char *path,
		struct err *err)
{
	autoclose int fd = open_beneath(cache, path, O_RDONLY | O_DIRECTORY);
	const struct dirent *entry;
	size_t alloc = 0;
	DIR *dir;
	int rc;

	*folder = (struct folder)FOLDER_INIT;
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return err_errno(err, "cannot list %s in the cache", path);
	steal_fd(&fd);
	while ((rc = folder_next(dir, &entry)) > 0) {
		if (entry->d_name[0] == '.')
			continue;
		ALLOC_GROW(folder->names, folder->nr, alloc);
		folder->names[folder->nr++] = xstrdup(entry->d_name);
	}
	if (rc) {
		err_errno(err, "cannot list %s in the cache", path);
		folder_release(folder);
	}
	closedir(dir);
	return rc;
}
