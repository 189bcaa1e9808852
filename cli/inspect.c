// SPDX-License-Identifier: MIT
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/human.h"
#include "common/alloc.h"
#include "common/cache.h"
#include "common/isotime.h"
#include "common/json.h"
#include "common/log.h"
#include "common/record.h"

#include "common/banned.h"

enum {
	JSON,
};

static const struct command_option options[] = {
	{ 0, "json", NULL, "as JSON" },
	{ 0, NULL, NULL, NULL },
};

/* All that is known of an image. */
struct image {
	struct repository_name name;
	struct reference reference;
	struct image_head head;
	int64_t resolved; /* of a tag */
	bool warm;	  /* its blobs are there */
	struct record record;
	struct json_object *config;
};

static void release(struct image *image)
{
	record_release(&image->record);
	cleanup_json(&image->config);
}

static int find_head(struct image *image, const struct cache *cache,
		     struct err *err)
{
	struct tag_record tag;

	if (image->reference.is_digest) {
		image->head.manifest.digest = image->reference.digest;
		return 0;
	}
	if (cache_get_tag(cache, &image->name, &image->reference.tag, &tag,
			  err) < 0)
		return -1;
	image->head = tag.image;
	image->resolved = tag.resolved;
	return 0;
}

static int read_record(struct image *image, const struct cache *cache,
		       struct err *err)
{
	autostrbuf body = STRBUF_INIT;
	char name[DIGEST_STR_SIZE];
	struct digest digest = image->head.manifest.digest;
	struct record *record = &image->record;

	digest_str(&digest, name);
	if (cache_get_record(cache, &image->name, &digest, &image->head, &body,
			     err) < 0 ||
	    record_parse(record, body.buf, body.len, name, err) < 0 ||
	    json_parse(&image->config, record->config, strlen(record->config),
		       "image config", err) < 0)
		return -1;
	image->warm = cache_has_blob(cache, &digest, NULL);
	return 0;
}

/* image's name is parsed; text is what was parsed. */
static int find(struct image *image, const char *text,
		const struct settings *settings, struct err *err)
{
	const struct flake_settings *flake;
	autocache cache = CACHE_INIT;
	const char *attribute;
	int rc;

	if (cache_open(&cache, settings->cache_dir, CACHE_READ, err) < 0)
		return -1;
	rc = find_head(image, &cache, err);
	if (rc == 0)
		rc = read_record(image, &cache, err);
	if (rc < 0 && err->code == ERR_UNKNOWN)
		return err_set(err, ERR_UNKNOWN,
			       "%s is not in the cache; `flakehub build %s` "
			       "makes it",
			       text, text);
	if (rc < 0)
		return err_wrap(err, "%s", text);
	flake = settings_find_flake(settings, &image->name, &attribute);
	if (!flake || !digest_equal(&flake->id, &image->head.flake))
		return err_set(err, ERR_UNKNOWN,
			       "%s in the cache is of a flake that the "
			       "settings no longer name",
			       text);
	return 0;
}

static const char *format_time(int64_t seconds, char out[ISOTIME_SIZE])
{
	struct isotime t;

	isotime_from_seconds(&t, seconds);
	return isotime_format(&t, out);
}

/* Text of a flake's, as a terminal may have it. */
static void print_field(const char *name, const char *value)
{
	autostrbuf clean = STRBUF_INIT;

	if (!value || !*value)
		return;
	text_clean(&clean, value, strlen(value));
	printf("%-13s %s\n", name, clean.buf);
}

static void print_blob(const char *name, const struct digest *digest,
		       uint64_t size)
{
	char text[DIGEST_STR_SIZE], human[HUMAN_SIZE];

	printf("%-13s %s, %s\n", name, digest_str(digest, text),
	       human_bytes(size, human));
}

static void print_layer(const struct layer_input *input,
			const struct layer *layer)
{
	char name[DIGEST_STR_SIZE], blob[HUMAN_SIZE], tar[HUMAN_SIZE];

	printf("\n%s\n  %s, %s as %s\n", digest_str(&layer->blob.digest, name),
	       human_bytes(layer->tar_size, tar),
	       human_bytes(layer->blob.size, blob),
	       media_type_name(layer->blob.media_type));
	for (size_t i = 0; i < input->nr_paths; i++)
		printf("  %s%s\n", input->paths[i].path,
		       input->kind == LAYER_LINKS || input->kind == LAYER_ROOT
			       ? " (links to it)"
			       : "");
	if (input->file)
		printf("  %s%s%s\n", input->file, input->member ? " " : "",
		       input->member ? input->member : "");
}

static uint64_t blobs_size(const struct image *image)
{
	uint64_t size =
		image->head.manifest.size + strlen(image->record.config);

	for (size_t i = 0; i < image->record.nr; i++)
		size += image->record.layers[i].blob.size;
	return size;
}

static void print_source(const struct image *image)
{
	const struct record *r = &image->record;
	char time[ISOTIME_SIZE];

	print_field("flake", r->url);
	print_field("commit", r->revision);
	print_field("attribute", r->attribute_path);
	print_field("composition", r->composition);
	print_field("output", r->output_path);
	print_field("kind", r->kind);
	print_field("built", format_time(r->created, time));
	if (image->resolved)
		print_field("resolved", format_time(image->resolved, time));
	if (r->reproducible)
		printf("%-13s yes\n", "reproducible");
	else
		printf("%-13s no: %s\n", "reproducible",
		       r->reason ? r->reason : "unknown");
}

static void print_text(const struct image *image)
{
	char reference[REFERENCE_STR_SIZE], size[HUMAN_SIZE];
	autostrbuf config = STRBUF_INIT;
	struct digest digest;
	struct json_object *part;

	printf("%-13s %s%c%s\n", "image", image->name.text,
	       image->reference.is_digest ? '@' : ':',
	       reference_str(&image->reference, reference));
	print_blob("manifest", &image->head.manifest.digest,
		   image->head.manifest.size);
	digest_of(image->record.config, strlen(image->record.config), &digest);
	print_blob("image config", &digest, strlen(image->record.config));
	printf("%-13s %s in %zu layers%s\n", "size",
	       human_bytes(blobs_size(image), size), image->record.nr,
	       image->warm ? "" : "; evicted, the next pull makes it again");
	print_source(image);
	if (json_object_object_get_ex(image->config, "architecture", &part))
		print_field("architecture", json_object_get_string(part));
	if (json_object_object_get_ex(image->config, "config", &part)) {
		json_format_compact(&config, part);
		print_field("config", config.buf);
	}
	for (size_t i = 0; i < image->record.nr; i++)
		print_layer(&image->record.inputs[i], &image->record.layers[i]);
}

static void add_string(struct json_object *json, const char *key,
		       const char *value)
{
	if (value && *value)
		json_object_object_add(json, key,
				       json_object_new_string(value));
}

static void add_blob(struct json_object *json, const struct descriptor *blob)
{
	char text[DIGEST_STR_SIZE];

	add_string(json, "mediaType", media_type_name(blob->media_type));
	add_string(json, "digest", digest_str(&blob->digest, text));
	json_object_object_add(json, "size",
			       json_object_new_uint64(blob->size));
}

static struct json_object *layer_json(const struct layer_input *input,
				      const struct layer *layer)
{
	struct json_object *json = json_object_new_object();
	struct json_object *paths = json_object_new_array();
	char text[DIGEST_STR_SIZE];

	add_blob(json, &layer->blob);
	add_string(json, "diffId", digest_str(&layer->diff_id, text));
	json_object_object_add(json, "tarSize",
			       json_object_new_uint64(layer->tar_size));
	for (size_t i = 0; i < input->nr_paths; i++)
		json_object_array_add(
			paths, json_object_new_string(input->paths[i].path));
	json_object_object_add(json, "storePaths", paths);
	add_string(json, "file", input->file);
	add_string(json, "member", input->member);
	return json;
}

static void add_source(struct json_object *json, const struct image *image)
{
	const struct record *r = &image->record;
	autostrbuf url = STRBUF_INIT; /* which may have a password */
	char time[ISOTIME_SIZE];

	text_clean(&url, r->url, strlen(r->url));
	add_string(json, "url", url.buf);
	add_string(json, "revision", r->revision);
	add_string(json, "system", r->system);
	add_string(json, "attributePath", r->attribute_path);
	add_string(json, "composition", r->composition);
	add_string(json, "outputPath", r->output_path);
	add_string(json, "kind", r->kind);
	add_string(json, "compression", r->compression);
	add_string(json, "built", format_time(r->created, time));
	if (image->resolved)
		add_string(json, "resolved",
			   format_time(image->resolved, time));
	json_object_object_add(json, "reproducible",
			       json_object_new_boolean(r->reproducible));
	add_string(json, "reason", r->reason);
}

static void print_json(const struct image *image)
{
	autojson *json = json_object_new_object();
	struct json_object *layers = json_object_new_array();
	char reference[REFERENCE_STR_SIZE];

	add_string(json, "name", image->name.text);
	add_string(json, "reference",
		   reference_str(&image->reference, reference));
	add_blob(json, &image->head.manifest);
	json_object_object_add(json, "cached",
			       json_object_new_boolean(image->warm));
	add_source(json, image);
	json_object_object_add(json, "config", json_object_get(image->config));
	for (size_t i = 0; i < image->record.nr; i++)
		json_object_array_add(layers,
				      layer_json(&image->record.inputs[i],
						 &image->record.layers[i]));
	json_object_object_add(json, "layers", layers);
	printf("%s\n", json_object_to_json_string_ext(
			       json, JSON_C_TO_STRING_PRETTY |
					     JSON_C_TO_STRING_NOSLASHESCAPE));
}

static int run(const struct invocation *invocation)
{
	__attribute__((cleanup(release))) struct image image = { 0 };
	const char *text = invocation->args[0];
	autosettings settings = { 0 };
	struct err err = ERR_INIT;
	int rc = command_image(invocation, &image.name, &image.reference,
			       &settings);

	if (rc)
		return rc;
	if (find(&image, text, &settings, &err) < 0)
		return command_fail(&err);
	if (invocation->values[JSON])
		print_json(&image);
	else
		print_text(&image);
	return EXIT_DONE;
}

const struct command command_inspect = {
	.name = "inspect",
	.arguments = "NAME[:TAG]",
	.summary = "Say what an image in the cache is made of.",
	.help = "Its commit, its config, and its layers with their sizes, "
		"digests and\nstore paths. NAME@DIGEST names an image, too.",
	.min_args = 1,
	.max_args = 1,
	.options = options,
	.run = run,
};
