// SPDX-License-Identifier: MIT
#ifndef COMMON_SETTINGS_TABLE_H
#define COMMON_SETTINGS_TABLE_H

#include "common/settings.h"

/*
 * The one table of settings, which the parser, `flakehub config --defaults`
 * and the manual's test are held to.
 */

/* Which struct a setting is a field of, and so where it may be set. */
enum setting_scope {
	SETTING_GLOBAL, /* struct settings: before the first section */
	SETTING_IMAGE,	/* struct image_settings: there and in a section */
	SETTING_FLAKE,	/* struct flake_settings: in a section */
};

enum setting_type {
	SETTING_TIME,	 /* int64_t, seconds */
	SETTING_SIZE,	 /* int64_t, bytes */
	SETTING_NUMBER,	 /* int64_t */
	SETTING_BOOL,	 /* bool */
	SETTING_WORD,	 /* an enum, one of words */
	SETTING_SYSTEMS, /* char ** and size_t nr_systems */
	SETTING_FILE,	 /* char *, an absolute path */
	SETTING_URL,	 /* char *, a flake reference */
};

struct setting {
	const char *key;
	enum setting_scope scope;
	size_t offset; /* of the field in its struct */
	enum setting_type type;
	const char *standard;	  /* the default; NULL if there is none */
	const char *text;	  /* what it is, for people; one line */
	int64_t min, max;	  /* of TIME, SIZE, NUMBER */
	const char *const *words; /* of WORD, up to a NULL */
};

#define SETTINGS_NR 24
extern const struct setting settings_table[SETTINGS_NR];

/* The row of a key of len bytes, or NULL. */
const struct setting *setting_find(const char *key, size_t len);

/*
 * Parse exactly len bytes as the setting's value into its field of the
 * struct at base. The error says what is expected and never holds the value,
 * which may be a password.
 */
MUST_CHECK int setting_parse(const struct setting *setting, void *base,
			     const char *value, size_t len, struct err *err);

#endif
