// SPDX-License-Identifier: MIT
#include "common/settings_table.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/flakeref.h"

#include "common/banned.h"

#define MINUTE	INT64_C(60)
#define HOUR	(60 * MINUTE)
#define DAY	(24 * HOUR)
#define YEAR	(365 * DAY)
#define MEGA	(INT64_C(1) << 20)
#define GIGA	(INT64_C(1) << 30)
#define TERA	(INT64_C(1) << 40)
#define G(name) SETTING_GLOBAL, offsetof(struct settings, name)
#define I(name) SETTING_IMAGE, offsetof(struct image_settings, name)
#define F(name) SETTING_FLAKE, offsetof(struct flake_settings, name)

static const char *const compressions[] = {
	[COMPRESSION_GZIP] = "gzip",
	[COMPRESSION_ZSTD] = "zstd",
	[COMPRESSION_NONE] = "none",
	[COMPRESSIONS] = NULL,
};

static const char *const sendfiles[] = {
	[SENDFILE_X_SENDFILE] = "x-sendfile",
	[SENDFILE_X_ACCEL_REDIRECT] = "x-accel-redirect",
	[SENDFILE_NONE] = "none",
	NULL,
};

static_assert(sizeof(enum compression) == sizeof(unsigned int) &&
		      sizeof(enum settings_sendfile) == sizeof(unsigned int),
	      "parse_word() writes an unsigned int");

/* clang-format off */
const struct setting settings_table[SETTINGS_NR] = {
	{ "cache-dir", G(cache_dir), SETTING_FILE,
	  .standard = "/var/cache/flakehub",
	  .text = "Where blobs, manifests and records are kept." },
	{ "systems", I(systems), SETTING_SYSTEMS, .standard = "x86_64-linux",
	  .text = "Systems to build for; several are divided by blanks." },
	{ "compression", I(compression), SETTING_WORD, .standard = "gzip",
	  .text = "Of layers: gzip, zstd, none.",
	  .words = compressions },
	{ "max-layers", I(max_layers), SETTING_NUMBER, .standard = "100",
	  .text = "The most layers an image may have.",
	  /* One of store paths, and one of what is visible at /. */
	  .min = 2, .max = LAYERS_MAX },
	{ "max-age", I(max_age), SETTING_TIME, .standard = "10s",
	  .text = "How long a tag is fresh before its flake is asked again.",
	  .min = 0, .max = YEAR },
	{ "stale-while-revalidate", I(stale_while_revalidate), SETTING_TIME,
	  .standard = "0s",
	  .text = "How long after that it is served while it is refreshed.",
	  .min = 0, .max = YEAR },
	{ "stale-if-error", I(stale_if_error), SETTING_TIME, .standard = "1d",
	  .text = "How long after that it is served when a refresh fails.",
	  .min = 0, .max = 10 * YEAR },
	{ "error-max-age", I(error_max_age), SETTING_TIME, .standard = "10s",
	  .text = "How long a failure is served before it is tried again.",
	  .min = 0, .max = DAY },
	{ "refresh-timeout", G(refresh_timeout), SETTING_TIME,
	  .standard = "10s",
	  .text = "How long a flake's host may take to name its revision.",
	  .min = 1, .max = HOUR },
	{ "build-timeout", G(build_timeout), SETTING_TIME, .standard = "1h",
	  .text = "How long an image may take to build.",
	  .min = 1, .max = 30 * DAY },
	{ "max-silent-time", G(max_silent_time), SETTING_TIME,
	  .standard = "20m",
	  .text = "How long a build may take without saying anything.",
	  .min = 1, .max = 30 * DAY },
	{ "max-build-log-size", G(max_build_log_size), SETTING_SIZE,
	  .standard = "64M",
	  .text = "How much a build or an evaluation may say.",
	  .min = 64 * 1024, .max = TERA },
	{ "max-processes", G(max_processes), SETTING_NUMBER,
	  .standard = "4096",
	  .text = "How many processes and threads one build may have.",
	  .min = 32, .max = 4194304 },
	{ "max-builds", G(max_builds), SETTING_NUMBER, .standard = "2",
	  .text = "How many images are built at the same time.",
	  .min = 1, .max = 1024 },
	{ "max-queue", G(max_queue), SETTING_NUMBER, .standard = "100",
	  .text = "How many builds may wait; beyond, clients get a 429.",
	  .min = 1, .max = 100000 },
	{ "cache-size", G(cache_size), SETTING_SIZE, .standard = "20G",
	  .text = "The least recently pulled is removed beyond this.",
	  .min = MEGA, .max = 1024 * TERA },
	{ "record-max-age", G(record_max_age), SETTING_TIME,
	  .standard = "90d",
	  .text = "How long after its last pull an image's record is kept.",
	  .min = 0, .max = 100 * YEAR },
	{ "sandbox-eval", G(sandbox_eval), SETTING_BOOL, .standard = "yes",
	  .text = "Hide the host's files from the evaluation of flakes." },
	{ "eval-memory", G(eval_memory), SETTING_SIZE, .standard = "4G",
	  .text = "The most memory that one evaluation may take.",
	  .min = 64 * MEGA, .max = 16 * TERA },
	{ "import-from-derivation", G(import_from_derivation), SETTING_BOOL,
	  .standard = "no",
	  .text = "Let flakes build while they are evaluated." },
	{ "sendfile", G(sendfile), SETTING_WORD, .standard = "x-sendfile",
	  .text = "How blobs go out: x-sendfile, x-accel-redirect, none.",
	  .words = sendfiles },
	{ "url", F(url), SETTING_URL,
	  .text = "The flake: github:owner/repo, git+https://host/repo, ..." },
	{ "credentials", F(credentials), SETTING_FILE,
	  .text = "A netrc file for the flake's host, or an ssh private key." },
	{ "compose", F(compose), SETTING_BOOL, .standard = "no",
	  .text = "HOST/a/b/c is one image of the packages a, b and c." },
};
/* clang-format on */

const struct setting *setting_find(const char *key, size_t len)
{
	for (size_t i = 0; i < SETTINGS_NR; i++) {
		const struct setting *s = &settings_table[i];

		if (strlen(s->key) == len && !memcmp(s->key, key, len))
			return s;
	}
	return NULL;
}

struct unit {
	char letter;
	int64_t factor;
};

static const struct unit time_units[] = {
	{ 's', 1 }, { 'm', MINUTE }, { 'h', HOUR }, { 'd', DAY }, { 0, 0 },
};
static const struct unit size_units[] = {
	{ 'K', 1024 }, { 'M', MEGA }, { 'G', GIGA }, { 'T', TERA }, { 0, 0 },
};

/*
 * Digits, and one of the units' letters unless units is NULL. 0, or -1 if
 * it is none of these or beyond 64 bits.
 */
static int parse_int(const char *s, size_t len, const struct unit *units,
		     int64_t *out)
{
	size_t digits = units ? len - 1 : len;
	int64_t n = 0, factor = 1;

	if (!len || !digits)
		return -1;
	for (size_t i = 0; i < digits; i++)
		if (s[i] < '0' || s[i] > '9' ||
		    __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, s[i] - '0', &n))
			return -1;
	if (units) {
		while (units->letter && units->letter != s[digits])
			units++;
		factor = units->factor;
	}
	return factor && !__builtin_mul_overflow(n, factor, out) ? 0 : -1;
}

/* The value as it would be written, in the largest unit that fits. */
static void format_int(struct strbuf *out, const struct unit *units, int64_t n)
{
	const struct unit *best = units;

	for (; n && units && units->letter; units++)
		if (n % units->factor == 0)
			best = units;
	if (best)
		strbuf_addf(out, "%" PRId64 "%c", n / best->factor,
			    best->letter);
	else
		strbuf_addf(out, "%" PRId64, n);
}

static int parse_int_value(const struct setting *setting, void *field,
			   const char *value, size_t len, struct err *err)
{
	static const struct {
		const char *expected;
		const struct unit *units;
	} kinds[] = {
		[SETTING_TIME] = { "a time with its unit, such as 10s, 5m, 1h "
				   "or 1d",
				   time_units },
		[SETTING_SIZE] = { "a size with its unit, such as 512M or 20G",
				   size_units },
		[SETTING_NUMBER] = { "a number", NULL },
	};
	const struct unit *units = kinds[setting->type].units;
	autostrbuf range = STRBUF_INIT;
	int64_t *out = field, n;

	if (parse_int(value, len, units, &n) < 0)
		return err_set(err, ERR_MALFORMED, "%s is %s", setting->key,
			       kinds[setting->type].expected);
	if (n < setting->min || n > setting->max) {
		format_int(&range, units, setting->min);
		strbuf_addstr(&range, " to ");
		format_int(&range, units, setting->max);
		return err_set(err, ERR_MALFORMED, "%s is %s", setting->key,
			       range.buf);
	}
	*out = n;
	return 0;
}

static bool is_word(const char *word, const char *s, size_t len)
{
	return strlen(word) == len && !memcmp(word, s, len);
}

static int parse_bool(const struct setting *setting, void *field,
		      const char *value, size_t len, struct err *err)
{
	bool *out = field, yes = is_word("yes", value, len);

	if (!yes && !is_word("no", value, len))
		return err_set(err, ERR_MALFORMED, "%s is yes or no",
			       setting->key);
	*out = yes;
	return 0;
}

static int parse_word(const struct setting *setting, void *field,
		      const char *value, size_t len, struct err *err)
{
	autostrbuf expected = STRBUF_INIT;
	unsigned int *out = field, i;

	for (i = 0; setting->words[i]; i++) {
		if (is_word(setting->words[i], value, len)) {
			*out = i;
			return 0;
		}
		strbuf_addf(&expected, "%s%s",
			    !i			    ? ""
			    : setting->words[i + 1] ? ", "
						    : " or ",
			    setting->words[i]);
	}
	return err_set(err, ERR_MALFORMED, "%s is %s", setting->key,
		       expected.buf);
}

/* As Nix has it: CPU "-" KERNEL. */
static bool is_system(const char *s, size_t len)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	const char *dash = memchr(s, '-', len);

	return dash && dash > s && dash < s + len - 1 &&
	       strspn(s, chars) == (size_t)(dash - s) &&
	       strspn(dash + 1, chars) >= (size_t)(s + len - dash - 1);
}

static bool has_system(const struct image_settings *image, const char *s,
		       size_t len)
{
	for (size_t i = 0; i < image->nr_systems; i++)
		if (is_word(image->systems[i], s, len))
			return true;
	return false;
}

static int add_systems(struct image_settings *image, const char *s,
		       struct err *err)
{
	size_t alloc = 0;

	for (; *s; s += strspn(s, " \t")) {
		size_t len = strcspn(s, " \t");

		if (!is_system(s, len))
			return err_set(err, ERR_MALFORMED,
				       "systems are such as x86_64-linux, "
				       "divided by blanks");
		if (has_system(image, s, len))
			return err_set(err, ERR_MALFORMED,
				       "systems has one of them twice");
		ALLOC_GROW(image->systems, image->nr_systems, alloc);
		image->systems[image->nr_systems++] = xstrndup(s, len);
		s += len;
	}
	return 0;
}

static int parse_systems(struct image_settings *image, const char *value,
			 size_t len, struct err *err)
{
	autofree char *s = xstrndup(value, len);

	for (size_t i = 0; i < image->nr_systems; i++)
		free(image->systems[i]);
	image->nr_systems = 0;
	free(image->systems);
	image->systems = NULL;
	return add_systems(image, s, err);
}

static void set_string(void *field, const char *value, size_t len)
{
	char **out = field;

	free(*out);
	*out = xstrndup(value, len);
}

static int parse_file(const struct setting *setting, void *field,
		      const char *value, size_t len, struct err *err)
{
	if (value[0] != '/')
		return err_set(err, ERR_MALFORMED, "%s is an absolute path",
			       setting->key);
	set_string(field, value, len);
	return 0;
}

static int parse_url(void *field, const char *value, size_t len,
		     struct err *err)
{
	autofree char *url = xstrndup(value, len);
	autoflakeref ref = FLAKEREF_INIT;

	if (strpbrk(url, " \t"))
		return err_set(err, ERR_MALFORMED,
			       "url has a blank in it: in git+file: "
			       "and others it is written %%20");
	if (flakeref_parse(&ref, url, err) < 0)
		return err_wrap(err, "url");
	if (ref.kind == FLAKEREF_PATH && !strstr(ref.base, ":/"))
		return err_set(err, ERR_MALFORMED,
			       "url: an absolute path follows path:");
	set_string(field, value, len);
	return 0;
}

int setting_parse(const struct setting *setting, void *base, const char *value,
		  size_t len, struct err *err)
{
	void *field = (char *)base + setting->offset;

	if (!len)
		return err_set(err, ERR_MALFORMED, "%s has no value",
			       setting->key);
	switch (setting->type) {
	case SETTING_TIME:
	case SETTING_SIZE:
	case SETTING_NUMBER:
		return parse_int_value(setting, field, value, len, err);
	case SETTING_BOOL:
		return parse_bool(setting, field, value, len, err);
	case SETTING_WORD:
		return parse_word(setting, field, value, len, err);
	case SETTING_SYSTEMS:
		return parse_systems(base, value, len, err);
	case SETTING_FILE:
		return parse_file(setting, field, value, len, err);
	case SETTING_URL:
		return parse_url(field, value, len, err);
	}
	assert(!"a setting's type");
	return -1;
}
