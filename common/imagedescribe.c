// SPDX-License-Identifier: MIT
#include <string.h>

#include "common/imagework.h"
#include "common/json.h"

#include "common/banned.h"

/* What the bytes call themselves, where they do (image-spec, manifest.md). */
static enum media_type type_of(const struct strbuf *text)
{
	autojson *json = NULL;
	const char *type = NULL;
	struct err none;

	if (json_parse(&json, text->buf, text->len, "manifest", &none) ||
	    json_want_string(json, "mediaType", &type, "manifest", &none) ||
	    !type)
		return MEDIA_NONE;
	return media_type_parse(type);
}

static bool is_kind(enum media_type type, bool is_index)
{
	return is_index ? media_type_is_index(type)
			: media_type_is_manifest(type);
}

int image_describe(const struct record *record, struct descriptor *manifest,
		   struct err *err)
{
	bool is_index = image_is_index(record);
	autostrbuf text = STRBUF_INIT;
	struct digest digest;
	enum media_type type;

	if (is_index)
		strbuf_addstr(&text, record->config);
	else
		image_format_manifest(&text, record);
	digest_of(text.buf, text.len, &digest);
	if (!digest_equal(&digest, &manifest->digest))
		return err_set(err, ERR_REFUSED,
			       "the record gives another %s than its name says",
			       is_index ? "index" : "manifest");
	manifest->size = text.len;
	type = type_of(&text);
	if (is_kind(type, is_index))
		manifest->media_type = type;
	else if (!is_kind(manifest->media_type, is_index))
		manifest->media_type = is_index ? MEDIA_INDEX : MEDIA_MANIFEST;
	return 0;
}
