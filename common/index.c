// SPDX-License-Identifier: MIT
#include "common/index.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"

#include "common/banned.h"

void index_release(struct image_index *index)
{
	free(index->members);
	*index = (struct image_index)IMAGE_INDEX_INIT;
}

bool platform_is_word(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len < PLATFORM_WORD_SIZE &&
	       len == strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789");
}

static int read_word(struct json_object *json, const char *key, bool needed,
		     char out[PLATFORM_WORD_SIZE], const char *name,
		     struct err *err)
{
	const char *word = "";

	if (needed ? json_need_string(json, key, &word, name, err)
		   : json_want_string(json, key, &word, name, err))
		return -1;
	if (strlen(word) >= PLATFORM_WORD_SIZE)
		return err_set(err, ERR_MALFORMED, "%s: key '%s' is too long",
			       name, key);
	memcpy(out, word, strlen(word) + 1);
	return 0;
}

static int read_platform(struct platform *platform, struct json_object *json,
			 const char *name, struct err *err)
{
	if (read_word(json, "os", true, platform->os, name, err) ||
	    read_word(json, "architecture", true, platform->architecture, name,
		      err))
		return -1;
	return read_word(json, "variant", false, platform->variant, name, err);
}

int platform_parse(struct platform *platform, const char *config, size_t len,
		   struct err *err)
{
	autojson *json = NULL;

	if (json_parse(&json, config, len, "image config", err))
		return -1;
	return read_platform(platform, json, "image config", err);
}

bool platform_of_system(struct platform *platform, const char *system)
{
	static const struct {
		const char *system;
		struct platform platform;
	} rows[] = {
		{ "x86_64-linux", { "linux", "amd64", "" } },
		{ "aarch64-linux", { "linux", "arm64", "" } },
		{ "i686-linux", { "linux", "386", "" } },
		{ "armv7l-linux", { "linux", "arm", "v7" } },
		{ "armv6l-linux", { "linux", "arm", "v6" } },
		{ "riscv64-linux", { "linux", "riscv64", "" } },
		{ "powerpc64le-linux", { "linux", "ppc64le", "" } },
		{ "s390x-linux", { "linux", "s390x", "" } },
		{ "loongarch64-linux", { "linux", "loong64", "" } },
		{ "mips64el-linux", { "linux", "mips64le", "" } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (strcmp(rows[i].system, system))
			continue;
		*platform = rows[i].platform;
		return true;
	}
	return false;
}

bool platform_equal(const struct platform *a, const struct platform *b)
{
	return !strcmp(a->os, b->os) &&
	       !strcmp(a->architecture, b->architecture) &&
	       !strcmp(a->variant, b->variant);
}

static void add_text(struct json_object *json, const char *key,
		     const char *text)
{
	json_object_object_add(json, key, json_object_new_string(text));
}

static struct json_object *member_to_json(const struct index_member *member)
{
	struct json_object *json = json_object_new_object();
	struct json_object *platform = json_object_new_object();
	char str[DIGEST_STR_SIZE];

	add_text(json, "mediaType",
		 media_type_name(member->manifest.media_type));
	add_text(json, "digest", digest_str(&member->manifest.digest, str));
	json_object_object_add(json, "size",
			       json_object_new_uint64(member->manifest.size));
	add_text(platform, "architecture", member->platform.architecture);
	add_text(platform, "os", member->platform.os);
	if (*member->platform.variant)
		add_text(platform, "variant", member->platform.variant);
	json_object_object_add(json, "platform", platform);
	return json;
}

void index_format(struct strbuf *out, const struct image_index *index)
{
	autojson *json = json_object_new_object();
	struct json_object *list = json_object_new_array();

	json_object_object_add(json, "schemaVersion", json_object_new_int(2));
	add_text(json, "mediaType", media_type_name(MEDIA_INDEX));
	for (size_t i = 0; i < index->nr; i++)
		json_object_array_add(list, member_to_json(&index->members[i]));
	json_object_object_add(json, "manifests", list);
	json_format_compact(out, json);
}

static int read_member(struct index_member *member, struct json_object *json,
		       const char *name, struct err *err)
{
	const char *type, *digest;
	struct json_object *platform = NULL;

	if (json_need_string(json, "mediaType", &type, name, err) ||
	    json_need_string(json, "digest", &digest, name, err) ||
	    json_need_bytes(json, "size", &member->manifest.size, name, err) ||
	    json_want_object(json, "platform", &platform, name, err) ||
	    digest_parse(&member->manifest.digest, digest, strlen(digest), err))
		return -1;
	/* Ours have one; an index that a flake's output is may have none. */
	if (platform && read_platform(&member->platform, platform, name, err))
		return -1;
	member->manifest.media_type = media_type_parse(type);
	return 0;
}

int index_parse(struct image_index *index, const char *text, size_t len,
		const char *name, struct err *err)
{
	autojson *json = NULL;
	struct json_object *list;
	size_t nr;

	*index = (struct image_index)IMAGE_INDEX_INIT;
	if (json_parse(&json, text, len, name, err) ||
	    json_need_array(json, "manifests", &list, name, err))
		return -1;
	nr = json_object_array_length(list);
	index->members = xcalloc(nr, sizeof(*index->members));
	for (; index->nr < nr; index->nr++) {
		if (!read_member(&index->members[index->nr],
				 json_object_array_get_idx(list, index->nr),
				 name, err))
			continue;
		index_release(index);
		return -1;
	}
	return 0;
}
