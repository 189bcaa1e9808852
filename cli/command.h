// SPDX-License-Identifier: MIT
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stddef.h>

#include "common/err.h"
#include "common/reference.h"
#include "common/settings.h"

/*
 * A subcommand of `flakehub`: a row that its file defines and main.c lists.
 * The row feeds the parsing of the command line, the usage line and --help.
 * Exit status: 0 done, 1 failed with one line on stderr, 2 wrong usage or
 * malformed settings, likewise with one line.
 */

enum {
	EXIT_DONE,
	EXIT_FAILED,
	EXIT_USAGE,
};

struct command_option {
	char letter; /* 'p', or 0 for none */
	const char *name;
	const char *argument; /* what it is called in --help; NULL for none */
	const char *text;
};

#define COMMAND_OPTIONS_MAX 8

/* A command line that was parsed. */
struct invocation {
	const struct command *command;
	const char *config; /* of --config, or NULL */
	/*
	 * Of the command's options, in the order of its table: the argument,
	 * or "" if it has none; NULL if it was not given.
	 */
	const char *values[COMMAND_OPTIONS_MAX];
	char **args;
	size_t nr_args;
};

struct command {
	const char *name;
	const char *arguments; /* "NAME[:TAG]", as in the usage line */
	const char *summary;   /* in the list of commands */
	const char *help;      /* more text for --help, or NULL */
	size_t min_args, max_args;
	const struct command_option *options; /* until a name is NULL; NULL */
	int (*run)(const struct invocation *invocation);
};

extern const struct command command_build;
extern const struct command command_config;
extern const struct command command_gc;
extern const struct command command_inspect;
extern const struct command command_list;
extern const struct command command_log;
extern const struct command command_refresh;
extern const struct command command_run_task;
extern const struct command command_serve;
extern const struct command command_verify;

/* Print "flakehub: message" on stderr, on one line; returns EXIT_FAILED. */
int command_fail(const struct err *err);

/* One line that says what is wrong and what is right; returns EXIT_USAGE. */
int command_usage(const struct command *command, const char *format, ...)
	PRINTF_LIKE(2, 3);

/* Print what --help says: the row, its options and those common to all. */
void command_help(const struct command *command,
		  const struct command_option *common);

/*
 * Load the settings that --config, FLAKEHUB_CONFIG or the default name.
 * Returns EXIT_DONE, or prints the error and returns what to exit with.
 */
MUST_CHECK int command_settings(const struct invocation *invocation,
				struct settings *settings);

/* The same, after the image that the first argument names. */
MUST_CHECK int command_image(const struct invocation *invocation,
			     struct repository_name *name,
			     struct reference *reference,
			     struct settings *settings);

#endif
