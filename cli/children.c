// SPDX-License-Identifier: MIT
#include "cli/children.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"

#include "common/banned.h"

/* From SIGTERM to SIGKILL, and from that to giving up. */
#define TERM_MS 5000
#define KILL_MS 5000

struct process {
	pid_t pid, parent;
	bool is_ours;
};

struct table {
	struct process *p;
	size_t nr, alloc;
};

int children_adopt(struct err *err)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return err_errno(err, "cannot adopt what children leave");
	return 0;
}

/* proc(5): "PID (NAME) STATE PARENT …", where NAME may hold anything. */
static pid_t read_parent(const char *pid)
{
	autofree char *path = xasprintf("/proc/%s/stat", pid);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[512];
	const char *end;
	ssize_t n;

	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return -1;
	text[n] = 0;
	end = strrchr(text, ')');
	if (!end || strlen(end) < 5 || end[2] == 'Z')
		return -1;
	return (pid_t)strtol(end + 4, NULL, 10);
}

static void read_table(struct table *table)
{
	DIR *dir = opendir("/proc");
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		struct process *p;

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		ALLOC_GROW(table->p, table->nr, table->alloc);
		p = &table->p[table->nr];
		p->pid = (pid_t)strtol(entry->d_name, NULL, 10);
		p->parent = read_parent(entry->d_name);
		p->is_ours = p->parent == getpid();
		if (p->parent > 0)
			table->nr++;
	}
	if (dir)
		closedir(dir);
}

/* Mark the children of what is marked; returns whether there were any. */
static bool mark_children(struct table *table)
{
	bool found = false;

	for (size_t i = 0; i < table->nr; i++) {
		struct process *p = &table->p[i];

		for (size_t j = 0; !p->is_ours && j < table->nr; j++)
			if (table->p[j].is_ours && table->p[j].pid == p->parent)
				found = p->is_ours = true;
	}
	return found;
}

/* Send the signal to every living descendant. */
static void signal_all(int signal)
{
	struct table table = { .nr = 0 };

	read_table(&table);
	while (mark_children(&table))
		;
	for (size_t i = 0; i < table.nr; i++)
		if (table.p[i].is_ours)
			kill(table.p[i].pid, signal);
	free(table.p);
}

bool children_reap(void (*ended)(void *arg, pid_t pid, int status), void *arg)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid < 0 && errno == ECHILD)
			return false;
		if (pid <= 0)
			return true;
		ended(arg, pid, status);
	}
}

static void ignore(void *arg, pid_t pid, int status)
{
}

/* Has somebody asked again? */
static bool is_asked(int signals)
{
	struct signalfd_siginfo info;
	bool asked = false;

	while (read(signals, &info, sizeof(info)) == sizeof(info))
		asked |= info.ssi_signo != SIGCHLD;
	return asked;
}

void children_end(int signals)
{
	int64_t kill_at = clock_monotonic_ms() + TERM_MS, next = 0;

	/* Without children there are no descendants: we would have them. */
	while (children_reap(ignore, NULL)) {
		struct pollfd fd = { .fd = signals, .events = POLLIN };
		int64_t now = clock_monotonic_ms();
		bool late = now >= kill_at;

		if (now > kill_at + KILL_MS)
			return;
		/* Again and again: some may have been started meanwhile. */
		if (now >= next) {
			signal_all(late ? SIGKILL : SIGTERM);
			next = now + (late ? 50 : 1000);
		}
		poll(&fd, 1, 50);
		if (is_asked(signals) && !late)
			kill_at = next = now;
	}
}
