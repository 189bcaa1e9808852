// SPDX-License-Identifier: MIT
#ifndef COMMON_RECORD_H
#define COMMON_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/layer.h"
#include "common/strbuf.h"

struct json_object;

/*
 * The record of an image says where it came from and what every byte of it is
 * a function of, so that all its blobs can be made again when they are gone,
 * or refused with the reason. Its JSON is documented in docs/ARCHITECTURE.md.
 * Strings are the record's own.
 */
struct record {
	char *flake;	/* name of its section, "" for the unnamed */
	char *url;	/* pinned: that state of the source alone */
	char *nar_hash; /* of the source */
	char *revision; /* commit in hex, or "" */
	char *locks;	/* the flake's locks, JSON */
	struct digest identity;
	bool reproducible; /* from url, by anybody, later */
	/* Layers may be missing: the output says their digests. */
	bool lazy;
	char *reason;	      /* why not, or NULL */
	char *system;	      /* "x86_64-linux" */
	char *attribute_path; /* "packages.x86_64-linux.web" */
	/* "+bash+git": of packages in attribute_path; or NULL */
	char *composition;
	char *drv_path;
	char *output;		   /* of the derivation: "out" */
	char *output_path;	   /* its store path */
	char *kind;		   /* of source: "dockertools-conf" */
	char *repo_tag;		   /* what the image calls itself, or NULL */
	int64_t now;		   /* what "now" meant, seconds since 1970 */
	int64_t created;	   /* when the record was made, likewise */
	unsigned int plan_version; /* 0: the output planned its layers */
	int64_t max_layers;
	char *compression; /* compression_signature() */
	char *config;	   /* the image config's bytes */
	char *manifest;	   /* its bytes, where they are not ours; or NULL */
	/* Of a manifest of ours, an object of strings, or NULL. */
	struct json_object *annotations;
	struct layer_input *inputs; /* from the bottom up */
	struct layer *layers;	    /* what each of them became */
	size_t nr;
};

#define RECORD_INIT                                                            \
	{                                                                      \
		.flake = NULL                                                  \
	}

void record_release(struct record *record);
#define autorecord __attribute__((cleanup(record_release))) struct record

void record_format(struct strbuf *out, const struct record *record);
/* name is for messages. */
MUST_CHECK int record_parse(struct record *record, const char *text, size_t len,
			    const char *name, struct err *err);

#endif
