// SPDX-License-Identifier: MIT
#include "common/record.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/limits.h"

#include "common/banned.h"

/* Of the JSON: a reader refuses a newer one. */
#define FORMAT_VERSION 1

struct text_field {
	const char *key;
	size_t offset;
	bool optional;
};

#define TEXT(key, member, optional)                                            \
	{                                                                      \
		key, offsetof(struct record, member), optional                 \
	}

static const struct text_field text_fields[] = {
	TEXT("flake", flake, false),
	TEXT("url", url, false),
	TEXT("narHash", nar_hash, false),
	TEXT("revision", revision, false),
	TEXT("locks", locks, false),
	TEXT("reason", reason, true),
	TEXT("system", system, false),
	TEXT("attributePath", attribute_path, false),
	TEXT("composition", composition, true),
	TEXT("drvPath", drv_path, false),
	TEXT("output", output, false),
	TEXT("outputPath", output_path, false),
	TEXT("kind", kind, false),
	TEXT("repoTag", repo_tag, true),
	TEXT("compression", compression, false),
	TEXT("config", config, false),
	TEXT("manifest", manifest, true),
};

static char **text_of(const struct record *record,
		      const struct text_field *field)
{
	return (char **)((char *)(uintptr_t)record + field->offset);
}

void record_release(struct record *record)
{
	for (size_t i = 0; i < ARRAY_SIZE(text_fields); i++)
		free(*text_of(record, &text_fields[i]));
	for (size_t i = 0; i < record->nr; i++)
		layer_input_release(&record->inputs[i]);
	free(record->inputs);
	free(record->layers);
	json_object_put(record->annotations);
	*record = (struct record)RECORD_INIT;
}

static void add_digest(struct json_object *json, const char *key,
		       const struct digest *digest)
{
	char str[DIGEST_STR_SIZE];

	json_object_object_add(json, key,
			       json_object_new_string(digest_str(digest, str)));
}

static void add_int(struct json_object *json, const char *key, int64_t value)
{
	json_object_object_add(json, key, json_object_new_int64(value));
}

static struct json_object *layer_to_json(const struct layer_input *input,
					 const struct layer *layer)
{
	struct json_object *json = json_object_new_object();

	add_digest(json, "key", &layer->key);
	add_digest(json, "diffId", &layer->diff_id);
	add_int(json, "tarSize", (int64_t)layer->tar_size);
	add_digest(json, "digest", &layer->blob.digest);
	add_int(json, "size", (int64_t)layer->blob.size);
	json_object_object_add(json, "mediaType",
			       json_object_new_string(media_type_name(
				       layer->blob.media_type)));
	json_object_object_add(json, "input", layer_input_to_json(input));
	return json;
}

void record_format(struct strbuf *out, const struct record *record)
{
	autojson *json = json_object_new_object();
	struct json_object *layers = json_object_new_array();

	add_int(json, "version", FORMAT_VERSION);
	for (size_t i = 0; i < ARRAY_SIZE(text_fields); i++) {
		const char *text = *text_of(record, &text_fields[i]);

		if (text)
			json_object_object_add(json, text_fields[i].key,
					       json_object_new_string(text));
	}
	add_digest(json, "identity", &record->identity);
	json_object_object_add(json, "reproducible",
			       json_object_new_boolean(record->reproducible));
	if (record->lazy)
		json_object_object_add(json, "lazy",
				       json_object_new_boolean(true));
	add_int(json, "now", record->now);
	add_int(json, "created", record->created);
	add_int(json, "planVersion", record->plan_version);
	add_int(json, "maxLayers", record->max_layers);
	if (record->annotations)
		json_object_object_add(json, "annotations",
				       json_object_get(record->annotations));
	for (size_t i = 0; i < record->nr; i++)
		json_object_array_add(
			layers,
			layer_to_json(&record->inputs[i], &record->layers[i]));
	json_object_object_add(json, "layers", layers);
	json_format_compact(out, json);
	strbuf_addch(out, '\n');
}

static int read_layer(struct json_object *json, struct layer_input *input,
		      struct layer *layer, const char *name, struct err *err)
{
	const char *type;
	struct json_object *in;

	if (json_need_digest(json, "key", &layer->key, name, err) ||
	    json_need_digest(json, "diffId", &layer->diff_id, name, err) ||
	    json_need_bytes(json, "tarSize", &layer->tar_size, name, err) ||
	    json_need_digest(json, "digest", &layer->blob.digest, name, err) ||
	    json_need_bytes(json, "size", &layer->blob.size, name, err) ||
	    json_need_string(json, "mediaType", &type, name, err) ||
	    json_need_object(json, "input", &in, name, err))
		return -1;
	layer->blob.media_type = media_type_parse(type);
	if (layer->blob.media_type == MEDIA_NONE &&
	    strcmp(type, media_type_name(MEDIA_NONE)))
		return err_set(err, ERR_MALFORMED,
			       "%s: media type %s is not "
			       "known",
			       name, type);
	if (layer_input_from_json(input, in, err))
		return err_wrap(err, "%s", name);
	return 0;
}

static int read_layers(struct record *record, struct json_object *json,
		       const char *name, struct err *err)
{
	struct json_object *layers;
	size_t nr;

	if (json_need_array(json, "layers", &layers, name, err))
		return -1;
	nr = json_object_array_length(layers);
	record->inputs = xcalloc(nr, sizeof(*record->inputs));
	record->layers = xcalloc(nr, sizeof(*record->layers));
	for (; record->nr < nr; record->nr++) {
		struct json_object *layer =
			json_object_array_get_idx(layers, record->nr);

		if (read_layer(layer, &record->inputs[record->nr],
			       &record->layers[record->nr], name, err))
			return err_wrap(err, "layer %zu", record->nr);
	}
	return 0;
}

static int read_fields(struct record *record, struct json_object *json,
		       const char *name, struct err *err)
{
	int64_t version = 0, plan_version = 0;

	if (json_need_int(json, "version", &version, name, err))
		return -1;
	if (version != FORMAT_VERSION)
		return err_set(err, ERR_REFUSED,
			       "%s has version %jd and this flakehub reads %d",
			       name, (intmax_t)version, FORMAT_VERSION);
	for (size_t i = 0; i < ARRAY_SIZE(text_fields); i++) {
		const struct text_field *field = &text_fields[i];
		const char *text = NULL;

		if (field->optional ? json_want_string(json, field->key, &text,
						       name, err)
				    : json_need_string(json, field->key, &text,
						       name, err))
			return -1;
		if (text)
			*text_of(record, field) = xstrdup(text);
	}
	if (json_need_digest(json, "identity", &record->identity, name, err) ||
	    json_want_bool(json, "reproducible", &record->reproducible, name,
			   err) ||
	    json_want_bool(json, "lazy", &record->lazy, name, err) ||
	    json_need_int(json, "now", &record->now, name, err) ||
	    json_need_int(json, "created", &record->created, name, err) ||
	    json_need_int(json, "planVersion", &plan_version, name, err) ||
	    json_need_int(json, "maxLayers", &record->max_layers, name, err))
		return -1;
	record->plan_version = (unsigned int)plan_version;
	if (json_want_object(json, "annotations", &record->annotations, name,
			     err))
		return -1;
	json_object_get(record->annotations);
	return read_layers(record, json, name, err);
}

int record_parse(struct record *record, const char *text, size_t len,
		 const char *name, struct err *err)
{
	autojson *json = NULL;

	*record = (struct record)RECORD_INIT;
	if (json_parse(&json, text, len, name, err))
		return -1;
	if (read_fields(record, json, name, err)) {
		record_release(record);
		return -1;
	}
	return 0;
}
