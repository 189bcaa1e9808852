// SPDX-License-Identifier: MIT
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/command.h"
#include "cli/human.h"
#include "cli/private.h"
#include "common/alloc.h"
#include "common/cache.h"
#include "common/clock.h"
#include "common/confine.h"
#include "common/flake.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/resolve.h"

#include "common/banned.h"

enum {
	NAMES,
};

static const struct command_option options[] = {
	{ 0, "names", NULL, "the images' names alone" },
	{ 0, NULL, NULL, NULL },
};

/* How long Nix may take to name a flake's packages. */
#define NAMES_TIMEOUT_MS 60000

/* A line: a tag that the cache has, or a package that it has nothing of. */
struct row {
	struct repository_name name;
	struct tag tag; /* "" for a package */
	struct tag_record record;
	bool warm;
	uint64_t size; /* of all its blobs, if warm */
	size_t layers;
};

struct list {
	const struct settings *settings;
	const struct cache *cache;
	const struct repository_name *name; /* of the repository at hand */
	struct row *rows;
	size_t nr, alloc;
};

static struct row *add_row(struct list *list,
			   const struct repository_name *name)
{
	struct row *row;

	ALLOC_GROW(list->rows, list->nr, list->alloc);
	row = &list->rows[list->nr++];
	*row = (struct row){ .name = *name };
	return row;
}

/* The sizes that the manifest names. Its record would count this as a pull. */
static int read_manifest(struct row *row, const struct cache *cache,
			 struct err *err)
{
	const struct digest *digest = &row->record.image.manifest.digest;
	struct json_object *part;
	autojson *json = NULL;
	autoclose int fd = cache_open_blob(cache, digest, &row->size, err);
	int64_t size;

	if (fd < 0 || json_read(&json, fd, MANIFEST_MAX, "manifest", err) < 0 ||
	    json_need_object(json, "config", &part, "manifest", err) < 0 ||
	    json_need_int(part, "size", &size, "manifest", err) < 0 ||
	    json_need_array(json, "layers", &part, "manifest", err) < 0)
		return -1;
	row->size += (uint64_t)size;
	row->layers = json_object_array_length(part);
	for (size_t i = 0; i < row->layers; i++) {
		if (json_need_int(json_object_array_get_idx(part, i), "size",
				  &size, "manifest", err) < 0)
			return -1;
		row->size += (uint64_t)size;
	}
	return 0;
}

static int add_tag(const struct tag *tag, void *arg)
{
	const struct flake_settings *flake;
	struct err ignored = ERR_INIT;
	struct list *list = arg;
	struct tag_record record;
	const char *attribute;
	struct row *row;

	if (cache_get_tag(list->cache, list->name, tag, &record, &ignored) < 0)
		return 0;
	flake = settings_find_flake(list->settings, list->name, &attribute);
	if (!flake || !digest_equal(&flake->id, &record.image.flake))
		return 0;
	row = add_row(list, list->name);
	row->tag = *tag;
	row->record = record;
	row->warm = read_manifest(row, list->cache, &ignored) == 0;
	return 0;
}

static int add_repository(const struct repository_name *name, void *arg)
{
	struct err ignored = ERR_INIT;
	struct list *list = arg;

	list->name = name;
	/* What cannot be read is not served either. */
	if (cache_each_tag(list->cache, name, add_tag, list, &ignored) < 0)
		return 0;
	return 0;
}

static int add_cached(struct list *list, struct err *err)
{
	const char *path = list->settings->cache_dir;
	autocache cache = CACHE_INIT;
	int rc;

	if (cache_open(&cache, path, CACHE_READ, err) < 0)
		return err->sys == ENOENT ? 0 : -1;
	list->cache = &cache;
	rc = cache_each_repository(&cache, add_repository, list, err);
	list->cache = NULL;
	return rc;
}

static bool has_row(const struct list *list, size_t nr, const char *name)
{
	for (size_t i = 0; i < nr; i++)
		if (!strcmp(list->rows[i].name.text, name))
			return true;
	return false;
}

/* A package's name as a client has it to write, if it can be written. */
static void add_package(struct list *list, size_t nr,
			const struct flake_settings *flake, const char *package)
{
	autostrbuf text = STRBUF_INIT;
	struct repository_name name;
	struct err ignored = ERR_INIT;

	if (*flake->name)
		strbuf_addf(&text, "%s/", flake->name);
	for (; *package; package++)
		strbuf_addch(&text, (char)tolower((unsigned char)*package));
	if (repository_name_parse(&name, text.buf, text.len, &ignored) < 0)
		return;
	if (!has_row(list, nr, name.text))
		add_row(list, &name);
}

/*
 * The cache, for what git and Nix say and for the flakes' homes. Where there
 * is none yet, or another user's, none is made: *folder has one for this run.
 */
static int open_cache(const struct settings *settings, struct cache *cache,
		      char **folder, struct err *err)
{
	const char *tmp = getenv("TMPDIR");
	autofree char *path = NULL, *made = NULL;
	autocache readable = CACHE_INIT;
	struct err ignored = ERR_INIT;

	if (!cache_open(&readable, settings->cache_dir, CACHE_READ, &ignored) &&
	    !cache_open(cache, settings->cache_dir, CACHE_WRITE, &ignored))
		return 0;
	made = xasprintf("%s/flakehub.XXXXXX",
			 tmp && *tmp == '/' ? tmp : "/tmp");
	if (!mkdtemp(made))
		return err_errno(err, "cannot make the folder %s", made);
	*folder = steal_ptr(&made);
	path = xasprintf("%s/cache", *folder);
	return cache_open(cache, path, CACHE_WRITE, err);
}

static int add_packages(struct list *list, const struct cache *cache,
			const struct flake_settings *flake, struct err *err)
{
	static const struct tag latest = { .text = "latest" };
	autoconfine confine = CONFINE_INIT;
	autonix nix = NIX_INIT;
	autopin pin = FLAKE_PIN_INIT;
	const struct resolve resolve = {
		.settings = list->settings,
		.cache = cache,
		.flake = flake,
		.nix = &nix,
	};
	char **names = NULL;
	size_t nr = 0, before = list->nr;

	nix.deadline_ms = clock_monotonic_ms() + NAMES_TIMEOUT_MS;
	nix_configure(&nix, list->settings);
	confine_init(&confine, cache, list->settings, flake, NULL);
	nix.confine = list->settings->sandbox_eval ? &confine : NULL;
	if (resolve_tag(&resolve, &latest, &pin, err) < 0 ||
	    flake_list_names(&nix, &pin, flake->image.systems[0], &names, &nr,
			     err) < 0)
		return -1;
	for (size_t i = 0; i < nr; i++) {
		add_package(list, before, flake, names[i]);
		free(names[i]);
	}
	free(names);
	return 0;
}

/* Of all flakes; each that fails has its line on stderr. */
static int add_all_packages(struct list *list)
{
	const struct settings *settings = list->settings;
	autofree char *folder = NULL;
	autocache cache = CACHE_INIT;
	struct err err = ERR_INIT;
	int rc = 0;

	if (open_cache(settings, &cache, &folder, &err))
		rc = command_fail(&err);
	for (size_t i = 0; cache.fd >= 0 && i < settings->nr_flakes; i++)
		if (add_packages(list, &cache, &settings->flakes[i], &err) < 0)
			rc = command_fail(&err);
	if (folder)
		private_remove(folder);
	return rc;
}

static int compare(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int order = strcmp(x->name.text, y->name.text);

	return order ? order : strcmp(x->tag.text, y->tag.text);
}

static void print_row(const struct row *row, int width, int64_t now)
{
	const struct tag_record *record = &row->record;
	char size[HUMAN_SIZE], age[HUMAN_SIZE], hex[DIGEST_HEX_SIZE];

	if (!*row->tag.text) {
		printf("%-*s  -\n", width, row->name.text);
		return;
	}
	human_bytes(row->size, size);
	human_duration(now - record->resolved, age);
	digest_hex(&record->image.manifest.digest, hex);
	printf("%-*s  %-10s  %-12.12s  %-8.8s  %10s  %6zu  %s ago\n", width,
	       row->name.text, row->tag.text, hex,
	       *record->revision ? record->revision : "-",
	       row->warm ? size : "evicted", row->layers, age);
}

static void print_rows(const struct list *list)
{
	int64_t now = time(NULL);
	int width = 5;

	for (size_t i = 0; i < list->nr; i++) {
		int len = (int)strlen(list->rows[i].name.text);

		width = len > width ? len : width;
	}
	printf("%-*s  %-10s  %-12s  %-8s  %10s  %6s  %s\n", width, "IMAGE",
	       "TAG", "DIGEST", "COMMIT", "SIZE", "LAYERS", "RESOLVED");
	for (size_t i = 0; i < list->nr; i++)
		print_row(&list->rows[i], width, now);
}

static void print_names(const struct list *list)
{
	for (size_t i = 0; i < list->nr; i++)
		if (!i || strcmp(list->rows[i].name.text,
				 list->rows[i - 1].name.text) != 0)
			printf("%s\n", list->rows[i].name.text);
}

static int run(const struct invocation *invocation)
{
	autosettings settings = { 0 };
	struct list list = { .settings = &settings };
	struct err err = ERR_INIT;
	int rc = command_settings(invocation, &settings);

	if (rc)
		return rc;
	if (add_cached(&list, &err) < 0) {
		free(list.rows);
		return command_fail(&err);
	}
	rc = add_all_packages(&list);
	if (list.nr)
		qsort(list.rows, list.nr, sizeof(*list.rows), compare);
	if (invocation->values[NAMES])
		print_names(&list);
	else
		print_rows(&list);
	free(list.rows);
	return rc;
}

const struct command command_list = {
	.name = "list",
	.arguments = "",
	.summary = "List the flakes' images, and what of them is in the cache.",
	.help = "A package that is not in the cache yet has a line without a "
		"tag. Sizes are\nof the blobs as they are stored.",
	.options = options,
	.run = run,
};
