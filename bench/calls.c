// SPDX-License-Identifier: MIT
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/banned.h"

/*
 * Linked as `nix` and `nix-store` into the first folder of PATH, this runs the
 * program of that name from the rest of PATH, and adds a line to the file
 * `calls` in that folder: milliseconds, words. Where that may only be read, in
 * bubblewrap, it is the file `calls` in $HOME.
 */

extern char **environ;

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void add_line(const char *folder, int folder_len, int64_t us,
		     char **argv)
{
	const char *home = getenv("HOME");
	char line[512], path[4096];
	size_t len =
		(size_t)snprintf(line, sizeof(line), "%.3f", (double)us / 1000);
	int fd;

	for (; *argv && len < 300; argv++)
		len += (size_t)snprintf(line + len, sizeof(line) - len,
					" %.100s", *argv);
	for (char *p = line; (p = strchr(p, '\n'));)
		*p = ' '; /* functions for nix eval */
	line[len++] = '\n';
	snprintf(path, sizeof(path), "%.*s/calls", folder_len, folder);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0 && errno == EROFS && home) {
		snprintf(path, sizeof(path), "%s/calls", home);
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
			  0644);
	}
	if (fd < 0 || write(fd, line, len) != (ssize_t)len)
		err(1, "%s", path);
	close(fd);
}

int main(int argc, char **argv)
{
	char *path = getenv("PATH");
	const char *name = strrchr(argv[0], '/');
	size_t first = path ? strcspn(path, ":") : 0;
	int64_t started = now_us();
	char real[4096];
	int status;
	pid_t pid;

	name = name ? name + 1 : argv[0];
	if (!path || !path[first] || argc < 1)
		errx(1, "PATH has one folder at most");
	/* What the builder asks of nix, its end with the builder's, goes on. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	for (const char *p = path + first + 1;; p++) {
		size_t len = strcspn(p, ":");

		snprintf(real, sizeof(real), "%.*s/%s", (int)len, p, name);
		if (!access(real, X_OK))
			break;
		p += len;
		if (!*p)
			errx(127, "no %s on PATH", name);
	}
	errno = posix_spawn(&pid, real, NULL, NULL, argv, environ);
	if (errno)
		err(126, "%s", real);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			err(1, "wait");
	add_line(path, (int)first, now_us() - started, argv + 1);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
