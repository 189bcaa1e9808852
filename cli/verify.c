// SPDX-License-Identifier: MIT
#include "common/verify.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/command.h"
#include "cli/human.h"
#include "common/alloc.h"
#include "common/settings_table.h"

#include "common/banned.h"

enum {
	REPAIR,
	RATE,
};

static const struct command_option options[] = {
	{ 0, "repair", NULL, "make what is bad or missing again at once" },
	{ 0, "rate", "SIZE", "read no more than that a second: 50M" },
	{ 0, NULL, NULL, NULL },
};

/* It is written as sizes are in the settings. */
static const struct setting rate_setting = {
	.key = "rate",
	.type = SETTING_SIZE,
	.min = 1024,
	.max = INT64_C(1) << 50,
};

static void on_bad(void *arg, const struct digest *digest, const char *why)
{
	char str[DIGEST_STR_SIZE];

	(void)arg;
	printf("bad: %s: %s\n", digest_str(digest, str), why);
}

static void on_missing(void *arg, const struct repository_name *name,
		       const struct digest *manifest)
{
	char str[DIGEST_STR_SIZE];

	(void)arg;
	printf("missing: %s@%s: a blob that it needs is not there\n",
	       name->text, digest_str(manifest, str));
}

static void on_record(void *arg, const struct repository_name *name,
		      const struct digest *manifest, const char *why,
		      bool is_mended)
{
	char str[DIGEST_STR_SIZE];

	(void)arg;
	printf("bad record: %s@%s: %s%s\n", name->text,
	       digest_str(manifest, str), why,
	       is_mended ? " (mended)" : "; a tag of it makes it anew");
}

static void on_repaired(void *arg, const struct repository_name *name,
			const struct digest *manifest, const struct err *err)
{
	char str[DIGEST_STR_SIZE];

	(void)arg;
	digest_str(manifest, str);
	if (err->code)
		printf("lost: %s@%s: %s\n", name->text, str, err->msg);
	else
		printf("repaired: %s@%s\n", name->text, str);
}

static int say_unrepaired(const struct verify_result *result, struct err *err)
{
	if (!result->unrepaired && !result->lost_records)
		return 0;
	return err_set(
		err, ERR_REFUSED,
		"%zu of %zu images whose blobs were bad or missing could "
		"not be made again, nor %zu of %zu records",
		result->unrepaired, result->images, result->lost_records,
		result->records);
}

static int say_found(const struct verify_result *result, const char *cache,
		     struct err *err)
{
	if (!result->bad && !result->incomplete && !result->records)
		return 0;
	return err_set(
		err, ERR_REFUSED,
		"%zu blobs were bad and were moved to %s/bad, %zu images "
		"lacked one; %zu images are made again when they are "
		"pulled, or now with `flakehub build NAME@DIGEST`; %zu "
		"of %zu records that were wrong still are",
		result->bad, cache, result->incomplete, result->images,
		result->lost_records, result->records);
}

static int verify(const struct settings *settings, bool repair, int64_t rate,
		  struct err *err)
{
	autocache cache = CACHE_INIT;
	const struct verify verify = {
		.settings = settings,
		.cache = &cache,
		.repair = repair,
		.rate = (uint64_t)rate,
		.bad = on_bad,
		.missing = on_missing,
		.record = on_record,
		.repaired = on_repaired,
	};
	struct verify_result result;
	char bytes[HUMAN_SIZE];

	/* The web server, another user, reads the cache. */
	umask(022);
	if (cache_open(&cache, settings->cache_dir, CACHE_WRITE, err) ||
	    verify_run(&verify, &result, err))
		return -1;
	printf("%zu blobs, %s: %zu bad, %zu images incomplete, %zu records "
	       "wrong\n",
	       result.blobs, human_bytes(result.bytes, bytes), result.bad,
	       result.incomplete, result.records);
	return repair ? say_unrepaired(&result, err)
		      : say_found(&result, cache.path, err);
}

static int run(const struct invocation *invocation)
{
	const char *given = invocation->values[RATE];
	autosettings settings = { 0 };
	struct err err = ERR_INIT;
	int64_t rate = 0;
	int rc;

	if (given &&
	    setting_parse(&rate_setting, &rate, given, strlen(given), &err))
		return command_usage(invocation->command, "--rate: %s",
				     err.msg);
	rc = command_settings(invocation, &settings);
	if (rc)
		return rc;
	if (verify(&settings, invocation->values[REPAIR] != NULL, rate, &err))
		return command_fail(&err);
	return EXIT_DONE;
}

const struct command command_verify = {
	.name = "verify",
	.arguments = "",
	.summary = "Read every blob of the cache and see that it is right.",
	.help = "What is not as its digest says is moved to bad/ in the cache\n"
		"and made again when it is pulled, or at once with --repair.\n"
		"Records that do not fit their images are written anew.\n",
	.min_args = 0,
	.max_args = 0,
	.options = options,
	.run = run,
};
