// SPDX-License-Identifier: MIT
#include "cli/command.h"

#include "common/banned.h"

static const struct command_option options[] = {
	{ 'H', "host", "HOST", "address to listen on (127.0.0.1)" },
	{ 'p', "port", "PORT", "port to listen on (5000)" },
	{ 'c', "cache-dir", "DIR", "where images are kept" },
	{ 'd', "debug", NULL, "say more" },
	{ 0, NULL, NULL, NULL },
};

static int run(const struct invocation *invocation)
{
	struct err err = ERR_INIT;

	err_set(&err, ERR_REFUSED, "serve is not written yet");
	return command_fail(&err);
}

const struct command command_serve = {
	.name = "serve",
	.arguments = "FLAKE",
	.summary = "Serve a flake's images, without settings, until Ctrl-C.",
	.min_args = 1,
	.max_args = 1,
	.options = options,
	.run = run,
};
