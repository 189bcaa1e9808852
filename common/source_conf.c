// SPDX-License-Identifier: MIT
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/archive.h"
#include "common/conf.h"
#include "common/imageconfig.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/source_kinds.h"
#include "common/sourceinput.h"
#include "common/store.h"

#include "common/banned.h"

/* What is needed for the image config when the layers are known. */
struct conf_image {
	struct conf conf;
	char *file;
	struct json_object *config; /* with the base image's Env; or NULL */
};

/* A source that is being filled in. */
struct opening {
	struct source *source;
	const struct source_output *output;
	const struct conf *conf;
};

static int matches(const struct source_output *output, struct err *err)
{
	return conf_matches(output->path, err);
}

static struct layer_input *add_input(struct opening *o, enum layer_kind kind)
{
	struct tar_options options = o->conf->options;

	/* The owner is that of store paths alone. */
	if (kind != LAYER_STORE_PATHS) {
		options.uid = options.gid = 0;
		options.uname = options.gname = "root";
	}
	return source_add_input(o->source, kind, &options);
}

/*
 * The index in the closure of the store path that path is or lies in; key is
 * for the message.
 */
static ssize_t find(const struct opening *o, const char *path, const char *key,
		    struct err *err)
{
	autofree char *store_path = xstrndup(path, store_path_len(path));
	ssize_t index = closure_find(o->output->closure, store_path);

	if (index < 0)
		err_set(err, ERR_MALFORMED,
			"%s: key '%s': expected a path in the conf's closure, "
			"not %s",
			o->conf->file, key, path);
	return index;
}

/* The layers of from_image, and its Env. */
static int add_base(struct opening *o, struct json_object **config,
		    struct err *err)
{
	const struct conf *conf = o->conf;
	autoarchiveimage image = ARCHIVE_IMAGE_INIT;
	struct json_object *base = NULL;

	if (find(o, conf->from_image, "from_image", err) < 0)
		return -1;
	if (archive_image_read(&image, conf->from_image, err) ||
	    json_want_object(image.config, "config", &base, conf->from_image,
			     err) ||
	    imageconfig_merge(config, conf->config, conf->file, base,
			      conf->from_image, err))
		return err_wrap(err, "%s: key 'from_image'", conf->file);
	for (size_t i = 0; i < image.nr; i++) {
		struct layer_input *input = add_input(o, LAYER_MEMBER);
		const char *name = image.layers[i].name;

		input->file = xstrdup(conf->from_image);
		input->member = xstrdup(image.layers[i].member);
		input->has_diff_id = true;
		input->diff_id = image.layers[i].diff_id;
		input->comment = layer_comment("store paths", &name, 1);
	}
	return 0;
}

/* The layers that the conf itself lists. */
static int add_store_layers(struct opening *o, struct err *err)
{
	struct json_object *layers = o->conf->store_layers;

	for (size_t i = 0; i < json_object_array_length(layers); i++) {
		struct json_object *paths =
			json_object_array_get_idx(layers, i);
		struct layer_input *input = add_input(o, LAYER_STORE_PATHS);
		autofree char *key = xasprintf("store_layers[%zu]", i);

		for (size_t j = 0; j < json_object_array_length(paths); j++) {
			const char *path = json_string_at(paths, j);
			ssize_t index = find(o, path, key, err);

			if (index < 0)
				return -1;
			layer_input_add_path(input, path,
					     &o->output->closure->paths[index]);
		}
		layer_input_comment(input, "store paths");
	}
	return 0;
}

/*
 * The paths that are to be in the image: what the conf's references need, but
 * for the archive and the layer that are layers themselves.
 */
static unsigned char *wanted_paths(const struct opening *o, struct err *err)
{
	const struct closure *closure = o->output->closure;
	const struct conf *conf = o->conf;
	autofree unsigned char *wanted = xcalloc(closure->nr + 1, 1);
	const char *path = o->output->path;
	autofree char *in = xstrndup(path, store_path_len(path));
	ssize_t self = closure_find(closure, in);
	ssize_t base = -1, top = -1;

	assert(self >= 0);
	if (conf->from_image &&
	    (base = find(o, conf->from_image, "from_image", err)) < 0)
		return NULL;
	if (conf->customisation_layer &&
	    (top = find(o, conf->customisation_layer, "customisation_layer",
			err)) < 0)
		return NULL;
	for (size_t i = 0; i < closure->paths[self].nr_edges; i++) {
		size_t edge = closure->paths[self].edges[i];

		if ((ssize_t)edge != base && (ssize_t)edge != top)
			closure_mark(closure, edge, wanted);
	}
	return steal_ptr(&wanted);
}

/* How many layers of store paths there may be: one at least. */
static size_t layers_left(const struct opening *o)
{
	size_t max = o->output->max_layers, taken = o->source->nr;

	if ((uint64_t)o->conf->max_layers < max)
		max = (size_t)o->conf->max_layers;
	if (o->conf->customisation_layer ||
	    json_object_array_length(o->conf->roots))
		taken++;
	return max > taken ? max - taken : 1;
}

static int add_planned_layers(struct opening *o, struct err *err)
{
	const struct closure *closure = o->output->closure;
	autofree unsigned char *wanted = wanted_paths(o, err);

	if (!wanted)
		return -1;
	source_add_planned(o->source, closure, wanted, layers_left(o),
			   &o->conf->options);
	return 0;
}

/* The SHA-256 in hex that stands beside layer.tar. */
static int read_checksum(const char *dir, struct digest *digest,
			 struct err *err)
{
	autofree char *file = xasprintf("%s/checksum", dir);
	autoclose int fd = store_open(file, O_RDONLY | O_NONBLOCK, err);
	autostrbuf text = STRBUF_INIT;
	struct err why = ERR_INIT;
	size_t len;

	if (fd < 0 || strbuf_read(&text, fd, SMALL_FILE_MAX, file, err))
		return -1;
	len = text.len;
	while (len && strchr(" \t\r\n", text.buf[len - 1]))
		len--;
	if (digest_parse_hex(digest, text.buf, len, &why))
		return err_set(err, ERR_MALFORMED,
			       "%s: expected a SHA-256 in hex digits", file);
	return 0;
}

static int add_customisation_layer(struct opening *o, struct err *err)
{
	const char *dir = o->conf->customisation_layer;
	struct layer_input *input;

	if (find(o, dir, "customisation_layer", err) < 0)
		return -1;
	input = add_input(o, LAYER_FILE);
	input->file = xasprintf("%s/layer.tar", dir);
	input->has_diff_id = true;
	input->comment = layer_comment("store paths", &dir, 1);
	if (read_checksum(dir, &input->diff_id, err))
		return err_wrap(err, "%s: key 'customisation_layer'",
				o->conf->file);
	return 0;
}

/* The symlinks to what is in roots. */
static int add_links(struct opening *o, struct err *err)
{
	struct json_object *roots = o->conf->roots;
	struct layer_input *input = add_input(o, LAYER_LINKS);

	for (size_t i = 0; i < json_object_array_length(roots); i++) {
		const char *path = json_string_at(roots, i);
		ssize_t index = find(o, path, "roots", err);

		if (index < 0)
			return -1;
		layer_input_add_path(input, path,
				     &o->output->closure->paths[index]);
	}
	layer_input_comment(input, "links into store paths");
	return 0;
}

static int add_inputs(struct opening *o, struct json_object **config,
		      struct err *err)
{
	const struct conf *conf = o->conf;

	if (conf->from_image) {
		if (add_base(o, config, err))
			return -1;
	} else {
		*config = json_object_get(conf->config);
	}
	if (conf->store_layers
		    ? add_store_layers(o, err)
		    : conf->include_store_paths && add_planned_layers(o, err))
		return -1;
	if (conf->customisation_layer)
		return add_customisation_layer(o, err);
	/* Some clients take no image without a layer. */
	if (json_object_array_length(conf->roots) || !o->source->nr)
		return add_links(o, err);
	return 0;
}

static int open_conf(struct source *source, const struct source_output *output,
		     struct err *err)
{
	struct conf_image *image = xcalloc(1, sizeof(*image));
	struct opening o = { .source = source,
			     .output = output,
			     .conf = &image->conf };

	source->data = image;
	image->file = xstrdup(output->path);
	if (conf_read(&image->conf, image->file, output->now, err) ||
	    add_inputs(&o, &image->config, err))
		return -1;
	if (image->conf.repo_tag)
		source->repo_tag = xstrdup(image->conf.repo_tag);
	return 0;
}

static int config(const struct source *source, const struct layer *layers,
		  struct strbuf *out, struct err *err)
{
	const struct conf_image *image = source->data;
	char created[ISOTIME_SIZE];
	const struct imageconfig format = {
		.created = isotime_format(&image->conf.created, created),
		.architecture = image->conf.architecture,
		.os = image->conf.os,
		.config = image->config,
	};

	imageconfig_format(out, &format, source->inputs, layers, source->nr);
	return 0;
}

static void release(struct source *source)
{
	struct conf_image *image = source->data;

	json_object_put(image->config);
	conf_release(&image->conf);
	free(image->file);
	free(image);
}

const struct source_kind source_conf = {
	.name = "dockertools-conf",
	.matches = matches,
	.open = open_conf,
	.config = config,
	.release = release,
};
