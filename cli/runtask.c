// SPDX-License-Identifier: MIT
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/command.h"
#include "common/alloc.h"
#include "common/catalog.h"
#include "common/health.h"
#include "common/log.h"
#include "common/task.h"

#include "common/banned.h"

static int ask_all(const struct cache *cache, const struct settings *settings,
		   const struct task *task, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < settings->nr_flakes; i++) {
		const struct flake_settings *flake = &settings->flakes[i];
		struct err failed;

		if (task->kind == TASK_TAGS &&
		    strcmp(flake->name, task->flake) != 0)
			continue;
		if (task->kind == TASK_TAGS)
			return catalog_refresh_tags(cache, settings, flake,
						    err);
		/* One that fails does not hide the others. */
		if (!catalog_refresh(cache, settings, flake, &failed) || rc)
			continue;
		*err = failed;
		rc = -1;
	}
	return rc;
}

static int run_task(const struct cache *cache, const struct settings *settings,
		    const struct task *task, struct err *err)
{
	struct health health;

	if (task->kind != TASK_HEALTH)
		return ask_all(cache, settings, task, err);
	health_check(cache, &health);
	return health_write(cache, &health, err);
}

static int run_and_record(const struct settings *settings,
			  const struct task *task, struct err *err)
{
	autocache cache = CACHE_INIT;
	struct failure failure = { .when = 0 };
	struct err ignored;
	struct digest key;

	/* The web server, another user, reads the cache. */
	umask(022);
	if (cache_open(&cache, settings->cache_dir, CACHE_WRITE, err))
		return -1;
	task_key(task, &key);
	if (!run_task(&cache, settings, task, err))
		return cache_clear_failure(&cache, &key, err);
	failure.when = time(NULL);
	failure.err = *err;
	if (cache_put_failure(&cache, &key, &failure, &ignored))
		log_err(&ignored, "event", "failure-record", NULL);
	return -1;
}

static int run(const struct invocation *invocation)
{
	autosettings settings = { 0 };
	struct err err = ERR_INIT;
	struct task task;
	int rc;

	if (task_parse(&task, invocation->args[0], &err))
		return command_usage(invocation->command, "%s", err.msg);
	rc = command_settings(invocation, &settings);
	if (rc)
		return rc;
	if (run_and_record(&settings, &task, &err))
		return command_fail(&err);
	return EXIT_DONE;
}

const struct command command_run_task = {
	.name = "run-task",
	.arguments = "TASK",
	.summary = "Do what flakehub.fcgi asks for besides images.",
	.help = "TASK is *tags FLAKE, *names or *health. For people there is\n"
		"flakehub refresh.",
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
