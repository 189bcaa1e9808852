// SPDX-License-Identifier: MIT
#ifndef COMMON_SOURCE_H
#define COMMON_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/closure.h"
#include "common/layer.h"
#include "common/probe.h"
#include "common/strbuf.h"

/*
 * A source is a built flake output seen as an image: which layers it has and
 * what its image config is. There is a kind of source for each thing that a
 * flake output can be (docs/ARCHITECTURE.md has them), a row in the table of
 * source.c and a file source_KIND.c each. A source only reads the store.
 */

/* What is known of an output before it is looked at. */
struct source_output {
	const char *path;	       /* its store path, or a file in one */
	const struct closure *closure; /* of that path */
	const struct probe *probe;     /* of its derivation */
	const char *system;	       /* "x86_64-linux" */
	int64_t now;	   /* what "now" in it means, seconds since 1970 */
	size_t max_layers; /* 2 or more; an image may ask for fewer */
};

struct json_object;
struct source_kind;

struct source {
	const struct source_kind *kind;
	struct layer_input *inputs; /* from the bottom up */
	size_t nr;
	/* 0 if the output itself says which paths share a layer. */
	unsigned int plan_version;
	/* "name:tag" that the image gives itself, or NULL. */
	char *repo_tag;
	struct json_object *annotations; /* of a manifest of ours, or NULL */
	/* The manifest's bytes where they are the output's own, or NULL. */
	char *manifest;
	enum media_type media_type; /* of the manifest, whosever it is */
	/* Of an index, which is then what manifest is; else none. */
	struct source *members;
	size_t nr_members;
	/*
	 * What the inputs become, without the keys, where the output itself
	 * says so; or NULL.
	 */
	struct layer *known;
	char *warning; /* what is told of it, though it is an image; or NULL */
	void *data;    /* the kind's own */
};

struct source_kind {
	const char *name; /* in records and `inspect`: "dockertools-conf" */
	/* An output that is a symlink is shown as it is: its name is wanted. */
	bool follows_itself;
	/* Is the output of this kind? 1, 0, or -1 and err. */
	int (*matches)(const struct source_output *output, struct err *err);
	/* Fill in inputs, nr, plan_version, repo_tag, data. */
	int (*open)(struct source *source, const struct source_output *output,
		    struct err *err);
	/* The image config's bytes, when the layers are known. */
	int (*config)(const struct source *source, const struct layer *layers,
		      struct strbuf *out, struct err *err);
	void (*release)(struct source *source);
};

#define SOURCE_INIT                                                            \
	{                                                                      \
		.kind = NULL, .media_type = MEDIA_MANIFEST                     \
	}

/*
 * Find the kind of an output and open it. ERR_REFUSED if it is of none that
 * is known, ERR_MALFORMED if it breaks its format: the message then names the
 * file, the key and what was expected.
 */
MUST_CHECK int source_open(struct source *source,
			   const struct source_output *output, struct err *err);

/*
 * Append the image config of the layers that were made of source->inputs
 * (image-spec, config.md).
 */
MUST_CHECK int source_config(const struct source *source,
			     const struct layer *layers, struct strbuf *out,
			     struct err *err);

void source_release(struct source *source);
#define autosource __attribute__((cleanup(source_release))) struct source

#endif
