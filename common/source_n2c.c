// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/index.h"
#include "common/isotime.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/pathoptions.h"
#include "common/pattern.h"
#include "common/source_kinds.h"
#include "common/sourceinput.h"
#include "common/store.h"

#include "common/banned.h"

/*
 * nix2container's image, one JSON file. It knows the digests of its layers, so
 * manifest and config need none of them.
 */

/* A source that is being filled in. */
struct opening {
	struct source *source;
	const struct source_output *output;
	const char *file;
	struct pattern_budget budget;
	bool unknown; /* a layer whose size only its making tells */
};

/* Read the file if it is one of ours by its keys: 1, 0, or -1 and err. */
static int read_json(struct json_object **json, const char *file,
		     struct err *err)
{
	static const char *const keys[] = { "version", "image-config",
					    "layers" };
	struct err why = ERR_INIT;
	autoclose int fd = store_open(file, O_RDONLY | O_NONBLOCK, &why);
	struct stat st;
	char first;
	ssize_t n;

	if (fd < 0 && why.code == ERR_REFUSED)
		return 0;
	if (fd < 0 || fstat(fd, &st)) {
		*err = why;
		return fd < 0 ? -1 : err_errno(err, "%s", file);
	}
	if (!S_ISREG(st.st_mode))
		return 0;
	n = pread_all(fd, &first, 1, 0);
	if (n < 0)
		return err_errno(err, "cannot read %s", file);
	if (n != 1 || first != '{')
		return 0;
	/* Whatever image it was to be. */
	if (st.st_size > CONF_MAX)
		return err_set(err, ERR_MALFORMED,
			       "%s: a JSON of %jd bytes, and an image's has "
			       "%u at most",
			       file, (intmax_t)st.st_size, CONF_MAX);
	if (json_read(json, fd, CONF_MAX, file, &why))
		return why.code == ERR_MALFORMED ? 0 : (*err = why, -1);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!json_object_object_get_ex(*json, keys[i], NULL))
			return 0;
	return 1;
}

static int matches(const struct source_output *output, struct err *err)
{
	autojson *json = NULL;

	return read_json(&json, output->path, err);
}

static int find(const struct opening *o, const char *path, size_t *index,
		const char *name, struct err *err)
{
	ssize_t found = -1;

	if (store_has_path(path)) {
		autofree char *store_path =
			xstrndup(path, store_path_len(path));

		found = closure_find(o->output->closure, store_path);
	}
	*index = (size_t)found;
	if (found >= 0)
		return 0;
	return err_set(err, ERR_MALFORMED,
		       "%s: expected a path in the image's closure, not %s",
		       name, path);
}

/* The options are looked at right away, so that what is wrong is told now. */
static int add_path(struct opening *o, struct layer_input *input,
		    struct json_object *json, const char *name, struct err *err)
{
	struct json_object *options = NULL;
	struct path_options *parsed;
	const char *path;
	size_t index;

	if (json_need_string(json, "path", &path, name, err) ||
	    find(o, path, &index, name, err) ||
	    json_want_object(json, "options", &options, name, err))
		return -1;
	json_object_object_foreach(json, key, value)
	{
		(void)value;
		if (strcmp(key, "path") && strcmp(key, "options"))
			return err_set(err, ERR_REFUSED,
				       "%s: the key '%s' of %s is not known",
				       name, key, path);
	}
	layer_input_add_path(input, path, &o->output->closure->paths[index]);
	if (!options)
		return 0;
	if (path_options_new(&parsed, options, &o->budget, path, err))
		return err_wrap(err, "%s", name);
	path_options_free(parsed);
	input->paths[input->nr_paths - 1].options = json_object_get(options);
	return 0;
}

static int add_tree(struct opening *o, struct json_object *paths,
		    const struct layer *layer, const char *name,
		    struct err *err)
{
	static const struct tar_options options = {
		.dialect = TAR_NIX2CONTAINER,
		.nix_mode = 0755,
		.mtime = 1,
		.uname = "root",
		.gname = "root",
	};
	struct layer_input *input =
		source_add_input(o->source, LAYER_TREE, &options);

	if (layer->blob.media_type != MEDIA_LAYER ||
	    !digest_equal(&layer->blob.digest, &layer->diff_id))
		return err_set(err, ERR_REFUSED,
			       "%s: a layer of paths is a plain tar, whose "
			       "digest is its diff ID",
			       name);
	input->has_diff_id = true;
	input->diff_id = layer->diff_id;
	input->blob.size = layer->blob.size;
	for (size_t i = 0; i < json_object_array_length(paths); i++)
		if (add_path(o, input, json_object_array_get_idx(paths, i),
			     name, err))
			return -1;
	o->unknown |= !layer->blob.size;
	return 0;
}

static int add_blob(struct opening *o, const char *path, struct layer *layer,
		    const char *name, struct err *err)
{
	static const struct tar_options none = { .uname = "", .gname = "" };
	struct layer_input *input =
		source_add_input(o->source, LAYER_BLOB, &none);
	autostrbuf file = STRBUF_INIT;
	struct stat st;
	size_t index;

	strbuf_addstr(&file, path);
	if (find(o, path, &index, name, err) || store_follow(&file, &st, err))
		return -1;
	if (!layer->blob.size)
		layer->blob.size = (uint64_t)st.st_size;
	if (S_ISREG(st.st_mode) && layer->blob.size != (uint64_t)st.st_size)
		return err_set(err, ERR_MALFORMED,
			       "%s: key 'size': %s has %jd bytes, not %ju",
			       name, path, (intmax_t)st.st_size,
			       (uintmax_t)layer->blob.size);
	input->file = strbuf_detach(&file, NULL);
	input->blob = layer->blob;
	input->has_diff_id = true;
	input->diff_id = layer->diff_id;
	return 0;
}

static int add_layer(struct opening *o, struct json_object *json,
		     struct layer *layer, const char *name, struct err *err)
{
	struct json_object *paths = NULL;
	const char *type, *path = NULL;
	int64_t size = 0;

	if (json_need_digest(json, "digest", &layer->blob.digest, name, err) ||
	    json_need_digest(json, "diff_ids", &layer->diff_id, name, err) ||
	    json_need_string(json, "mediatype", &type, name, err) ||
	    json_want_int(json, "size", &size, name, err) ||
	    json_want_string(json, "layer-path", &path, name, err) ||
	    json_want_array(json, "paths", &paths, name, err))
		return -1;
	layer->blob.media_type = media_type_parse(type);
	if (size < 0 || layer->blob.media_type < MEDIA_LAYER ||
	    layer->blob.media_type > MEDIA_LAYER_ZSTD)
		return err_set(err, ERR_MALFORMED,
			       size < 0 ? "%s: key 'size': expected a number "
					  "of bytes"
					: "%s: media type %s: expected that "
					  "of an OCI layer",
			       name, type);
	layer->blob.size = (uint64_t)size;
	if (path && *path)
		return add_blob(o, path, layer, name, err);
	if (!paths)
		return err_set(err, ERR_MALFORMED,
			       "%s: expected 'paths' or 'layer-path'", name);
	layer->tar_size = layer->blob.size;
	return add_tree(o, paths, layer, name, err);
}

static int add_layers(struct opening *o, struct json_object *list,
		      struct err *err)
{
	size_t nr = json_object_array_length(list);

	if (nr > IMAGE_LAYERS_MAX)
		return err_set(err, ERR_MALFORMED,
			       "%s: key 'layers': more than %u of them",
			       o->file, IMAGE_LAYERS_MAX);
	o->source->known = xcalloc(nr + 1, sizeof(*o->source->known));
	for (size_t i = 0; i < nr; i++) {
		autofree char *name =
			xasprintf("%s: key 'layers[%zu]'", o->file, i);

		if (add_layer(o, json_object_array_get_idx(list, i),
			      &o->source->known[i], name, err))
			return -1;
	}
	if (o->unknown) {
		free(o->source->known);
		o->source->known = NULL;
	}
	return 0;
}

/* Copy a key, if it is there, under another name. */
static void copy(struct json_object *to, const char *as,
		 struct json_object *from, const char *key)
{
	struct json_object *value;

	if (json_object_object_get_ex(from, key, &value) && value)
		json_object_object_add(to, as, json_object_get(value));
}

static void add_text(struct json_object *json, const char *key,
		     const char *text)
{
	json_object_object_add(json, key, json_object_new_string(text));
}

/* RFC 3339 alone, which is less than ISO 8601: clients are written in Go. */
static bool is_time(const char *text)
{
	struct isotime time;
	struct err why = ERR_INIT;
	size_t len = strlen(text);

	if (isotime_parse(&time, text, &why) || len < 20 || text[10] != 'T' ||
	    text[16] != ':' || strchr(text, ','))
		return false;
	return text[len - 1] == 'Z' ||
	       (text[len - 3] == ':' && strchr("+-", text[len - 6]));
}

/* They go into the image config; an arch of "" is none. */
static int read_made_for(const char **arch, struct json_object *json,
			 const char *file, struct err *err)
{
	const char *created = NULL;

	*arch = "";
	if (json_want_string(json, "created", &created, file, err) ||
	    json_want_string(json, "arch", arch, file, err))
		return -1;
	if (created && !is_time(created))
		return err_set(err, ERR_MALFORMED,
			       "%s: key 'created': expected a time like "
			       "2024-02-29T12:34:56+02:00",
			       file);
	if (!**arch)
		*arch = "amd64";
	if (!platform_is_word(*arch))
		return err_set(err, ERR_MALFORMED,
			       "%s: key 'arch': expected a GOARCH", file);
	return 0;
}

/* Keys in the order in which Go writes an image config. */
static struct json_object *make_config(struct json_object *json,
				       const char *arch,
				       struct json_object *layers)
{
	struct json_object *config = json_object_new_object();
	struct json_object *rootfs = json_object_new_object();
	struct json_object *ids = json_object_new_array();
	struct json_object *history = json_object_new_array();

	copy(config, "created", json, "created");
	add_text(config, "architecture", arch);
	add_text(config, "os", "linux");
	copy(config, "config", json, "image-config");
	for (size_t i = 0; i < json_object_array_length(layers); i++) {
		struct json_object *layer =
			json_object_array_get_idx(layers, i);
		struct json_object *entry;

		json_object_array_add(ids,
				      json_object_get(json_object_object_get(
					      layer, "diff_ids")));
		if (json_object_object_get_ex(layer, "History", &entry) &&
		    json_object_is_type(entry, json_type_object))
			json_object_array_add(history, json_object_get(entry));
	}
	add_text(rootfs, "type", "layers");
	json_object_object_add(rootfs, "diff_ids", ids);
	json_object_object_add(config, "rootfs", rootfs);
	if (json_object_array_length(history) ==
	    json_object_array_length(layers))
		json_object_object_add(config, "history", history);
	else
		json_object_put(history);
	return config;
}

/* Its layers may be null, as Go writes an empty list. */
static int fill(struct opening *o, struct json_object *json, struct err *err)
{
	autojson *none = json_object_new_array();
	struct json_object *layers = none, *image_config;
	autojson *config = NULL;
	autostrbuf text = STRBUF_INIT;
	const char *arch;
	int64_t version;

	if (json_need_int(json, "version", &version, o->file, err) ||
	    json_need_object(json, "image-config", &image_config, o->file,
			     err) ||
	    read_made_for(&arch, json, o->file, err) ||
	    json_want_array(json, "layers", &layers, o->file, err))
		return -1;
	if (version != 1)
		return err_set(err, ERR_REFUSED,
			       "%s: key 'version': expected 1, not %jd",
			       o->file, (intmax_t)version);
	if (add_layers(o, layers, err))
		return -1;
	config = make_config(json, arch, layers);
	json_format_compact(&text, config);
	o->source->data = strbuf_detach(&text, NULL);
	return 0;
}

static int open_image(struct source *source, const struct source_output *output,
		      struct err *err)
{
	struct opening o = { .source = source,
			     .output = output,
			     .file = output->path,
			     .budget = PATTERN_BUDGET_INIT };
	autojson *json = NULL;
	int rc = read_json(&json, output->path, err);

	if (rc < 0)
		return -1;
	if (!rc)
		return err_set(err, ERR_MALFORMED, "%s has changed",
			       output->path);
	return fill(&o, json, err);
}

const struct source_kind source_n2c = {
	.name = "nix2container",
	.matches = matches,
	.open = open_image,
	.config = source_own_config,
	.release = source_free_own_config,
};
