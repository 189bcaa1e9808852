// SPDX-License-Identifier: MIT
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/progress.h"
#include "common/alloc.h"
#include "common/cgroup.h"
#include "common/gc.h"
#include "common/image.h"
#include "common/log.h"

#include "common/banned.h"

enum {
	LAZY,
};

static const struct command_option options[] = {
	{ 0, "lazy", NULL, "leave layers of known digests to who pulls them" },
	{ 0, NULL, NULL, NULL },
};

/* What it made may be too much for the cache. The image is there anyway. */
static void evict(const struct settings *settings, const struct cache *cache)
{
	const struct gc gc = { .settings = settings, .cache = cache };
	char bytes[24], images[24];
	struct err err = ERR_INIT;
	struct gc_result result;

	if (gc_evict(&gc, &result, &err)) {
		log_err(&err, "event", "evict", NULL);
		return;
	}
	snprintf(images, sizeof(images), "%zu", result.evicted);
	snprintf(bytes, sizeof(bytes), "%" PRIu64, result.after);
	if (result.evicted)
		log_event(LOG_LEVEL_INFO, "event", "evicted", "images", images,
			  "cache-bytes", bytes, NULL);
}

static int build_image(const struct settings *settings,
		       const struct repository_name *name,
		       const struct reference *reference, bool lazy,
		       struct err *err)
{
	autocache cache = CACHE_INIT;
	autocgroup cgroup = CGROUP_INIT;
	struct image_build build = { .settings = settings,
				     .cache = &cache,
				     .name = name,
				     .reference = reference,
				     .lazy = lazy };
	char digest[DIGEST_STR_SIZE], ref[REFERENCE_STR_SIZE];
	struct image_head head;
	struct progress *progress;
	struct err ignored = ERR_INIT;
	int rc;

	/* The web server, another user, reads the cache. */
	umask(022);
	if (cache_open(&cache, settings->cache_dir, CACHE_WRITE, err))
		return -1;
	/* A unit's TasksMax is there besides; most users may make none. */
	cgroup_enter(&cgroup, settings->max_processes, &ignored);
	progress = progress_new(STDERR_FILENO);
	build.progress = progress_calls(progress);
	rc = image_build(&build, &head, err);
	progress_free(progress);
	if (rc)
		return -1;
	evict(settings, &cache);
	printf("%s%c%s %s\n", name->text, reference->is_digest ? '@' : ':',
	       reference_str(reference, ref),
	       digest_str(&head.manifest.digest, digest));
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
	if (build_image(&settings, &name, &reference,
			invocation->values[LAZY] != NULL, &err))
		return command_fail(&err);
	return EXIT_DONE;
}

const struct command command_build = {
	.name = "build",
	.arguments = "NAME[:TAG]|NAME@DIGEST",
	.summary = "Make an image be in the cache.",
	.help = "Prints the image and the digest of its manifest. What is in\n"
		"the cache already is not made again; with a digest, every\n"
		"blob that is gone is made again as it was.",
	.min_args = 1,
	.max_args = 1,
	.options = options,
	.run = run,
};
