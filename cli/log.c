// SPDX-License-Identifier: MIT
#include "common/log.h"

#include <stdio.h>

#include "cli/command.h"
#include "common/alloc.h"
#include "common/cache.h"
#include "common/limits.h"

#include "common/banned.h"

static int print_log(const char *text, struct settings *settings,
		     struct err *err)
{
	autostrbuf raw = STRBUF_INIT, clean = STRBUF_INIT;
	autocache cache = CACHE_INIT;
	struct repository_name name;
	struct reference reference;
	struct digest build;
	autoclose int fd = -1;

	if (image_name_parse(&name, &reference, text, err) < 0 ||
	    cache_open(&cache, settings->cache_dir, CACHE_READ, err) < 0)
		return -1;
	build_key(&name, &reference, &build);
	fd = cache_open_log(&cache, &build, err);
	if (fd < 0 && err->code == ERR_UNKNOWN)
		return err_set(err, ERR_UNKNOWN, "%s was never built here",
			       text);
	/* The limit bounds the writer; some may follow its last check. */
	if (fd < 0 || strbuf_read(&raw, fd, 2 * BUILD_LOG_MAX, "log", err) < 0)
		return -1;
	/* What a flake prints must not drive somebody's terminal. */
	text_clean(&clean, raw.buf, raw.len);
	fwrite(clean.buf, 1, clean.len, stdout);
	return 0;
}

static int run(const struct invocation *invocation)
{
	autosettings settings = { 0 };
	struct err err = ERR_INIT;
	int rc = command_settings(invocation, &settings);

	if (rc)
		return rc;
	if (print_log(invocation->args[0], &settings, &err) < 0)
		return command_fail(&err);
	return EXIT_DONE;
}

const struct command command_log = {
	.name = "log",
	.arguments = "NAME[:TAG]",
	.summary = "Print the whole log of an image's last build.",
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
