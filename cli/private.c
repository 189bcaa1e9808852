// SPDX-License-Identifier: MIT
#include "cli/private.h"

#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/strbuf.h"

#include "common/banned.h"

#define TEMPLATE     "/flakehub.XXXXXX"
/* For the name of a socket in it: sun_path is short. */
#define NAME_MAX_LEN 16

static char *make_below(const char *parent)
{
	autofree char *path = NULL;

	if (!parent || parent[0] != '/' ||
	    strlen(parent) + sizeof(TEMPLATE) + NAME_MAX_LEN >
		    sizeof(((struct sockaddr_un *)0)->sun_path))
		return NULL;
	path = xasprintf("%s" TEMPLATE, parent);
	return mkdtemp(path) ? steal_ptr(&path) : NULL;
}

int private_make(char **path, struct err *err)
{
	*path = make_below(getenv("XDG_RUNTIME_DIR"));
	if (!*path)
		*path = make_below("/tmp");
	if (!*path)
		return err_errno(err, "cannot make a folder in /tmp");
	return 0;
}

int private_write(const char *folder, const char *name, const char *text,
		  size_t len, char **path, struct err *err)
{
	int fd;

	*path = xasprintf("%s/%s", folder, name);
	fd = open(*path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		  0600);
	if (fd < 0 || write_all(fd, text, len) < 0 || close(fd) < 0)
		return err_errno(err, "cannot write %s", *path);
	return 0;
}

int private_listen(const char *folder, const char *name, char **path,
		   struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*path = xasprintf("%s/%s", folder, name);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", *path);
	if (fd < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) ||
	    listen(fd, 1024))
		return err_errno(err, "cannot listen on %s", *path);
	return steal_fd(&fd);
}

void private_remove(const char *folder)
{
	autofree char *top = xstrdup(folder);
	char *paths[] = { top, NULL };
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	const FTSENT *entry;

	while (fts && (entry = fts_read(fts)))
		if (entry->fts_info != FTS_D)
			remove(entry->fts_accpath);
	if (fts)
		fts_close(fts);
}
