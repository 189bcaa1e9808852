// SPDX-License-Identifier: MIT
#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "common/isotime.h"
#include "common/tar.h"

struct json_object;

/*
 * A conf: the JSON file that dockerTools.streamLayeredImage makes of an image
 * for its script, in each of its three generations, or that
 * flakehubTools.streamLayeredImageConf makes of it. What is in a struct conf
 * has the right type, and every path in it is one in the store; whether that
 * is there is not looked at.
 */
struct conf {
	struct json_object *json; /* the strings below live in it */
	const char *file;	  /* for messages; the caller's */
	const char *architecture;
	const char *os;
	struct json_object *config;	 /* an object, or NULL for null */
	const char *from_image;		 /* or NULL */
	const char *customisation_layer; /* or NULL */
	/* An array of arrays of store paths; NULL in ours, which has roots. */
	struct json_object *store_layers;
	struct json_object *roots; /* an array of paths, or NULL */
	int64_t max_layers;	   /* ours: 1 or more */
	bool include_store_paths;  /* ours */
	const char *repo_tag;	   /* "name:tag", or NULL */
	struct isotime created;
	struct tar_options options; /* of store paths */
};

#define CONF_INIT                                                              \
	{                                                                      \
		.json = NULL                                                   \
	}

/* Is the file at a store path a conf, by name or by content? 1, 0, or -1. */
int conf_matches(const char *file, struct err *err);

/*
 * Read a conf. now is what "now" means in it, seconds after 1970.
 * ERR_MALFORMED names the file, the key and what was expected.
 */
MUST_CHECK int conf_read(struct conf *conf, const char *file, int64_t now,
			 struct err *err);
void conf_release(struct conf *conf);
#define autoconf __attribute__((cleanup(conf_release))) struct conf

#endif
