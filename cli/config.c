// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cli/command.h"
#include "common/alloc.h"
#include "common/confine.h"
#include "common/credentials.h"

#include "common/banned.h"

enum {
	CHECK,
	DEFAULTS,
};

static const struct command_option options[] = {
	{ 0, "check", NULL, "say whether the settings are good" },
	{ 0, "defaults", NULL, "print all settings with their defaults" },
	{ 0, NULL, NULL, NULL },
};

static int print_defaults(void)
{
	autostrbuf out = STRBUF_INIT;

	settings_format_defaults(&out);
	fwrite(out.buf, 1, out.len, stdout);
	return EXIT_DONE;
}

static bool has_password(const struct settings *settings)
{
	for (size_t i = 0; i < settings->nr_flakes; i++)
		if (settings->flakes[i].login.user)
			return true;
	return false;
}

/* What is no mistake, and worth a word. */
static void warn(const struct settings *settings, const char *path)
{
	struct err err = ERR_INIT;
	struct stat st;

	if (has_password(settings) && !stat(path, &st) && st.st_mode & S_IROTH)
		fprintf(stderr,
			"flakehub: warning: there is a password in %s, which "
			"every user of this host may read\n",
			path);
	if (settings->sandbox_eval && confine_try(&err))
		fprintf(stderr,
			"flakehub: warning: sandbox-eval = yes, and bubblewrap "
			"does not %s: %s\n",
			err.code == ERR_REFUSED
				? "work here, so flakes are evaluated without "
				  "it"
				: "start right now, so no flake is evaluated",
			err.msg);
}

static int check(const struct invocation *invocation)
{
	autosettings settings = { 0 };
	autofree char *path = NULL;
	struct err err = ERR_INIT;

	if (settings_load(&settings, invocation->config, &path, &err) < 0) {
		command_fail(&err);
		return err.code == ERR_MALFORMED ? EXIT_USAGE : EXIT_FAILED;
	}
	for (size_t i = 0; i < settings.nr_flakes; i++)
		if (credentials_check(&settings.flakes[i], &err)) {
			err_wrap(&err, "[flake%s%s]",
				 *settings.flakes[i].name ? " " : "",
				 settings.flakes[i].name);
			return command_fail(&err);
		}
	printf("%s: good, %zu flake%s\n", path, settings.nr_flakes,
	       settings.nr_flakes == 1 ? "" : "s");
	warn(&settings, path);
	return EXIT_DONE;
}

static int run(const struct invocation *invocation)
{
	if (!invocation->values[CHECK] == !invocation->values[DEFAULTS])
		return command_usage(invocation->command,
				     "one of --check and --defaults");
	if (invocation->values[DEFAULTS])
		return print_defaults();
	return check(invocation);
}

const struct command command_config = {
	.name = "config",
	.arguments = "",
	.summary = "Check the settings, or print what can be set.",
	.options = options,
	.run = run,
};
