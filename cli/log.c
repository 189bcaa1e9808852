// SPDX-License-Identifier: MIT
#include "common/log.h"

#include <stdio.h>

#include "cli/command.h"
#include "common/alloc.h"
#include "common/cache.h"
#include "common/limits.h"

#include "common/banned.h"

static int print_log(const struct settings *settings,
		     const struct repository_name *name,
		     const struct reference *reference, struct err *err)
{
	autostrbuf raw = STRBUF_INIT, clean = STRBUF_INIT;
	autocache cache = CACHE_INIT;
	char text[REFERENCE_STR_SIZE];
	struct digest build;
	autoclose int fd = -1;

	if (cache_open(&cache, settings->cache_dir, CACHE_READ, err) < 0)
		return -1;
	build_key(name, reference, &build);
	fd = cache_open_log(&cache, &build, err);
	if (fd < 0 && err->code == ERR_UNKNOWN)
		return err_set(err, ERR_UNKNOWN, "%s%c%s was never built here",
			       name->text, reference->is_digest ? '@' : ':',
			       reference_str(reference, text));
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
	struct repository_name name;
	struct reference reference;
	struct err err = ERR_INIT;
	int rc = command_image(invocation, &name, &reference, &settings);

	if (rc)
		return rc;
	if (print_log(&settings, &name, &reference, &err) < 0)
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
