// SPDX-License-Identifier: MIT
#include "tests/unit/scratch.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/strbuf.h"

#include "common/banned.h"

static void die(const char *path)
{
	perror(path);
	abort();
}

char *scratch_make(void)
{
	char *path = xstrdup("/tmp/flakehub-unit.XXXXXX");

	if (!mkdtemp(path))
		die(path);
	return path;
}

static int open_up(const char *path, const struct stat *st, int type,
		   struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (type == FTW_D || type == FTW_DNR)
		chmod(path, 0700);
	return 0;
}

static int drop(const char *path, const struct stat *st, int type,
		struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void scratch_remove(char *path)
{
	nftw(path, open_up, 16, FTW_PHYS);
	if (nftw(path, drop, 16, FTW_PHYS | FTW_DEPTH))
		die(path);
	free(path);
}

void scratch_mkdir(const char *path)
{
	autofree char *copy = xstrdup(path);

	for (char *p = copy + 1; (p = strchr(p, '/')); *p++ = '/') {
		*p = 0;
		mkdir(copy, 0755);
	}
	mkdir(copy, 0755);
	if (access(copy, F_OK))
		die(copy);
}

void scratch_write(const char *path, const void *data, unsigned long len)
{
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write_all(fd, data, len))
		die(path);
}
