// SPDX-License-Identifier: MIT
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/digest.h"
#include "common/json.h"
#include "common/layer.h"

#include "common/banned.h"

/* Changes whenever the same input would give another tar. */
#define FORMAT_VERSION 4

static const char *const kinds[] = {
	[LAYER_STORE_PATHS] = "store-paths",
	[LAYER_LINKS] = "links",
	[LAYER_ROOT] = "root",
	[LAYER_TREE] = "tree",
	[LAYER_FILE] = "file",
	[LAYER_BLOB] = "blob",
	[LAYER_MEMBER] = "member",
};

static const char *const dialects[] = {
	[TAR_DOCKERTOOLS] = "dockertools",
	[TAR_NIX2CONTAINER] = "nix2container",
};

void layer_input_release(struct layer_input *input)
{
	for (size_t i = 0; i < input->nr_paths; i++) {
		free(input->paths[i].path);
		free(input->paths[i].nar_hash);
		json_object_put(input->paths[i].options);
	}
	free(input->paths);
	cleanup_free(&input->options.uname);
	cleanup_free(&input->options.gname);
	free(input->file);
	free(input->member);
	free(input->comment);
	*input = (struct layer_input){ 0 };
}

static bool has_tar_of_ours(const struct layer_input *input)
{
	return input->kind == LAYER_STORE_PATHS || input->kind == LAYER_LINKS ||
	       input->kind == LAYER_ROOT || input->kind == LAYER_TREE;
}

/* The text whose digest is the key: each field, its length before it. */

static void add_text(struct strbuf *out, const char *s)
{
	strbuf_addf(out, "%zu:", strlen(s));
	strbuf_addstr(out, s);
}

static void add_options(struct strbuf *out, const struct tar_options *o)
{
	add_text(out, dialects[o->dialect]);
	strbuf_addf(out, "%o,%jd,%ju,%ju,", (unsigned int)o->nix_mode,
		    (intmax_t)o->mtime, (uintmax_t)o->uid, (uintmax_t)o->gid);
	add_text(out, o->uname);
	add_text(out, o->gname);
}

void layer_input_key(const struct layer_input *input, enum compression c,
		     struct digest *key)
{
	autostrbuf text = STRBUF_INIT;
	char hex[DIGEST_HEX_SIZE];

	strbuf_addf(&text, "flakehub layer %d\n", FORMAT_VERSION);
	add_text(&text, compression_signature(c));
	add_text(&text, kinds[input->kind]);
	if (has_tar_of_ours(input)) {
		add_options(&text, &input->options);
		for (size_t i = 0; i < input->nr_paths; i++) {
			add_text(&text, input->paths[i].path);
			add_text(&text, input->paths[i].nar_hash);
			if (input->paths[i].options)
				json_format_compact(&text,
						    input->paths[i].options);
		}
		/* Another promise is another layer: one of them is wrong. */
		if (input->kind == LAYER_TREE && input->has_diff_id)
			add_text(&text, digest_hex(&input->diff_id, hex));
		if (input->kind == LAYER_TREE && input->blob.size)
			strbuf_addf(&text, "%ju,", (uintmax_t)input->blob.size);
	} else {
		add_text(&text, input->file);
		add_text(&text, input->member ? input->member : "");
		add_text(&text, input->has_diff_id
					? digest_hex(&input->diff_id, hex)
					: "");
		if (input->kind == LAYER_BLOB) {
			add_text(&text, digest_hex(&input->blob.digest, hex));
			strbuf_addf(&text, "%ju,%d,",
				    (uintmax_t)input->blob.size,
				    (int)input->blob.media_type);
		}
	}
	digest_of(text.buf, text.len, key);
}

/* JSON */

static void put_string(struct json_object *json, const char *key, const char *s)
{
	if (s)
		json_object_object_add(json, key, json_object_new_string(s));
}

static void put_int(struct json_object *json, const char *key, int64_t i)
{
	json_object_object_add(json, key, json_object_new_int64(i));
}

static void options_to_json(struct json_object *json,
			    const struct tar_options *o)
{
	put_string(json, "dialect", dialects[o->dialect]);
	put_int(json, "nix-mode", o->nix_mode);
	put_int(json, "mtime", o->mtime);
	put_int(json, "uid", (int64_t)o->uid);
	put_int(json, "gid", (int64_t)o->gid);
	put_string(json, "uname", o->uname);
	put_string(json, "gname", o->gname);
}

static struct json_object *paths_to_json(const struct layer_input *input)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < input->nr_paths; i++) {
		const struct layer_path *path = &input->paths[i];
		struct json_object *json = json_object_new_object();

		put_string(json, "path", path->path);
		put_string(json, "nar-hash", path->nar_hash);
		put_int(json, "nar-size", (int64_t)path->nar_size);
		if (path->options)
			json_object_object_add(json, "options",
					       json_object_get(path->options));
		json_object_array_add(list, json);
	}
	return list;
}

struct json_object *layer_input_to_json(const struct layer_input *input)
{
	struct json_object *json = json_object_new_object();
	char digest[DIGEST_STR_SIZE];

	put_string(json, "kind", kinds[input->kind]);
	if (has_tar_of_ours(input)) {
		options_to_json(json, &input->options);
		json_object_object_add(json, "paths", paths_to_json(input));
	}
	put_string(json, "file", input->file);
	put_string(json, "member", input->member);
	if (input->kind == LAYER_BLOB) {
		put_string(json, "digest",
			   digest_str(&input->blob.digest, digest));
		put_int(json, "size", (int64_t)input->blob.size);
		put_string(json, "media-type",
			   media_type_name(input->blob.media_type));
	}
	if (input->kind == LAYER_TREE && input->blob.size)
		put_int(json, "size", (int64_t)input->blob.size);
	if (input->has_diff_id)
		put_string(json, "diff-id",
			   digest_str(&input->diff_id, digest));
	put_string(json, "comment", input->comment);
	return json;
}

/* For messages: the file is a record. */
#define NAME "a layer of a record"

/* Which word of a list stands at key? */
static int need_word(struct json_object *json, const char *key,
		     const char *const *words, size_t nr, size_t *index,
		     struct err *err)
{
	const char *s;

	if (json_need_string(json, key, &s, NAME, err))
		return -1;
	for (*index = 0; *index < nr; (*index)++)
		if (!strcmp(words[*index], s))
			return 0;
	return err_set(err, ERR_MALFORMED, NAME ": %s is no known %s", s, key);
}

static int need_copy(struct json_object *json, const char *key, char **copy,
		     struct err *err)
{
	const char *s;

	if (json_need_string(json, key, &s, NAME, err))
		return -1;
	*copy = xstrdup(s);
	return 0;
}

static int need_uint(struct json_object *json, const char *key, uint64_t max,
		     uint64_t *out, struct err *err)
{
	int64_t i;

	if (json_need_int(json, key, &i, NAME, err))
		return -1;
	if (i < 0 || (uint64_t)i > max)
		return err_set(err, ERR_MALFORMED,
			       NAME ": %s is %jd, which is out of range", key,
			       (intmax_t)i);
	*out = (uint64_t)i;
	return 0;
}

static int options_from_json(struct tar_options *o, struct json_object *json,
			     struct err *err)
{
	char *uname = NULL, *gname = NULL;
	uint64_t nix_mode = 0;
	size_t dialect;
	int rc = 0;

	if (need_word(json, "dialect", dialects, ARRAY_SIZE(dialects), &dialect,
		      err) ||
	    need_uint(json, "nix-mode", 07777, &nix_mode, err) ||
	    json_need_int(json, "mtime", &o->mtime, NAME, err) ||
	    need_uint(json, "uid", INT64_MAX, &o->uid, err) ||
	    need_uint(json, "gid", INT64_MAX, &o->gid, err) ||
	    need_copy(json, "uname", &uname, err) ||
	    need_copy(json, "gname", &gname, err))
		rc = -1;
	o->uname = uname;
	o->gname = gname;
	if (rc)
		return -1;
	o->dialect = (enum tar_dialect)dialect;
	o->nix_mode = (mode_t)nix_mode;
	return 0;
}

static int paths_from_json(struct layer_input *input, struct json_object *json,
			   struct err *err)
{
	struct json_object *list;
	size_t nr;

	if (json_need_array(json, "paths", &list, NAME, err))
		return -1;
	nr = json_object_array_length(list);
	input->paths = xcalloc(nr, sizeof(*input->paths));
	for (size_t i = 0; i < nr; i++) {
		struct json_object *item = json_object_array_get_idx(list, i);
		struct layer_path *path = &input->paths[input->nr_paths++];

		if (need_copy(item, "path", &path->path, err) ||
		    need_copy(item, "nar-hash", &path->nar_hash, err) ||
		    need_uint(item, "nar-size", INT64_MAX, &path->nar_size,
			      err))
			return -1;
		if (json_want_object(item, "options", &path->options, NAME,
				     err))
			return -1;
		json_object_get(path->options);
	}
	return 0;
}

static int blob_from_json(struct layer_input *input, struct json_object *json,
			  struct err *err)
{
	const char *digest, *type, *member = NULL;

	if (json_need_string(json, "digest", &digest, NAME, err) ||
	    json_need_string(json, "media-type", &type, NAME, err) ||
	    json_want_string(json, "member", &member, NAME, err) ||
	    need_uint(json, "size", INT64_MAX, &input->blob.size, err) ||
	    digest_parse(&input->blob.digest, digest, strlen(digest), err))
		return -1;
	input->blob.media_type = media_type_parse(type);
	if (member)
		input->member = xstrdup(member);
	return 0;
}

static int want_diff_id(struct layer_input *input, struct json_object *json,
			struct err *err)
{
	const char *s = NULL;

	if (json_want_string(json, "diff-id", &s, NAME, err))
		return -1;
	if (!s)
		return 0;
	input->has_diff_id = true;
	return digest_parse(&input->diff_id, s, strlen(s), err);
}

static int from_json(struct layer_input *input, struct json_object *json,
		     struct err *err)
{
	const char *comment = NULL;
	size_t kind;

	if (need_word(json, "kind", kinds, ARRAY_SIZE(kinds), &kind, err))
		return -1;
	input->kind = (enum layer_kind)kind;
	if (has_tar_of_ours(input) &&
	    (options_from_json(&input->options, json, err) ||
	     paths_from_json(input, json, err)))
		return -1;
	if (!has_tar_of_ours(input) &&
	    need_copy(json, "file", &input->file, err))
		return -1;
	if (input->kind == LAYER_MEMBER &&
	    need_copy(json, "member", &input->member, err))
		return -1;
	if (input->kind == LAYER_BLOB && blob_from_json(input, json, err))
		return -1;
	/* Records of before have none. */
	if (input->kind == LAYER_TREE &&
	    json_object_object_get_ex(json, "size", NULL) &&
	    need_uint(json, "size", INT64_MAX, &input->blob.size, err))
		return -1;
	if (want_diff_id(input, json, err) ||
	    json_want_string(json, "comment", &comment, NAME, err))
		return -1;
	if (comment)
		input->comment = xstrdup(comment);
	return 0;
}

int layer_input_from_json(struct layer_input *input, struct json_object *json,
			  struct err *err)
{
	*input = (struct layer_input){ 0 };
	if (!from_json(input, json, err))
		return 0;
	layer_input_release(input);
	return -1;
}
