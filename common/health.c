// SPDX-License-Identifier: MIT
#include "common/health.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cachefile.h"
#include "common/space.h"
#include "common/spawn.h"

#include "common/banned.h"

#define TIMEOUT_MS 10000

static const struct field fields[] = {
	{ "checked", FIELD_INT, offsetof(struct health, checked), 0 },
	{ "free", FIELD_UINT, offsetof(struct health, free_bytes), 0 },
	{ "nix", FIELD_TEXT, offsetof(struct health, nix),
	  sizeof(((struct health *)0)->nix) },
	{ "problem", FIELD_TEXT, offsetof(struct health, problem),
	  sizeof(((struct health *)0)->problem) },
};

int health_read(const struct cache *cache, struct health *health,
		struct err *err)
{
	autostrbuf text = STRBUF_INIT;

	if (cachefile_read(cache->fd, "./health", SMALL_FILE_MAX, &text, err))
		return -1;
	return fields_parse(fields, ARRAY_SIZE(fields), health, text.buf,
			    text.len, NULL, "health", err);
}

int health_write(const struct cache *cache, const struct health *health,
		 struct err *err)
{
	autostrbuf text = STRBUF_INIT;

	fields_format(&text, fields, ARRAY_SIZE(fields), health);
	return cachefile_replace(cache->fd, "./health", text.buf, text.len,
				 CACHEFILE_NO_SYNC, err);
}

static void set_problem(struct health *health, const char *text)
{
	if (*health->problem)
		return;
	snprintf(health->problem, sizeof(health->problem), "%s", text);
	for (char *c = health->problem; *c; c++)
		if (*c == '\n')
			*c = ' ';
}

static void check_space(const struct cache *cache, struct health *health)
{
	struct err err = ERR_INIT;

	health->free_bytes = space_free(cache);
	if (space_check(cache, &err))
		set_problem(health, err.msg);
}

static void check_writable(const struct cache *cache, struct health *health)
{
	struct err err = ERR_INIT;
	autofree char *tmp = NULL;
	autoclose int fd = cachefile_create(cache->fd, 0600, &tmp, &err);

	if (fd < 0)
		set_problem(health, err.msg);
	else if (tmp)
		unlinkat(cache->fd, tmp, 0);
}

/* Run a program that prints a line; the line goes to out. */
static void ask(struct health *health, const char *const *argv, char *out,
		size_t size)
{
	struct spawn_run run = { .argv = argv,
				 .out_max = SMALL_FILE_MAX,
				 .timeout_ms = TIMEOUT_MS };
	autostrbuf text = STRBUF_INIT;
	struct err err = ERR_INIT;
	int status = 0;

	if (spawn_run(&run, &text, &status, &err)) {
		set_problem(health, err.msg);
	} else if (status) {
		autofree char *problem =
			xasprintf("%s fails: status %d", argv[0], status);

		set_problem(health, problem);
	} else if (out) {
		snprintf(out, size, "%.*s", (int)strcspn(text.buf, "\n"),
			 text.buf);
	}
}

void health_check(const struct cache *cache, struct health *health)
{
	static const char *const version[] = { "nix", "--version", NULL };
	/* Asks the store, through the daemon where there is one. */
	static const char *const store[] = {
		"nix-store", "--check-validity", "--print-invalid",
		"/nix/store/00000000000000000000000000000000-x", NULL
	};
	static const char *const git[] = { "git", "--version", NULL };

	*health = (struct health){ .checked = time(NULL) };
	check_writable(cache, health);
	check_space(cache, health);
	ask(health, version, health->nix, sizeof(health->nix));
	ask(health, store, NULL, 0);
	ask(health, git, NULL, 0);
}
