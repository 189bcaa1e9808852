// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "common/imageconfig.h"
#include "common/index.h"

#include "common/banned.h"

/*
 * JSON itself, both ways of writing it, and what is read of an image config:
 * its platform and its environment.
 */

static void check_compact(struct json_object *json)
{
	autostrbuf text = STRBUF_INIT, same = STRBUF_INIT;
	autojson *again = NULL;

	json_format_compact(&text, json);
	need(!memchr(text.buf, '\n', text.len));
	again = fuzz_json((unsigned char *)text.buf, text.len);
	need(again || !json);
	need(json_object_equal(json, again));
	json_format_compact(&same, again);
	fuzz_need_same(same.buf, text.buf);
}

/* As Python writes it; all of it ASCII. */
static void check_indented(struct json_object *json)
{
	autostrbuf text = STRBUF_INIT, same = STRBUF_INIT;
	autojson *again = NULL;

	imageconfig_format_json(&text, json);
	for (size_t i = 0; i < text.len; i++)
		need((text.buf[i] >= ' ' && text.buf[i] < 0x7f) ||
		     text.buf[i] == '\n');
	again = fuzz_json((unsigned char *)text.buf, text.len);
	need(again || !json);
	imageconfig_format_json(&same, again);
	fuzz_need_same(same.buf, text.buf);
}

static void check_platform(const char *text, size_t size)
{
	struct platform platform;
	struct err err = ERR_INIT;

	if (platform_parse(&platform, text, size, &err)) {
		fuzz_need_error(&err);
		return;
	}
	need(strnlen(platform.os, PLATFORM_WORD_SIZE) < PLATFORM_WORD_SIZE);
	need(strnlen(platform.architecture, PLATFORM_WORD_SIZE) <
	     PLATFORM_WORD_SIZE);
	need(strnlen(platform.variant, PLATFORM_WORD_SIZE) <
	     PLATFORM_WORD_SIZE);
	need(platform_equal(&platform, &platform));
}

/* An environment on top of itself is itself. */
static void check_merge(struct json_object *json)
{
	struct json_object *object =
		json_object_is_type(json, json_type_object) ? json : NULL;
	autojson *once = NULL, *twice = NULL;
	struct err err = ERR_INIT;

	if (imageconfig_merge(&once, object, "config", object, "base", &err)) {
		fuzz_need_error(&err);
		return;
	}
	need(!imageconfig_merge(&twice, once, "config", once, "base", &err));
	need(json_object_equal(once, twice));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	autojson *json = NULL;
	struct err err = ERR_INIT;

	check_platform((const char *)data, size);
	if (json_parse(&json, (const char *)data, size, "input", &err)) {
		fuzz_need_error(&err);
		return 0;
	}
	check_compact(json);
	check_indented(json);
	check_merge(json);
	return 0;
}
