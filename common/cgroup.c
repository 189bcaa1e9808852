// SPDX-License-Identifier: MIT
#include "common/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/limits.h"
#include "common/strbuf.h"

#include "common/banned.h"

#define MOUNT  "/sys/fs/cgroup"
#define PREFIX "flakehub."

static int write_file(const char *folder, const char *name, const char *text)
{
	autofree char *path = xasprintf("%s/%s", folder, name);
	autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t len = (ssize_t)strlen(text), n;

	if (fd < 0)
		return -1;
	/* Half a number would be another, and each write is taken as one. */
	do {
		n = write(fd, text, (size_t)len);
	} while (n < 0 && errno == EINTR);
	return n == len ? 0 : -1;
}

char *cgroup_find(char *text)
{
	char *found = NULL;

	for (char *line = text, *next; *line; line = next) {
		char *path = strchr(line, '/');

		next = strchrnul(line, '\n');
		if (*next)
			*next++ = 0;
		if (!path || path > next)
			continue;
		if (strstr(line, ":pids:/")) {
			free(found);
			return xasprintf(MOUNT "/pids%s", path[1] ? path : "");
		}
		if (!strncmp(line, "0::/", 4))
			found = xasprintf(MOUNT "%s", path[1] ? path : "");
	}
	return found;
}

static char *find_own(void)
{
	autostrbuf text = STRBUF_INIT;
	autoclose int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
	struct err ignored;

	if (fd < 0 ||
	    strbuf_read(&text, fd, SMALL_FILE_MAX, "cgroup", &ignored))
		return NULL;
	return cgroup_find(text.buf);
}

/* The process that a cgroup of ours was made for may be about to enter it. */
static bool is_of_living(const char *name)
{
	long pid = strtol(name + strlen(PREFIX), NULL, 10);

	return pid > 0 && (!kill((pid_t)pid, 0) || errno != ESRCH);
}

/* One that has processes cannot be removed. */
static void sweep(const char *parent)
{
	DIR *dir = opendir(parent);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, PREFIX, strlen(PREFIX)) &&
		    !is_of_living(entry->d_name))
			unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
	if (dir)
		closedir(dir);
}

/*
 * Version 1 moves a thread by itself at once, and a whole process, which may
 * just be forking, after all processors have rested: 10 ms. There is one
 * thread when we come and when we go.
 */
static int move_to(const char *path)
{
	return write_file(path, "tasks", "0") &&
			       write_file(path, "cgroup.procs", "0")
		       ? -1
		       : 0;
}

static int enter(const char *path)
{
	if (!move_to(path))
		return 0;
	/* Below one that has processes of its own, as in have_pids(). */
	return write_file(path, "cgroup.type", "threaded") ? -1 : move_to(path);
}

/*
 * Version 2 counts processes where the parent says so. One that has processes
 * itself, as a service's, may say it when a cgroup below is threaded.
 */
static void have_pids(const char *parent, const char *path)
{
	autofree char *max = xasprintf("%s/pids.max", path);

	if (!access(max, F_OK) ||
	    !write_file(parent, "cgroup.subtree_control", "+pids") ||
	    write_file(path, "cgroup.type", "threaded"))
		return;
	/* If it fails there is no pids.max. */
	if (write_file(parent, "cgroup.subtree_control", "+pids"))
		return;
}

int cgroup_enter(struct cgroup *cgroup, int64_t max_processes, struct err *err)
{
	autofree char *parent = find_own();
	autofree char *path = NULL;
	char max[24];

	*cgroup = (struct cgroup)CGROUP_INIT;
	if (!parent)
		return err_set(err, ERR_SYSTEM, "there are no cgroups here");
	sweep(parent);
	path = xasprintf("%s/" PREFIX "%ld", parent, (long)getpid());
	if (mkdir(path, 0755) && errno != EEXIST)
		return err_errno(err, "cannot make the cgroup %s", path);
	have_pids(parent, path);
	snprintf(max, sizeof(max), "%" PRId64, max_processes);
	if (write_file(path, "pids.max", max) || enter(path)) {
		err_errno(err, "cannot use the cgroup %s", path);
		rmdir(path);
		return -1;
	}
	cgroup->path = steal_ptr(&path);
	cgroup->parent = steal_ptr(&parent);
	return 0;
}

void cgroup_release(struct cgroup *cgroup)
{
	/* What cannot be left is swept by the next one. */
	if (cgroup->path && !move_to(cgroup->parent))
		rmdir(cgroup->path);
	free(cgroup->path);
	free(cgroup->parent);
	*cgroup = (struct cgroup)CGROUP_INIT;
}
