// SPDX-License-Identifier: MIT
#include "fcgi/session.h"

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/banned.h"

#define PAUSES 10

/* Is anything left in there? A signal of 0 only asks. */
static bool signal_all(pid_t leader, int number)
{
	DIR *dir = opendir("/proc");
	const struct dirent *entry;
	bool found = false;

	while (dir && (entry = readdir(dir))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid > 0 && pid != leader && getsid(pid) == leader &&
		    !kill(pid, number))
			found = true;
	}
	if (dir)
		closedir(dir);
	return found;
}

void session_end(pid_t leader)
{
	const struct timespec pause = { .tv_nsec = 50000000 };
	bool is_left = signal_all(leader, SIGTERM);

	for (int i = 0; i < PAUSES && is_left; i++) {
		nanosleep(&pause, NULL);
		is_left = signal_all(leader, 0);
	}
	if (is_left)
		signal_all(leader, SIGKILL);
}
