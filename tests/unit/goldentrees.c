// SPDX-License-Identifier: MIT
#include "tests/unit/goldentrees.h"

#include <assert.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/strbuf.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

#define FILE_NAME "tests/golden/trees.json"

struct json_object *goldentrees(size_t *nr)
{
	static struct json_object *all;
	struct json_object *cases;

	if (!all)
		all = json_object_from_file(FILE_NAME);
	if (!all || !json_object_object_get_ex(all, "cases", &cases)) {
		fputs("cannot read " FILE_NAME "\n", stderr);
		abort();
	}
	*nr = json_object_array_length(cases);
	return cases;
}

static struct json_object *get(struct json_object *json, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(json, key, &value);
	return value;
}

static const char *get_str(struct json_object *json, const char *key)
{
	return json_object_get_string(get(json, key));
}

const char *goldentree_name(struct json_object *list, size_t i)
{
	return get_str(json_object_array_get_idx(list, i), "case");
}

/* Percent-encoded bytes; the caller frees. */
static char *decode(const char *s)
{
	struct strbuf out = STRBUF_INIT;

	for (; *s; s++) {
		char hex[3] = "";

		if (*s == '%') {
			memcpy(hex, s + 1, 2);
			strbuf_addch(&out, (char)strtol(hex, NULL, 16));
			s += 2;
		} else {
			strbuf_addch(&out, *s);
		}
	}
	return strbuf_detach(&out, NULL);
}

static void make_file(struct json_object *entry, const char *path)
{
	const char *text = get_str(entry, "text");
	size_t size = (size_t)json_object_get_int64(get(entry, "size"));
	autostrbuf data = STRBUF_INIT;

	while (data.len < size)
		strbuf_addch(&data, text[data.len % strlen(text)]);
	scratch_write(path, data.buf, data.len);
}

static char *path_of(const char *store_path, const char *encoded)
{
	autofree char *relative = decode(encoded);

	return xasprintf("%s%s%s", store_path, *relative ? "/" : "", relative);
}

static void make_entry(struct json_object *entry, const char *store_path)
{
	autofree char *path = path_of(store_path, get_str(entry, "path"));
	const char *type = get_str(entry, "type");
	int rc = 0;

	if (get(entry, "hard")) {
		autofree char *first =
			path_of(store_path, get_str(entry, "hard"));

		rc = link(first, path);
	} else if (!strcmp(type, "dir")) {
		rc = mkdir(path, 0755);
	} else if (!strcmp(type, "link")) {
		autofree char *target = decode(get_str(entry, "target"));

		rc = symlink(target, path);
	} else {
		make_file(entry, path);
	}
	assert(!rc);
}

/* From the last to the first: a directory may forbid to write in it. */
static void set_modes(struct json_object *entries, const char *store_path)
{
	for (size_t i = json_object_array_length(entries); i-- > 0;) {
		struct json_object *entry =
			json_object_array_get_idx(entries, i);
		autofree char *path =
			path_of(store_path, get_str(entry, "path"));
		mode_t mode = (mode_t)strtol(get_str(entry, "mode"), NULL, 8);
		int rc = 0;

		if (strcmp(get_str(entry, "type"), "link") != 0)
			rc = chmod(path, mode);
		assert(!rc);
	}
}

void goldentree_lay_out(struct json_object *list, size_t i, const char *dir)
{
	struct json_object *paths =
		get(json_object_array_get_idx(list, i), "paths");

	for (size_t j = 0; j < json_object_array_length(paths); j++) {
		struct json_object *path = json_object_array_get_idx(paths, j);
		struct json_object *entries = get(path, "entries");
		autofree char *store_path =
			xasprintf("%s/%s", dir, get_str(path, "name"));

		for (size_t k = 0; k < json_object_array_length(entries); k++)
			make_entry(json_object_array_get_idx(entries, k),
				   store_path);
		set_modes(entries, store_path);
	}
}

static void input_paths(struct layer_input *input, struct json_object *paths)
{
	input->nr_paths = json_object_array_length(paths);
	input->paths = xcalloc(input->nr_paths, sizeof(*input->paths));
	for (size_t i = 0; i < input->nr_paths; i++) {
		input->paths[i].path = xasprintf(
			"/nix/store/%s",
			get_str(json_object_array_get_idx(paths, i), "name"));
		input->paths[i].nar_hash = xstrdup("sha256:0");
	}
}

void goldentree_input(struct json_object *list, size_t i, const char *writer,
		      struct layer_input *input, uint64_t *tar_size)
{
	struct json_object *json = json_object_array_get_idx(list, i);
	struct json_object *made = get(json, writer);
	const char *digest = get_str(made, "sha256");
	struct err err;
	int rc;

	*input = (struct layer_input){ .kind = LAYER_STORE_PATHS };
	input->options = (struct tar_options){
		.dialect = strcmp(writer, "dockerTools") ? TAR_NIX2CONTAINER
							 : TAR_DOCKERTOOLS,
		.nix_mode = 0755,
		.mtime = json_object_get_int64(get(json, "mtime")),
		.uid = json_object_get_uint64(get(json, "uid")),
		.gid = json_object_get_uint64(get(json, "gid")),
		.uname = xstrdup(get_str(json, "uname")),
		.gname = xstrdup(get_str(json, "gname")),
	};
	input_paths(input, get(json, "paths"));
	rc = digest_parse_hex(&input->diff_id, digest, strlen(digest), &err);
	assert(!rc);
	input->has_diff_id = true;
	*tar_size = json_object_get_uint64(get(made, "size"));
}
