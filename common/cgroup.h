// SPDX-License-Identifier: MIT
#ifndef COMMON_CGROUP_H
#define COMMON_CGROUP_H

#include <stdint.h>

#include "common/err.h"

/*
 * A cgroup of this process's own below the one that it is in (cgroups(7)),
 * in which there may be so many processes and threads: what a build forks is
 * counted, whatever user or session it is in. Only a user to whom the cgroup
 * was given may make one; for a unit of systemd there is TasksMax besides.
 */
struct cgroup {
	char *path, *parent; /* NULL: none was made */
};

#define CGROUP_INIT                                                            \
	{                                                                      \
		.path = NULL                                                   \
	}

/*
 * Make it and enter it, and remove those of earlier processes that are empty.
 * For a process of one thread, which the others are started by.
 * ERR_SYSTEM where that is not for us to do: nothing has changed then, and the
 * caller may go on without.
 */
int cgroup_enter(struct cgroup *cgroup, int64_t max_processes, struct err *err);

/*
 * The folder of the cgroup that a process is in, of which text is
 * /proc/PID/cgroup, and is cut up: "8:pids:/a" is of version 1, else "0::/a"
 * of version 2. NULL if it is neither; the caller frees it.
 */
char *cgroup_find(char *text);

/* Leave and remove it. */
void cgroup_release(struct cgroup *cgroup);
#define autocgroup __attribute__((cleanup(cgroup_release))) struct cgroup

#endif
