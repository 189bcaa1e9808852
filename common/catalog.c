// SPDX-License-Identifier: MIT
#include "common/catalog.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/confine.h"
#include "common/credentials.h"
#include "common/flake.h"
#include "common/flakeref.h"
#include "common/resolve.h"

#include "common/banned.h"

void name_list_release(struct name_list *list)
{
	for (size_t i = 0; i < list->nr; i++)
		free(list->names[i]);
	free(list->names);
	*list = (struct name_list)NAME_LIST_INIT;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sort; of equal names keep one, or none if they must be unique. */
static void sort_names(struct name_list *list, bool drop_doubles)
{
	size_t nr = 0;

	if (list->nr)
		qsort(list->names, list->nr, sizeof(*list->names), by_bytes);
	for (size_t i = 0, end; i < list->nr; i = end) {
		for (end = i + 1; end < list->nr; end++) {
			if (strcmp(list->names[i], list->names[end]))
				break;
			free(list->names[end]);
		}
		if (drop_doubles && end > i + 1)
			free(list->names[i]);
		else
			list->names[nr++] = list->names[i];
	}
	list->nr = nr;
}

/* A ref and the tag that it is written as. */
struct candidate {
	struct tag tag;
	int rank; /* which of one tag is meant: the lowest */
};

#define RANK_MAPPED 2

static bool rank_ref(const char *ref_name, struct candidate *candidate)
{
	static const char *const folders[] = { "refs/tags/", "refs/heads/" };

	if (git_tag_of(ref_name, &candidate->tag))
		return false;
	candidate->rank = RANK_MAPPED;
	for (int i = 0; i < RANK_MAPPED; i++) {
		size_t len = strlen(folders[i]);

		if (!strncmp(ref_name, folders[i], len) &&
		    !strcmp(ref_name + len, candidate->tag.text))
			candidate->rank = i;
	}
	return true;
}

static int by_tag_and_rank(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	int order = strcmp(x->tag.text, y->tag.text);

	return order ? order : x->rank - y->rank;
}

/* "latest" is added by the caller; a hash is taken for a revision. */
static bool can_be_pulled(const struct tag *tag)
{
	return strcmp(tag->text, "latest") != 0 && !is_revision(tag->text) &&
	       !tag_is_passive(tag);
}

/* Only what git_refs_find() finds, without asking it for each. */
static void add_tags(struct name_list *tags, const struct git_refs *refs)
{
	autofree struct candidate *all = xcalloc(refs->nr + 1, sizeof(*all));
	size_t nr = 0;

	for (size_t i = 0; i < refs->nr; i++)
		nr += rank_ref(refs->refs[i].name, &all[nr]);
	qsort(all, nr, sizeof(*all), by_tag_and_rank);
	for (size_t i = 0, end; i < nr; i = end) {
		for (end = i + 1; end < nr; end++)
			if (strcmp(all[i].tag.text, all[end].tag.text) != 0)
				break;
		if (all[i].rank == RANK_MAPPED && end > i + 1)
			continue; /* it could be several */
		if (can_be_pulled(&all[i].tag))
			tags->names[tags->nr++] = xstrdup(all[i].tag.text);
	}
}

int catalog_tags(const struct cache *cache, const struct flake_settings *flake,
		 struct name_list *tags, int64_t *asked, struct err *err)
{
	struct refs_record record;
	autostrbuf text = STRBUF_INIT;
	autorefs refs = GIT_REFS_INIT;

	*tags = (struct name_list)NAME_LIST_INIT;
	if (cache_get_refs(cache, &flake->id, &record, &text, err) ||
	    git_refs_parse(&refs, text.buf, text.len, err))
		return -1;
	*asked = record.asked_ms / 1000;
	tags->names = xcalloc(refs.nr + 1, sizeof(*tags->names));
	add_tags(tags, &refs);
	tags->names[tags->nr++] = xstrdup("latest");
	sort_names(tags, false);
	return 0;
}

/*
 * The repository name of a package, as the settings map names: below the
 * flake's own if it has one, in lower case. NULL if it cannot be one.
 */
static char *repository_of(const struct flake_settings *flake,
			   const char *package)
{
	bool is_default = !strcmp(package, "default");
	autofree char *name =
		*flake->name && is_default
			? xstrdup(flake->name)
			: xasprintf("%s%s%s", flake->name,
				    *flake->name ? "/" : "", package);
	struct repository_name parsed;
	struct err ignored;

	for (char *c = name; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	/* A slash would name an attribute in a set. */
	if (strchr(package, '/') ||
	    repository_name_parse(&parsed, name, strlen(name), &ignored))
		return NULL;
	return steal_ptr(&name);
}

static void add_line(struct name_list *names, size_t *alloc, char *name)
{
	if (!name)
		return;
	ALLOC_GROW(names->names, names->nr, *alloc);
	names->names[names->nr++] = name;
}

/* Call for each line, which is NUL-terminated. */
static void add_lines(struct name_list *names, size_t *alloc,
		      const struct flake_settings *flake, char *text)
{
	for (char *line = text, *next; *line; line = next) {
		next = strchrnul(line, '\n');
		if (*next)
			*next++ = 0;
		add_line(names, alloc, repository_of(flake, line));
	}
}

int catalog_names(const struct cache *cache, const struct settings *settings,
		  struct name_list *names, int64_t *asked, struct err *err)
{
	size_t alloc = 0;

	*names = (struct name_list)NAME_LIST_INIT;
	*asked = settings->nr_flakes ? INT64_MAX : 0;
	for (size_t i = 0; i < settings->nr_flakes; i++) {
		const struct flake_settings *flake = &settings->flakes[i];
		struct names_record record = { .asked = 0 };
		autostrbuf text = STRBUF_INIT;

		if (cache_get_names(cache, &flake->id, &record, &text, err) &&
		    err->code != ERR_UNKNOWN) {
			name_list_release(names);
			return -1;
		}
		if (record.asked < *asked)
			*asked = record.asked;
		if (text.len)
			add_lines(names, &alloc, flake, text.buf);
	}
	sort_names(names, false);
	return 0;
}

int catalog_has(const struct cache *cache, const struct flake_settings *flake,
		const char *attribute)
{
	struct names_record record;
	autostrbuf text = STRBUF_INIT;
	struct err ignored;

	if (!*attribute)
		attribute = "default";
	if (strchr(attribute, '/'))
		return 1;
	if (cache_get_names(cache, &flake->id, &record, &text, &ignored))
		return -1;
	for (char *line = text.buf, *next; *line; line = next) {
		next = strchrnul(line, '\n');
		if (*next)
			*next++ = 0;
		if (!strcasecmp(line, attribute))
			return 1;
	}
	return 0;
}

/* The packages of all systems that the flake is served for. */
static int list_packages(struct nix *nix, const struct flake_pin *pin,
			 const struct flake_settings *flake, struct strbuf *out,
			 struct err *err)
{
	for (size_t i = 0; i < flake->image.nr_systems; i++) {
		struct name_list names;

		if (flake_list_names(nix, pin, flake->image.systems[i],
				     &names.names, &names.nr, err))
			return -1;
		for (size_t j = 0; j < names.nr; j++)
			if (!strchr(names.names[j], '\n'))
				strbuf_addf(out, "%s\n", names.names[j]);
		name_list_release(&names);
	}
	return 0;
}

static void name_source(const struct flake_pin *pin,
			const struct flake_settings *flake,
			struct digest *source)
{
	autostrbuf text = STRBUF_INIT;

	strbuf_addstr(&text, *pin->revision ? pin->revision : pin->nar_hash);
	for (size_t i = 0; i < flake->image.nr_systems; i++)
		strbuf_addf(&text, " %s", flake->image.systems[i]);
	digest_of(text.buf, text.len, source);
}

static int refresh_names(const struct resolve *resolve, struct err *err)
{
	static const struct tag latest = { .text = "latest" };
	const struct flake_settings *flake = resolve->flake;
	struct names_record old, record = { .asked = 0 };
	autopin pin = FLAKE_PIN_INIT;
	autostrbuf text = STRBUF_INIT;

	if (resolve_tag(resolve, &latest, &pin, err))
		return -1;
	name_source(&pin, flake, &record.source);
	if (cache_get_names(resolve->cache, &flake->id, &old, &text, err) ||
	    !digest_equal(&old.source, &record.source)) {
		strbuf_reset(&text);
		if (list_packages(resolve->nix, &pin, flake, &text, err))
			return -1;
	}
	record.asked = time(NULL);
	return cache_put_names(resolve->cache, &flake->id, &record, text.buf,
			       text.len, err);
}

static int refresh(const struct cache *cache, const struct settings *settings,
		   const struct flake_settings *flake, bool names,
		   struct err *err)
{
	autonix nix = NIX_INIT;
	autorefs refs = GIT_REFS_INIT;
	autocredentials credentials = CREDENTIALS_INIT;
	autoconfine confine = CONFINE_INIT;
	struct resolve resolve = {
		.settings = settings,
		.cache = cache,
		.flake = flake,
		.nix = &nix,
		/* Tags and names out of one answer of git's. */
		.since_ms = clock_realtime_ms(),
	};

	nix_configure(&nix, settings);
	if (credentials_open(&credentials, cache, flake, err))
		return -1;
	confine_init(&confine, cache, settings, flake, &credentials);
	nix.confine = settings->sandbox_eval ? &confine : NULL;
	nix.env = resolve.env = credentials.env;
	nix.netrc = credentials.netrc;
	if (resolve_refs(&resolve, &refs, err))
		return -1;
	return names ? refresh_names(&resolve, err) : 0;
}

int catalog_refresh_tags(const struct cache *cache,
			 const struct settings *settings,
			 const struct flake_settings *flake, struct err *err)
{
	return refresh(cache, settings, flake, false, err);
}

int catalog_refresh(const struct cache *cache, const struct settings *settings,
		    const struct flake_settings *flake, struct err *err)
{
	return refresh(cache, settings, flake, true, err);
}
