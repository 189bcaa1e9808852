// SPDX-License-Identifier: MIT
#include "cli/nixenv.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/strbuf.h"

#include "common/banned.h"

/* Any of these, and somebody told Nix what to do. */
static const char *const variables[] = {
	"NIX_CONFIG",
	"NIX_REMOTE",
	"NIX_CONF_DIR",
	"NIX_USER_CONF_FILES",
	"NIX_DAEMON_SOCKET_PATH",
};
static const char *const files[] = {
	"/etc/nix/nix.conf",
	"/nix/var/nix/daemon-socket/socket",
};

static const char state[] = "/nix/var/nix";

static const char settings[] =
	"experimental-features = nix-command flakes\n"
	/* Builds run as root, in the sandbox, instead of as nixbld users. */
	"build-users-group =\n"
	"sandbox = true\n"
	"flake-registry =\n"
	/*
	 * The binary cache stays on, for who has the network. Without it Nix
	 * would try for long and then fail: so it gives up soon, and builds.
	 */
	"connect-timeout = 3\n"
	"download-attempts = 2\n"
	"fallback = true\n";

/* Has the user a nix.conf of their own? */
static bool has_user_file(void)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	autofree char *path = NULL;

	if (config && *config)
		path = xasprintf("%s/nix/nix.conf", config);
	else if (home)
		path = xasprintf("%s/.config/nix/nix.conf", home);
	return path && !access(path, F_OK);
}

static bool is_set_up(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		if (getenv(variables[i]))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (!access(files[i], F_OK))
			return true;
	return has_user_file();
}

/* Nix makes a store in the home folder where there is none at all. */
static bool is_others_store(void)
{
	return !access(state, F_OK) && access(state, R_OK | W_OK);
}

int nixenv_single_user(char **config, struct err *err)
{
	autostrbuf text = STRBUF_INIT;

	*config = NULL;
	if (is_set_up())
		return 0;
	if (geteuid() && is_others_store())
		return err_set(err, ERR_REFUSED,
			       "Nix is not set up here, and only root can run "
			       "it so: run this as root, or beside a "
			       "nix-daemon");
	if (geteuid())
		return 0;
	strbuf_addstr(&text, settings);
	/* Derivations that name /bin/sh find a static shell in the sandbox. */
	if (!access("/bin/busybox", X_OK))
		strbuf_addstr(&text, "sandbox-paths = /bin/sh=/bin/busybox\n");
	*config = strbuf_detach(&text, NULL);
	return 0;
}
