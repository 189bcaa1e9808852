// SPDX-License-Identifier: MIT
#include "common/manifest.h"

#include "common/json.h"

#include "common/banned.h"

static struct json_object *descriptor_to_json(const struct descriptor *d)
{
	struct json_object *json = json_object_new_object();
	char str[DIGEST_STR_SIZE];

	json_object_object_add(
		json, "mediaType",
		json_object_new_string(media_type_name(d->media_type)));
	json_object_object_add(
		json, "digest",
		json_object_new_string(digest_str(&d->digest, str)));
	json_object_object_add(json, "size", json_object_new_uint64(d->size));
	return json;
}

void manifest_format(struct strbuf *out, const struct descriptor *config,
		     const struct descriptor *layers, size_t nr,
		     struct json_object *annotations)
{
	autojson *json = json_object_new_object();
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < nr; i++)
		json_object_array_add(list, descriptor_to_json(&layers[i]));
	json_object_object_add(json, "schemaVersion", json_object_new_int(2));
	json_object_object_add(
		json, "mediaType",
		json_object_new_string(media_type_name(MEDIA_MANIFEST)));
	json_object_object_add(json, "config", descriptor_to_json(config));
	json_object_object_add(json, "layers", list);
	if (annotations)
		json_object_object_add(json, "annotations",
				       json_object_get(annotations));
	json_format_compact(out, json);
}
