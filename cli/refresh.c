// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/command.h"
#include "common/alloc.h"
#include "common/cache.h"
#include "common/catalog.h"

#include "common/banned.h"

/* All flakes, or the one of that name; the first error is told at the end. */
static int refresh(const struct settings *settings, const char *name,
		   struct err *err)
{
	autocache cache = CACHE_INIT;
	bool found = false;
	int rc = 0;

	/* The web server, another user, reads the cache. */
	umask(022);
	if (cache_open(&cache, settings->cache_dir, CACHE_WRITE, err))
		return -1;
	for (size_t i = 0; i < settings->nr_flakes; i++) {
		const struct flake_settings *flake = &settings->flakes[i];
		struct err failed;

		if (name && strcmp(flake->name, name))
			continue;
		found = true;
		if (!catalog_refresh(&cache, settings, flake, &failed) || rc)
			continue;
		*err = failed;
		rc = -1;
	}
	if (name && !found)
		return err_set(err, ERR_UNKNOWN,
			       "the settings have no [flake %s]", name);
	return rc;
}

static int run(const struct invocation *invocation)
{
	autosettings settings = { 0 };
	struct err err = ERR_INIT;
	int rc = command_settings(invocation, &settings);

	if (rc)
		return rc;
	if (refresh(&settings, invocation->nr_args ? invocation->args[0] : NULL,
		    &err))
		return command_fail(&err);
	return EXIT_DONE;
}

const struct command command_refresh = {
	.name = "refresh",
	.arguments = "[FLAKE]",
	.summary = "Ask git and Nix anew which tags and images there are.",
	.help = "FLAKE is the name of a section of the settings, \"\" for the\n"
		"unnamed one; without it, all are asked.",
	.min_args = 0,
	.max_args = 1,
	.run = run,
};
