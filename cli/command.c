// SPDX-License-Identifier: MIT
#include "cli/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/strbuf.h"

#include "common/banned.h"

/* A message as one line: what Nix says has many. */
static void print_line(const char *message)
{
	autostrbuf line = STRBUF_INIT;

	strbuf_addstr(&line, "flakehub: ");
	while (*message) {
		size_t len = strcspn(message, "\n");

		strbuf_add(&line, message, len);
		message += len;
		len = strspn(message, "\n\t ");
		message += len;
		if (len && *message)
			strbuf_addch(&line, ' ');
	}
	fprintf(stderr, "%s\n", line.buf);
}

int command_fail(const struct err *err)
{
	print_line(err->msg);
	return EXIT_FAILED;
}

static void add_option_usage(struct strbuf *out,
			     const struct command_option *option)
{
	if (option->letter)
		strbuf_addf(out, " [-%c", option->letter);
	else
		strbuf_addf(out, " [--%s", option->name);
	if (option->argument)
		strbuf_addf(out, " %s", option->argument);
	strbuf_addch(out, ']');
}

static void add_usage(struct strbuf *out, const struct command *command)
{
	const struct command_option *option = command->options;

	strbuf_addf(out, "usage: flakehub %s", command->name);
	for (; option && option->name; option++)
		add_option_usage(out, option);
	if (*command->arguments)
		strbuf_addf(out, " %s", command->arguments);
}

int command_usage(const struct command *command, const char *format, ...)
{
	autostrbuf line = STRBUF_INIT;
	struct err err = ERR_INIT;
	char message[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(message, sizeof(message), format, ap);
	va_end(ap);
	add_usage(&line, command);
	err_set(&err, ERR_MALFORMED, "%s; %s", message, line.buf);
	print_line(err.msg);
	return EXIT_USAGE;
}

int command_settings(const struct invocation *invocation,
		     struct settings *settings)
{
	struct err err = ERR_INIT;

	if (settings_load(settings, invocation->config, NULL, &err) == 0)
		return EXIT_DONE;
	print_line(err.msg);
	return err.code == ERR_MALFORMED ? EXIT_USAGE : EXIT_FAILED;
}

int command_image(const struct invocation *invocation,
		  struct repository_name *name, struct reference *reference,
		  struct settings *settings)
{
	struct err err = ERR_INIT;

	if (image_name_parse(name, reference, invocation->args[0], &err))
		return command_usage(invocation->command, "%s", err.msg);
	return command_settings(invocation, settings);
}

void command_help(const struct command *command,
		  const struct command_option *common)
{
	const struct command_option *tables[] = { command->options, common };
	autostrbuf usage = STRBUF_INIT;

	add_usage(&usage, command);
	printf("%s\n\n%s\n\n", usage.buf, command->summary);
	if (command->help)
		printf("%s\n\n", command->help);
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		const struct command_option *o = tables[i];

		for (; o && o->name; o++) {
			char name[64];

			snprintf(name, sizeof(name), "%c%c%c --%s%s%s",
				 o->letter ? '-' : ' ',
				 o->letter ? o->letter : ' ',
				 o->letter ? ',' : ' ', o->name,
				 o->argument ? " " : "",
				 o->argument ? o->argument : "");
			printf("  %-25s %s\n", name, o->text);
		}
	}
}
