// SPDX-License-Identifier: MIT
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "common/alloc.h"

#include "common/banned.h"

static const struct command *const commands[] = {
	&command_serve,	   &command_build,  &command_list,   &command_inspect,
	&command_log,	   &command_gc,	    &command_verify, &command_refresh,
	&command_run_task, &command_config,
};

/* Of all commands, and of `flakehub` itself. */
static const struct command_option common[] = {
	{ 0, "config", "FILE", "settings to read (flakehub.conf(5))" },
	{ 'h', "help", NULL, "print this" },
	{ 0, "version", NULL, "print the version" },
	{ 0, NULL, NULL, NULL },
};

enum {
	COMMON_CONFIG,
	COMMON_HELP,
	COMMON_VERSION,
	COMMON_NR,
};

static void print_help(void)
{
	printf("usage: flakehub [--config FILE] COMMAND ...\n\n"
	       "Container images out of Nix flakes, built when they are "
	       "pulled.\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-9s %s\n", commands[i]->name, commands[i]->summary);
	printf("\nflakehub COMMAND --help says more; so does flakehub(1).\n");
}

static int print_version(void)
{
	printf("flakehub " FLAKEHUB_VERSION "\n");
	return EXIT_DONE;
}

/* A command line while it is parsed. */
struct line {
	struct invocation *invocation;
	const char **given; /* values of the common options */
	char **argv;
	size_t nr, next;
};

static bool is_option(const struct command_option *option, const char *name,
		      size_t len, char letter)
{
	if (letter)
		return option->letter == letter;
	return strlen(option->name) == len && !memcmp(option->name, name, len);
}

/* The option of that name, or of letter unless it is 0; NULL. */
static const struct command_option *search(const struct command_option *table,
					   const char *name, size_t len,
					   char letter)
{
	for (; table && table->name; table++)
		if (is_option(table, name, len, letter))
			return table;
	return NULL;
}

/* The option, and where its value goes. */
static const struct command_option *find_option(struct line *line,
						const char *name, size_t len,
						char letter,
						const char ***value)
{
	const struct command_option *own = line->invocation->command->options;
	const struct command_option *found = search(own, name, len, letter);

	if (found) {
		*value = line->invocation->values + (found - own);
		return found;
	}
	found = search(common, name, len, letter);
	if (found)
		*value = line->given + (found - common);
	return found;
}

/* attached is what stands in the same word, or NULL. */
static int set_value(struct line *line, const struct command_option *option,
		     const char *attached, const char **value)
{
	const struct command *command = line->invocation->command;

	if (!option->argument && attached)
		return command_usage(command, "--%s takes no value",
				     option->name);
	if (!option->argument)
		*value = "";
	else if (attached)
		*value = attached;
	else if (line->next < line->nr)
		*value = line->argv[line->next++];
	else
		return command_usage(command, "--%s needs a %s", option->name,
				     option->argument);
	return EXIT_DONE;
}

static int parse_long(struct line *line, const char *word)
{
	const char *name = word + 2, *end = strchrnul(name, '=');
	const struct command_option *option;
	const char **value;

	option = find_option(line, name, (size_t)(end - name), 0, &value);
	if (!option)
		return command_usage(line->invocation->command,
				     "there is no option %.*s",
				     (int)(end - word), word);
	return set_value(line, option, *end ? end + 1 : NULL, value);
}

static int parse_letters(struct line *line, const char *letters)
{
	for (; *letters; letters++) {
		const struct command_option *option;
		const char *attached = NULL, **value;
		int rc;

		option = find_option(line, letters, 1, *letters, &value);
		if (!option)
			return command_usage(line->invocation->command,
					     "there is no option -%c",
					     *letters);
		if (option->argument && letters[1])
			attached = letters + 1;
		rc = set_value(line, option, attached, value);
		if (rc || option->argument)
			return rc;
	}
	return EXIT_DONE;
}

static int parse_word(struct line *line, char *word)
{
	if (word[0] == '-' && word[1] == '-')
		return parse_long(line, word);
	if (word[0] == '-' && word[1])
		return parse_letters(line, word + 1);
	line->invocation->args[line->invocation->nr_args++] = word;
	return EXIT_DONE;
}

/*
 * Parse the words of a command line: options, and into args[] the others, up
 * to until of them. Returns EXIT_DONE or EXIT_USAGE.
 */
static int parse(struct line *line, size_t until)
{
	while (line->next < line->nr && line->invocation->nr_args < until) {
		char *word = line->argv[line->next++];
		int rc;

		if (!strcmp(word, "--"))
			break;
		rc = parse_word(line, word);
		if (rc)
			return rc;
	}
	while (line->next < line->nr && line->invocation->nr_args < until)
		line->invocation->args[line->invocation->nr_args++] =
			line->argv[line->next++];
	return EXIT_DONE;
}

static int run(const struct command *command, struct line *line)
{
	struct invocation *invocation = line->invocation;
	int rc;

	invocation->command = command;
	invocation->nr_args = 0;
	rc = parse(line, SIZE_MAX);
	if (rc)
		return rc;
	if (line->given[COMMON_VERSION])
		return print_version();
	if (line->given[COMMON_HELP]) {
		command_help(command, common);
		return EXIT_DONE;
	}
	if (invocation->nr_args < command->min_args)
		return command_usage(command, "%s is missing",
				     command->arguments);
	if (invocation->nr_args > command->max_args)
		return command_usage(command, "'%s' is too much",
				     invocation->args[command->max_args]);
	invocation->config = line->given[COMMON_CONFIG];
	return command->run(invocation);
}

/* `flakehub` without a command: the common options before its name. */
static const struct command top = {
	.name = "[--config FILE]",
	.arguments = "COMMAND ...",
};

static int run_command(struct line *line)
{
	const char *name;
	int rc;

	line->invocation->command = &top;
	rc = parse(line, 1);
	if (rc)
		return rc;
	if (!line->invocation->nr_args && line->given[COMMON_VERSION])
		return print_version();
	if (!line->invocation->nr_args && line->given[COMMON_HELP]) {
		print_help();
		return EXIT_DONE;
	}
	if (!line->invocation->nr_args)
		return command_usage(&top, "which command? --help lists them");
	name = line->invocation->args[0];
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i]->name, name))
			return run(commands[i], line);
	return command_usage(&top,
			     "there is no command '%s'; --help lists "
			     "them",
			     name);
}

/* Output that did not get out, to a full disk say, is a failure. */
static int close_stdout(void)
{
	struct err err = ERR_INIT;

	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_DONE;
	err_errno(&err, "cannot write the output");
	return command_fail(&err);
}

int main(int argc, char **argv)
{
	autofree char **args = xcalloc((size_t)argc + 1, sizeof(*args));
	struct invocation invocation = { .args = args };
	const char *given[COMMON_NR] = { NULL };
	struct line line = {
		.invocation = &invocation,
		.given = given,
		.argv = argv,
		.nr = (size_t)argc,
		.next = 1,
	};
	int rc = run_command(&line), out;

	out = close_stdout();
	return rc ? rc : out;
}
