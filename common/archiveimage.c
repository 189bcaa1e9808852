// SPDX-License-Identifier: MIT
#include "common/archive.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/limits.h"

#include "common/banned.h"

/* How many images an error names. */
#define NAMES_MAX 5

/* What the archive says is there and is not: its fault, not the caller's. */
static int malformed(struct err *err)
{
	if (err->code == ERR_UNKNOWN)
		err->code = ERR_MALFORMED;
	return -1;
}

/* Parse a member of at most max bytes; name is for messages. */
static int read_json(struct json_object **json, struct strbuf *text,
		     const char *file, const char *member, size_t max,
		     const char *name, struct err *err)
{
	if (archive_read(file, member, max, text, name, err))
		return malformed(err);
	return json_parse(json, text->buf, text->len, name, err);
}

/* The layers' names, and the members that they lead to. */
static int read_layers(struct archive_image *image, const char *file,
		       struct json_object *layers, const char *name,
		       struct err *err)
{
	size_t nr = json_object_array_length(layers);

	if (nr > IMAGE_LAYERS_MAX)
		return err_set(err, ERR_MALFORMED,
			       "%s: key 'Layers': more than %u of them", name,
			       IMAGE_LAYERS_MAX);
	image->layers = xcalloc(nr ? nr : 1, sizeof(*image->layers));
	for (; image->nr < nr; image->nr++) {
		struct archive_layer *layer = &image->layers[image->nr];
		const char *s = json_string_at(layers, image->nr);

		if (!s)
			return err_set(err, ERR_MALFORMED,
				       "%s: key 'Layers[%zu]': expected a "
				       "member's name",
				       name, image->nr);
		if (archive_resolve(file, s, &layer->member, err)) {
			malformed(err);
			return err_wrap(err, "key 'Layers[%zu]'", image->nr);
		}
		layer->name = xstrdup(s);
	}
	return 0;
}

static int read_diff_ids(struct archive_image *image, const char *name,
			 struct err *err)
{
	struct json_object *rootfs, *ids;
	size_t nr;

	if (json_need_object(image->config, "rootfs", &rootfs, name, err) ||
	    json_need_array(rootfs, "diff_ids", &ids, name, err))
		return -1;
	nr = json_object_array_length(ids);
	if (nr != image->nr)
		return err_set(err, ERR_MALFORMED,
			       "%s: key 'diff_ids': expected one for each of "
			       "the %zu layers, not %zu",
			       name, image->nr, nr);
	for (size_t i = 0; i < nr; i++) {
		const char *s = json_string_at(ids, i);
		struct err why = ERR_INIT;

		if (!s ||
		    digest_parse(&image->layers[i].diff_id, s, strlen(s), &why))
			return err_set(err, ERR_MALFORMED,
				       "%s: key 'diff_ids[%zu]': expected "
				       "\"sha256:\" and 64 hex digits",
				       name, i);
	}
	return 0;
}

static int read_config(struct archive_image *image, const char *file,
		       const char *config, struct err *err)
{
	autofree char *name = xasprintf("%s: %s", file, config);
	autostrbuf text = STRBUF_INIT;

	if (read_json(&image->config, &text, file, config, IMAGE_CONFIG_MAX,
		      name, err))
		return err_wrap(err, "key 'Config'");
	image->config_text = strbuf_detach(&text, NULL);
	return read_diff_ids(image, name, err);
}

/* Its first tag, or NULL. They are only told: one that is no string is none. */
static const char *first_tag(struct json_object *image)
{
	struct json_object *tags;

	if (json_object_object_get_ex(image, "RepoTags", &tags) &&
	    json_object_is_type(tags, json_type_array) &&
	    json_object_array_length(tags))
		return json_string_at(tags, 0);
	return NULL;
}

/* One that is listed twice is one image, with one image config. */
static void name_several(struct archive_image *image,
			 struct json_object *manifest, const char *config)
{
	size_t nr = json_object_array_length(manifest), others = 0;
	autostrbuf names = STRBUF_INIT;

	for (size_t i = 0; i < nr; i++) {
		struct json_object *entry =
			json_object_array_get_idx(manifest, i);
		const char *name = first_tag(entry), *own = NULL;
		struct err ignored = ERR_INIT;

		if (json_need_string(entry, "Config", &own, "", &ignored))
			own = "one without a config";
		others += strcmp(own, config) != 0;
		if (i < NAMES_MAX)
			strbuf_addf(&names, "%s%s", i ? ", " : "",
				    name ? name : own);
		else if (i == NAMES_MAX)
			strbuf_addstr(&names, ", …");
	}
	if (others)
		image->several = strbuf_detach(&names, NULL);
}

static int read_image(struct archive_image *image, const char *file,
		      struct err *err)
{
	autofree char *name = xasprintf("%s: manifest.json", file);
	autojson *manifest = NULL;
	autostrbuf text = STRBUF_INIT;
	struct json_object *first, *layers;
	const char *config;

	if (read_json(&manifest, &text, file, "manifest.json",
		      ARCHIVE_MANIFEST_MAX, name, err))
		return -1;
	if (!json_object_is_type(manifest, json_type_array) ||
	    !json_object_array_length(manifest))
		return err_set(err, ERR_MALFORMED,
			       "%s: expected an array of one image or more",
			       name);
	first = json_object_array_get_idx(manifest, 0);
	if (json_need_string(first, "Config", &config, name, err) ||
	    json_need_array(first, "Layers", &layers, name, err) ||
	    read_layers(image, file, layers, name, err) ||
	    read_config(image, file, config, err))
		return -1;
	if (first_tag(first))
		image->repo_tag = xstrdup(first_tag(first));
	name_several(image, manifest, config);
	return 0;
}

int archive_image_read(struct archive_image *image, const char *file,
		       struct err *err)
{
	*image = (struct archive_image)ARCHIVE_IMAGE_INIT;
	/* A file that is not there is told from a member that is not. */
	if (archive_has(file, "manifest.json", err) < 0)
		return -1;
	if (!read_image(image, file, err))
		return 0;
	archive_image_release(image);
	return -1;
}

void archive_image_release(struct archive_image *image)
{
	for (size_t i = 0; i < image->nr; i++) {
		free(image->layers[i].name);
		free(image->layers[i].member);
	}
	free(image->layers);
	free(image->config_text);
	free(image->repo_tag);
	free(image->several);
	json_object_put(image->config);
	*image = (struct archive_image)ARCHIVE_IMAGE_INIT;
}
