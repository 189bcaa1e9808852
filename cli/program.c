// SPDX-License-Identifier: MIT
#include "cli/program.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"

#include "common/banned.h"

/* Where Debian has web servers, which is not on everybody's PATH. */
#define SBIN "/usr/local/sbin:/usr/sbin:/sbin"

static char *search(const char *folders, const char *name)
{
	while (folders && *folders) {
		size_t len = strcspn(folders, ":");
		autofree char *path =
			xasprintf("%.*s/%s", (int)len, folders, name);

		if (path[0] == '/' && !access(path, X_OK))
			return steal_ptr(&path);
		folders += len + (folders[len] == ':');
	}
	return NULL;
}

int program_find(const char *name, char **path, struct err *err)
{
	*path = search(getenv("PATH"), name);
	if (!*path)
		*path = search(SBIN, name);
	if (!*path)
		return err_set(err, ERR_REFUSED,
			       "there is no program %s on this machine's PATH",
			       name);
	return 0;
}

int program_find_own(const char *name, char **path, struct err *err)
{
	autofree char *beside = NULL;
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return err_errno(err, "cannot read /proc/self/exe");
	self[n] = 0;
	*strrchr(self, '/') = 0;
	beside = xasprintf("%s/%s", self, name);
	if (access(beside, X_OK))
		return program_find(name, path, err);
	*path = steal_ptr(&beside);
	return 0;
}
