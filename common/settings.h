// SPDX-License-Identifier: MIT
#ifndef COMMON_SETTINGS_H
#define COMMON_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compression.h"
#include "common/digest.h"
#include "common/flakeref.h"
#include "common/reference.h"
#include "common/strbuf.h"

/*
 * The operator's settings, flakehub.conf(5). Read once at start; what is in a
 * struct settings has passed every check of the table.
 */

#define SETTINGS_DEFAULT_FILE "/etc/flakehub/flakehub.conf"

enum settings_sendfile {
	SENDFILE_X_SENDFILE,
	SENDFILE_X_ACCEL_REDIRECT,
	SENDFILE_NONE,
};

/* What a named flake's section may set for itself. Times in seconds. */
struct image_settings {
	char **systems; /* "x86_64-linux"; the first is the default */
	size_t nr_systems;
	enum compression compression;
	int64_t max_layers;
	int64_t max_age;
	int64_t stale_while_revalidate;
	int64_t stale_if_error;
	int64_t error_max_age;
};

struct flake_settings {
	char *name;	    /* "" for the unnamed flake */
	char *url;	    /* without user and password */
	struct login login; /* those, of an http URL; NULLs without */
	char *credentials;  /* file, or NULL */
	bool compose;
	struct image_settings image;
	/* Of the url: records and links of another url are not served. */
	struct digest id;
};

struct settings {
	char *cache_dir;
	struct image_settings image;
	int64_t refresh_timeout;    /* seconds */
	int64_t build_timeout;	    /* seconds */
	int64_t max_silent_time;    /* seconds */
	int64_t max_build_log_size; /* bytes */
	int64_t max_processes;
	int64_t max_builds;
	int64_t max_queue;
	int64_t cache_size;	/* bytes */
	int64_t record_max_age; /* seconds */
	bool sandbox_eval;
	int64_t eval_memory; /* bytes */
	bool import_from_derivation;
	enum settings_sendfile sendfile;
	struct flake_settings *flakes; /* in the order of the file */
	size_t nr_flakes;
};

/* The defaults, without any flake. */
void settings_init(struct settings *settings);
void settings_release(struct settings *settings);
#define autosettings __attribute__((cleanup(settings_release))) struct settings

/*
 * Read settings from text; file is for messages, "file:line: message", which
 * is ERR_MALFORMED. settings is initialised first.
 */
MUST_CHECK int settings_parse(struct settings *settings, const char *text,
			      size_t len, const char *file, struct err *err);

/*
 * Read the file given, else FLAKEHUB_CONFIG's, else SETTINGS_DEFAULT_FILE.
 * *path, which may be NULL, is the file read; the caller frees it.
 */
MUST_CHECK int settings_load(struct settings *settings, const char *file,
			     char **path, struct err *err);

/* Write every key with its default and its text, as a settings file. */
void settings_format_defaults(struct strbuf *out);

/*
 * The flake that a repository name belongs to, and in *attribute what is left
 * of the name for its attribute path ("" for HOST/blog of a flake blog).
 * *attribute points into name. NULL if no flake is set for it.
 */
const struct flake_settings *
settings_find_flake(const struct settings *settings,
		    const struct repository_name *name, const char **attribute);

#endif
