// SPDX-License-Identifier: MIT
#include "common/bwrap.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/spawn.h"
#include "common/strbuf.h"

#include "common/banned.h"

/* For a program that does nothing. */
#define TRY_MS 10000

/* On no folder of PATH. What cannot be looked at may be there. */
static bool is_missing(void)
{
	const char *p = getenv("PATH");

	if (!p)
		return false;
	for (size_t len; *p; p += len + (p[len] == ':')) {
		autofree char *path = NULL;

		len = strcspn(p, ":");
		path = xasprintf("%.*s/bwrap", (int)len, p);
		if (!access(path, F_OK) ||
		    (errno != ENOENT && errno != ENOTDIR && errno != EACCES))
			return false;
	}
	return true;
}

/* It is so on hosts that allow a user none at all. */
static bool is_limit_zero(void)
{
	static const char *const files[] = {
		"/proc/sys/user/max_user_namespaces",
		"/proc/sys/user/max_mnt_namespaces",
		"/proc/sys/user/max_pid_namespaces",
		"/proc/sys/user/max_ipc_namespaces",
		"/proc/sys/user/max_uts_namespaces",
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		autoclose int fd = open(files[i], O_RDONLY | O_CLOEXEC);
		char text[2] = "";

		if (fd >= 0 && read(fd, text, 2) == 2 && text[0] == '0' &&
		    text[1] == '\n')
			return true;
	}
	return false;
}

/*
 * What bubblewrap 0.4 to 0.11 says where the kernel, its settings or a policy
 * (of a container, AppArmor, SELinux) permit no namespaces, or no mounts in
 * them. All else counts as a thing of the moment.
 */
static bool is_forbidden(const char *said)
{
	static const char *const patterns[] = {
		"bwrap: No permissions to creat*",
		"bwrap: *does not support user namespaces*",
		"bwrap: Unexpected capabilities but not setuid*",
		"bwrap: *: Operation not permitted",
		"bwrap: *: Function not implemented",
		/* Of a file this may be but a mode. */
		"bwrap: *namespace*: Permission denied",
		"bwrap: setting up ?id map: Permission denied",
		"bwrap: *[Mm]ount *: Permission denied",
		"bwrap: *make * slave: Permission denied",
		"bwrap: pivot_root*: Permission denied",
	};

	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++)
		if (!fnmatch(patterns[i], said, 0))
			return true;
	/* Also if all are in use, by a build that hoards them, say. */
	return !fnmatch("bwrap: *namespace* exceeded (ENOSPC)", said, 0) &&
	       is_limit_zero();
}

static int explain(const struct strbuf *said, int status, struct err *err)
{
	autostrbuf clean = STRBUF_INIT;

	text_clean(&clean, said->buf, strcspn(said->buf, "\n"));
	if (WIFSIGNALED(status))
		return err_set(err, ERR_SYSTEM, "bwrap was killed by signal %d",
			       WTERMSIG(status));
	return err_set(err, is_forbidden(clean.buf) ? ERR_REFUSED : ERR_SYSTEM,
		       "%s", clean.len ? clean.buf : "bwrap failed");
}

int bwrap_try(char *const *words, size_t nr, struct err *err)
{
	autofree const char **argv = xcalloc(nr + 4, sizeof(*argv));
	struct spawn_run run = {
		.argv = argv,
		.timeout_ms = TRY_MS,
		.both = true,
		.out_max = SMALL_FILE_MAX,
		.lifeline = true,
	};
	autostrbuf said = STRBUF_INIT;
	int status;

	if (is_missing())
		return err_set(err, ERR_REFUSED, "bwrap is not on PATH");
	for (size_t i = 0; i < nr; i++)
		argv[i] = words[i];
	argv[nr++] = "/bin/sh";
	argv[nr++] = "-c";
	argv[nr] = ":";
	if (spawn_run(&run, &said, &status, err))
		return -1;
	return status ? explain(&said, status, err) : 0;
}
