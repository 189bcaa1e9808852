// SPDX-License-Identifier: MIT
#include "common/gc.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "cli/command.h"
#include "cli/human.h"
#include "common/alloc.h"

#include "common/banned.h"

enum {
	DRY_RUN,
};

static const struct command_option options[] = {
	{ 0, "dry-run", NULL, "say what would go, and remove nothing" },
	{ 0, NULL, NULL, NULL },
};

static const struct {
	const char *one, *many;
	bool is_listed; /* a line for each */
} kinds[GC_KINDS] = {
	[GC_IMAGE] = { "image", "images", true },
	[GC_BLOB] = { "blob", "blobs", false },
	[GC_RECORD] = { "record", "records", true },
	[GC_TAG] = { "tag", "tags", true },
	[GC_IDENTITY] = { "identity", "identities", false },
	[GC_LINK] = { "link", "links", false },
	[GC_LAYER] = { "layer entry", "layer entries", false },
	[GC_ROOT] = { "GC root", "GC roots", true },
	[GC_BUILD] = { "file of a build", "files of builds", false },
	[GC_LOCK] = { "lock", "locks", false },
	[GC_MIRROR] = { "git mirror", "git mirrors", true },
	[GC_TEMPORARY] = { "temporary file", "temporary files", false },
};

struct count {
	size_t nr;
	uint64_t bytes;
};

static void on_gone(void *arg, enum gc_kind kind, const char *name,
		    uint64_t bytes)
{
	struct count *counts = arg;

	counts[kind].nr++;
	counts[kind].bytes += bytes;
	if (kinds[kind].is_listed)
		printf("%s %s\n", kinds[kind].one, name);
}

static void print_counts(const struct count *counts)
{
	char bytes[HUMAN_SIZE];

	for (enum gc_kind kind = 0; kind < GC_KINDS; kind++)
		if (counts[kind].nr)
			printf("%zu %s, %s\n", counts[kind].nr,
			       counts[kind].nr == 1 ? kinds[kind].one
						    : kinds[kind].many,
			       human_bytes(counts[kind].bytes, bytes));
}

static int collect(const struct settings *settings, bool dry_run,
		   struct err *err)
{
	struct count counts[GC_KINDS] = { { 0 } };
	char before[HUMAN_SIZE], after[HUMAN_SIZE], size[HUMAN_SIZE];
	autocache cache = CACHE_INIT;
	const struct gc gc = { .settings = settings,
			       .cache = &cache,
			       .dry_run = dry_run,
			       .gone = on_gone,
			       .arg = counts };
	struct gc_result result;

	/* The web server, another user, reads the cache. */
	umask(022);
	if (cache_open(&cache, settings->cache_dir,
		       dry_run ? CACHE_READ : CACHE_GC, err) ||
	    gc_run(&gc, &result, err))
		return -1;
	print_counts(counts);
	printf("the cache %s %s of %s; it was %s\n",
	       dry_run ? "would hold" : "holds",
	       human_bytes(result.after, after),
	       human_bytes((uint64_t)settings->cache_size, size),
	       human_bytes(result.before, before));
	return 0;
}

static int run(const struct invocation *invocation)
{
	autosettings settings = { 0 };
	struct err err = ERR_INIT;
	int rc = command_settings(invocation, &settings);

	if (rc)
		return rc;
	if (collect(&settings, invocation->values[DRY_RUN] != NULL, &err))
		return command_fail(&err);
	return EXIT_DONE;
}

const struct command command_gc = {
	.name = "gc",
	.arguments = "",
	.summary = "Remove from the cache what is beyond its size or too old.",
	.help = "Images go that were pulled longest ago, while the cache is\n"
		"larger than cache-size; records, record-max-age after their\n"
		"last pull; and what no image needs. Nothing goes that was\n"
		"used in the last ten minutes.\n",
	.min_args = 0,
	.max_args = 0,
	.options = options,
	.run = run,
};
