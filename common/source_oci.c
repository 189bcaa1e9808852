// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/archive.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/source_kinds.h"
#include "common/sourceinput.h"
#include "common/store.h"

#include "common/banned.h"

/*
 * An OCI image layout (image-spec, image-layout.md), a directory or a tar. Its
 * blobs are served as they are, be they of OCI's media types or of Docker's.
 * If its index.json lists one image or one index it is that; if it lists
 * images for platforms it is served itself.
 */
struct layout {
	const char *path;
	bool is_tar;
};

/* 1, 0, or -1 and err. */
static int find_layout(struct layout *layout, const char *path, struct err *err)
{
	autofree char *marker = xasprintf("%s/oci-layout", path);
	struct err why = ERR_INIT;
	autoclose int fd = store_open(path, O_RDONLY | O_NONBLOCK, &why);
	struct stat st;
	int rc;

	*layout = (struct layout){ .path = path };
	if (fd < 0 && why.code == ERR_REFUSED)
		return 0;
	if (fd < 0) {
		*err = why;
		return -1;
	}
	if (fstat(fd, &st))
		return err_errno(err, "%s", path);
	layout->is_tar = !S_ISDIR(st.st_mode);
	if (layout->is_tar)
		return archive_has(path, "oci-layout", err);
	rc = store_open(marker, O_PATH, &why);
	if (rc < 0) {
		if (why.code == ERR_UNKNOWN || why.code == ERR_REFUSED)
			return 0;
		*err = why;
		return -1;
	}
	close(rc);
	return 1;
}

static int matches(const struct source_output *output, struct err *err)
{
	struct layout layout;

	return find_layout(&layout, output->path, err);
}

/* Where a file of the layout is: itself, or what it links to. */
static int locate(const struct layout *layout, const char *name,
		  struct strbuf *file, char **member, struct err *err)
{
	struct stat st;
	int rc;

	*member = NULL;
	strbuf_addstr(file, layout->path);
	if (layout->is_tar) {
		rc = archive_resolve(layout->path, name, member, err);
	} else {
		strbuf_addf(file, "/%s", name);
		rc = store_follow(file, &st, err);
	}
	if (rc && err->code == ERR_UNKNOWN)
		err->code = ERR_MALFORMED;
	return rc;
}

/* The text of a file of at most max bytes. */
static int read_file(const struct layout *layout, const char *name, size_t max,
		     struct strbuf *text, struct err *err)
{
	autofree char *full = xasprintf("%s: %s", layout->path, name);
	autofree char *member = NULL;
	autostrbuf file = STRBUF_INIT;
	autoclose int fd = -1;

	if (locate(layout, name, &file, &member, err))
		return -1;
	if (member)
		return archive_read(file.buf, member, max, text, full, err);
	fd = store_open(file.buf, O_RDONLY | O_NONBLOCK, err);
	return fd < 0 ? -1 : strbuf_read(text, fd, max, full, err);
}

#define BLOB_NAME_SIZE 96
static const char *blob_name(const struct digest *digest,
			     char name[BLOB_NAME_SIZE])
{
	char hex[DIGEST_HEX_SIZE];

	snprintf(name, BLOB_NAME_SIZE, "blobs/sha256/%s",
		 digest_hex(digest, hex));
	return name;
}

/* A JSON document that is a blob: its bytes are what its descriptor says. */
static int read_document(const struct layout *layout,
			 const struct descriptor *d, size_t max,
			 struct strbuf *text, struct json_object **json,
			 struct err *err)
{
	char name[BLOB_NAME_SIZE];
	autofree char *full =
		xasprintf("%s: %s", layout->path, blob_name(&d->digest, name));
	struct digest digest;

	if (read_file(layout, name, max, text, err))
		return -1;
	digest_of(text->buf, text->len, &digest);
	if (!digest_equal(&digest, &d->digest))
		return err_set(err, ERR_MALFORMED,
			       "%s hashes to another digest", full);
	if (text->len != d->size)
		return err_set(err, ERR_MALFORMED,
			       "%s has %zu bytes, but its descriptor says %ju",
			       full, text->len, (uintmax_t)d->size);
	return json_parse(json, text->buf, text->len, full, err);
}

static int read_descriptor(struct descriptor *d, const char **type,
			   struct json_object *json, const char *name,
			   struct err *err)
{
	const char *digest;

	if (json_need_string(json, "mediaType", type, name, err) ||
	    json_need_string(json, "digest", &digest, name, err) ||
	    json_need_bytes(json, "size", &d->size, name, err))
		return -1;
	if (digest_parse(&d->digest, digest, strlen(digest), err))
		return err_wrap(err, "%s: key 'digest'", name);
	d->media_type = media_type_parse(*type);
	return 0;
}

/* The diff IDs of an image's layers; those of what is no image are unknown. */
static int read_diff_ids(struct source *source, struct json_object *config,
			 const char *name, struct err *err)
{
	struct json_object *rootfs, *ids;

	if (json_need_object(config, "rootfs", &rootfs, name, err) ||
	    json_need_array(rootfs, "diff_ids", &ids, name, err))
		return -1;
	if (json_object_array_length(ids) != source->nr)
		return err_set(err, ERR_MALFORMED,
			       "%s: key 'diff_ids': expected one for each of "
			       "the %zu layers, not %zu",
			       name, source->nr, json_object_array_length(ids));
	for (size_t i = 0; i < source->nr; i++) {
		const char *id = json_string_at(ids, i);
		struct layer_input *input = &source->inputs[i];

		if (!id || digest_parse(&input->diff_id, id, strlen(id), err))
			return err_set(err, ERR_MALFORMED,
				       "%s: key 'diff_ids[%zu]': expected "
				       "\"sha256:\" and 64 hex digits",
				       name, i);
		/* Encrypted ones and the like are nobody's to look into. */
		input->has_diff_id = input->blob.media_type != MEDIA_NONE;
	}
	return 0;
}

static int add_layers(struct source *source, const struct layout *layout,
		      struct json_object *layers, const char *name,
		      struct err *err)
{
	static const struct tar_options none = { .uname = "", .gname = "" };
	size_t nr = json_object_array_length(layers);

	if (nr > IMAGE_LAYERS_MAX)
		return err_set(err, ERR_MALFORMED,
			       "%s: key 'layers': more than %u of them", name,
			       IMAGE_LAYERS_MAX);
	for (size_t i = 0; i < nr; i++) {
		struct layer_input *input =
			source_add_input(source, LAYER_BLOB, &none);
		char blob[BLOB_NAME_SIZE];
		autostrbuf file = STRBUF_INIT;
		const char *type;

		if (read_descriptor(&input->blob, &type,
				    json_object_array_get_idx(layers, i), name,
				    err) ||
		    locate(layout, blob_name(&input->blob.digest, blob), &file,
			   &input->member, err))
			return err_wrap(err, "layer %zu", i);
		input->file = strbuf_detach(&file, NULL);
	}
	return 0;
}

/* An image: its manifest is in text, and parsed in json. */
static int fill_image(struct source *source, const struct layout *layout,
		      enum media_type media_type, struct strbuf *text,
		      struct json_object *json, const char *name,
		      struct err *err)
{
	struct json_object *layers, *descriptor;
	autojson *config = NULL;
	autostrbuf config_text = STRBUF_INIT;
	struct descriptor d;
	const char *type;

	source->kind = &source_oci;
	if (json_need_object(json, "config", &descriptor, name, err) ||
	    json_need_array(json, "layers", &layers, name, err) ||
	    read_descriptor(&d, &type, descriptor, name, err) ||
	    add_layers(source, layout, layers, name, err) ||
	    read_document(layout, &d, IMAGE_CONFIG_MAX, &config_text, &config,
			  err) ||
	    (media_type_is_config(d.media_type) &&
	     read_diff_ids(source, config, name, err)))
		return -1;
	source->manifest = strbuf_detach(text, NULL);
	source->media_type = media_type;
	source->data = strbuf_detach(&config_text, NULL);
	return 0;
}

typedef int filler(struct source *source, const struct layout *layout,
		   enum media_type media_type, struct strbuf *text,
		   struct json_object *json, const char *name, struct err *err);

/* Read a manifest or an index, and fill the source with it. */
static int read_manifest(struct source *source, const struct layout *layout,
			 const struct descriptor *d, filler *fill,
			 struct err *err)
{
	char blob[BLOB_NAME_SIZE];
	autofree char *name =
		xasprintf("%s: %s", layout->path, blob_name(&d->digest, blob));
	autostrbuf text = STRBUF_INIT;
	autojson *json = NULL;

	if (read_document(layout, d, MANIFEST_MAX, &text, &json, err))
		return -1;
	return fill(source, layout, d->media_type, &text, json, name, err);
}

/* Of a list of manifests: each is an image. */
static int add_members(struct source *source, const struct layout *layout,
		       struct json_object *list, const char *name,
		       struct err *err)
{
	size_t nr = json_object_array_length(list);

	if (nr > INDEX_MEMBERS_MAX)
		return err_set(err, ERR_MALFORMED,
			       "%s: key 'manifests': more than %u of them",
			       name, INDEX_MEMBERS_MAX);
	source->members = xcalloc(nr ? nr : 1, sizeof(*source->members));
	for (size_t i = 0; i < nr; i++) {
		struct json_object *json = json_object_array_get_idx(list, i);
		struct descriptor d;
		const char *type;

		if (read_descriptor(&d, &type, json, name, err))
			return err_wrap(err, "manifest %zu", i);
		if (media_type_is_index(d.media_type))
			return err_set(err, ERR_REFUSED,
				       "%s: an index in an index is not served",
				       name);
		if (!media_type_is_manifest(d.media_type))
			return err_set(err, ERR_REFUSED,
				       "%s: media type %s: expected an "
				       "image manifest",
				       name, type);
		if (read_manifest(&source->members[source->nr_members++],
				  layout, &d, fill_image, err))
			return -1;
	}
	if (nr)
		return 0;
	return err_set(err, ERR_MALFORMED, "%s lists no manifest", name);
}

static int fill_index(struct source *source, const struct layout *layout,
		      enum media_type media_type, struct strbuf *text,
		      struct json_object *json, const char *name,
		      struct err *err)
{
	struct json_object *list;

	if (json_need_array(json, "manifests", &list, name, err) ||
	    add_members(source, layout, list, name, err))
		return -1;
	source->manifest = strbuf_detach(text, NULL);
	source->media_type = media_type;
	return 0;
}

/* Do two entries say the same of one image, whatever they call it? */
static bool is_same(struct json_object *a, struct json_object *b)
{
	static const char *const keys[] = { "mediaType", "digest", "size",
					    "platform" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		struct json_object *x = NULL, *y = NULL;

		if (!json_object_is_type(a, json_type_object) ||
		    !json_object_is_type(b, json_type_object))
			return false;
		json_object_object_get_ex(a, keys[i], &x);
		json_object_object_get_ex(b, keys[i], &y);
		if (!json_object_equal(x, y))
			return false;
	}
	return true;
}

/*
 * An image that has two tags is there twice: drop all but the first. Is one
 * dropped? The list is of INDEX_MEMBERS_MAX at most.
 */
static bool drop_doubles(struct json_object *list)
{
	bool dropped = false;

	for (size_t i = 0; i < json_object_array_length(list); i++)
		for (size_t j = json_object_array_length(list) - 1; j > i; j--)
			if (is_same(json_object_array_get_idx(list, i),
				    json_object_array_get_idx(list, j))) {
				json_object_array_del_idx(list, j, 1);
				dropped = true;
			}
	return dropped;
}

/* Does each of several manifests say what platform it is for? */
static bool have_platforms(struct json_object *list)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *json = json_object_array_get_idx(list, i);
		struct json_object *platform;

		if (!json_object_is_type(json, json_type_object) ||
		    !json_object_object_get_ex(json, "platform", &platform))
			return false;
	}
	return true;
}

static int open_layout(struct source *source,
		       const struct source_output *output, struct err *err)
{
	autofree char *name = xasprintf("%s: index.json", output->path);
	autostrbuf text = STRBUF_INIT;
	autojson *json = NULL;
	struct json_object *list;
	struct layout layout;
	struct descriptor d;
	const char *type;

	if (find_layout(&layout, output->path, err) < 0 ||
	    read_file(&layout, "index.json", MANIFEST_MAX, &text, err) ||
	    json_parse(&json, text.buf, text.len, name, err) ||
	    json_need_array(json, "manifests", &list, name, err))
		return -1;
	/* A list that is too long is refused as it is. */
	if (json_object_array_length(list) <= INDEX_MEMBERS_MAX &&
	    drop_doubles(list)) {
		strbuf_reset(&text);
		json_format_compact(&text, json);
	}
	if (json_object_array_length(list) != 1) {
		if (have_platforms(list))
			return fill_index(source, &layout, MEDIA_INDEX, &text,
					  json, name, err);
		return err_set(err, ERR_REFUSED,
			       "%s lists %zu images that do not say what "
			       "platforms they are for: expected one",
			       name, json_object_array_length(list));
	}
	if (read_descriptor(&d, &type, json_object_array_get_idx(list, 0), name,
			    err))
		return -1;
	if (media_type_is_index(d.media_type))
		return read_manifest(source, &layout, &d, fill_index, err);
	if (media_type_is_manifest(d.media_type))
		return read_manifest(source, &layout, &d, fill_image, err);
	return err_set(err, ERR_REFUSED,
		       "%s: media type %s: expected an image manifest or "
		       "index",
		       name, type);
}

const struct source_kind source_oci = {
	.name = "oci-layout",
	.matches = matches,
	.open = open_layout,
	.config = source_own_config,
	.release = source_free_own_config,
};
