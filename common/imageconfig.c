// SPDX-License-Identifier: MIT
#include "common/imageconfig.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/utf8.h"

#include "common/banned.h"

static void format_value(struct strbuf *out, struct json_object *json,
			 unsigned int depth);

static void new_line(struct strbuf *out, unsigned int depth)
{
	strbuf_addch(out, '\n');
	for (unsigned int i = 0; i < depth; i++)
		strbuf_addstr(out, "    ");
}

static void format_escape(struct strbuf *out, uint32_t c)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const char *which = c && c < 0x80 ? strchr(from, (int)c) : NULL;

	if (which) {
		strbuf_addch(out, '\\');
		strbuf_addch(out, to[which - from]);
	} else if (c < 0x10000) {
		strbuf_addf(out, "\\u%04x", c);
	} else {
		strbuf_addf(out, "\\u%04x\\u%04x",
			    0xd800 + ((c - 0x10000) >> 10),
			    0xdc00 + ((c - 0x10000) & 0x3ff));
	}
}

static void format_string(struct strbuf *out, const char *s, size_t len)
{
	strbuf_addch(out, '"');
	while (len) {
		uint32_t c = 0xfffd;
		size_t n = utf8_decode(s, len, &c);

		if (c >= 0x20 && c <= 0x7e && c != '"' && c != '\\')
			strbuf_addch(out, (char)c);
		else
			format_escape(out, c);
		n += !n;
		s += n;
		len -= n;
	}
	strbuf_addch(out, '"');
}

/* Python's repr: the shortest digits that read back the same. */
static void format_double(struct strbuf *out, double value)
{
	char text[40], digits[24] = "";
	int exponent, nr = 0;

	for (int precision = 0; precision < 17; precision++) {
		snprintf(text, sizeof(text), "%.*e", precision, value);
		if (strtod(text, NULL) == value)
			break;
	}
	exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
	if (signbit(value))
		strbuf_addch(out, '-');
	for (const char *p = text; *p != 'e'; p++)
		if (*p >= '0' && *p <= '9')
			digits[nr++] = *p;
	while (nr > 1 && digits[nr - 1] == '0')
		nr--;
	if (exponent < -4 || exponent >= 16) {
		strbuf_addch(out, digits[0]);
		if (nr > 1)
			strbuf_addch(out, '.');
		strbuf_add(out, digits + 1, (size_t)nr - 1);
		strbuf_addf(out, "e%c%02d", exponent < 0 ? '-' : '+',
			    abs(exponent));
		return;
	}
	if (exponent < 0)
		strbuf_addstr(out, "0.");
	for (int i = exponent + 1; i < 0; i++)
		strbuf_addch(out, '0');
	for (int i = 0; i < nr || i <= exponent + 1; i++) {
		if (exponent >= 0 && i == exponent + 1)
			strbuf_addch(out, '.');
		strbuf_addch(out, i < nr ? digits[i] : '0');
	}
}

static void format_array(struct strbuf *out, struct json_object *array,
			 unsigned int depth)
{
	size_t nr = json_object_array_length(array);

	strbuf_addch(out, '[');
	for (size_t i = 0; i < nr; i++) {
		if (i)
			strbuf_addch(out, ',');
		new_line(out, depth + 1);
		format_value(out, json_object_array_get_idx(array, i),
			     depth + 1);
	}
	if (nr)
		new_line(out, depth);
	strbuf_addch(out, ']');
}

static void format_object(struct strbuf *out, struct json_object *object,
			  unsigned int depth)
{
	bool first = true;

	strbuf_addch(out, '{');
	json_object_object_foreach(object, key, value)
	{
		if (!first)
			strbuf_addch(out, ',');
		first = false;
		new_line(out, depth + 1);
		format_string(out, key, strlen(key));
		strbuf_addstr(out, ": ");
		format_value(out, value, depth + 1);
	}
	if (!first)
		new_line(out, depth);
	strbuf_addch(out, '}');
}

static void format_value(struct strbuf *out, struct json_object *json,
			 unsigned int depth)
{
	switch (json_object_get_type(json)) {
	case json_type_null:
		strbuf_addstr(out, "null");
		break;
	case json_type_boolean:
		strbuf_addstr(out,
			      json_object_get_boolean(json) ? "true" : "false");
		break;
	case json_type_double:
		format_double(out, json_object_get_double(json));
		break;
	case json_type_int:
		strbuf_addstr(out, json_object_get_string(json));
		break;
	case json_type_string:
		format_string(out, json_object_get_string(json),
			      (size_t)json_object_get_string_len(json));
		break;
	case json_type_array:
		format_array(out, json, depth);
		break;
	case json_type_object:
		format_object(out, json, depth);
		break;
	}
}

void imageconfig_format_json(struct strbuf *out, struct json_object *json)
{
	format_value(out, json, 0);
}

/* Every character beyond Latin-1's controls is taken to be printable. */
static void format_repr_char(struct strbuf *out, uint32_t c, char quote)
{
	static const char from[] = "\\\n\r\t", to[] = "\\nrt";
	const char *which = c && c < 0x80 ? strchr(from, (int)c) : NULL;

	if (which || c == (uint32_t)quote) {
		strbuf_addch(out, '\\');
		strbuf_addch(out, which ? to[which - from] : quote);
	} else if (c < 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0xad) {
		strbuf_addf(out, "\\x%02x", c);
	} else {
		utf8_add(out, c);
	}
}

void imageconfig_format_repr(struct strbuf *out, const char *s)
{
	char quote = strchr(s, '\'') && !strchr(s, '"') ? '"' : '\'';
	size_t len = strlen(s);

	strbuf_addch(out, quote);
	while (len) {
		uint32_t c = 0xfffd;
		size_t n = utf8_decode(s, len, &c);

		format_repr_char(out, c, quote);
		n += !n;
		s += n;
		len -= n;
	}
	strbuf_addch(out, quote);
}

static void add_string(struct json_object *object, const char *key,
		       const char *value)
{
	json_object_object_add(object, key, json_object_new_string(value));
}

static struct json_object *rootfs_of(const struct layer *layers, size_t nr)
{
	struct json_object *rootfs = json_object_new_object();
	struct json_object *ids = json_object_new_array();
	char str[DIGEST_STR_SIZE];

	for (size_t i = 0; i < nr; i++)
		json_object_array_add(ids, json_object_new_string(digest_str(
						   &layers[i].diff_id, str)));
	json_object_object_add(rootfs, "diff_ids", ids);
	add_string(rootfs, "type", "layers");
	return rootfs;
}

static struct json_object *history_of(const struct layer_input *inputs,
				      size_t nr, const char *created)
{
	struct json_object *history = json_object_new_array();

	for (size_t i = 0; i < nr; i++) {
		struct json_object *entry = json_object_new_object();

		add_string(entry, "created", created);
		if (inputs[i].comment)
			add_string(entry, "comment", inputs[i].comment);
		json_object_array_add(history, entry);
	}
	return history;
}

void imageconfig_format(struct strbuf *out, const struct imageconfig *image,
			const struct layer_input *inputs,
			const struct layer *layers, size_t nr)
{
	autojson *json = json_object_new_object();

	add_string(json, "created", image->created);
	add_string(json, "architecture", image->architecture);
	if (image->variant)
		add_string(json, "variant", image->variant);
	add_string(json, "os", image->os);
	json_object_object_add(json, "config", json_object_get(image->config));
	json_object_object_add(json, "rootfs", rootfs_of(layers, nr));
	json_object_object_add(json, "history",
			       history_of(inputs, nr, image->created));
	imageconfig_format_json(out, json);
}

/* Put the variables of json's Env into env, which has them by name. */
static int collect_env(struct json_object *env, struct json_object *json,
		       const char *name, struct err *err)
{
	struct json_object *list = NULL;

	if (json && json_want_array(json, "Env", &list, name, err))
		return -1;
	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		const char *entry = json_string_at(list, i);
		autofree char *variable = NULL;

		if (!entry)
			return err_set(err, ERR_MALFORMED,
				       "%s: key 'Env[%zu]': expected a string "
				       "without NUL",
				       name, i);
		variable = xstrndup(entry, strcspn(entry, "="));
		json_object_object_add(env, variable,
				       json_object_new_string(entry));
	}
	return 0;
}

int imageconfig_merge(struct json_object **merged, struct json_object *config,
		      const char *config_name, struct json_object *base,
		      const char *base_name, struct err *err)
{
	autojson *env = json_object_new_object();
	autojson *result = NULL;
	struct json_object *list;

	if (collect_env(env, base, base_name, err) ||
	    collect_env(env, config, config_name, err))
		return -1;
	if (!json_object_object_length(env)) {
		*merged = json_object_get(config);
		return 0;
	}
	if (!config)
		result = json_object_new_object();
	else if (json_object_deep_copy(config, &result, NULL))
		abort();
	list = json_object_new_array();
	json_object_object_foreach(env, variable, entry)
	{
		(void)variable;
		json_object_array_add(list, json_object_get(entry));
	}
	json_object_object_add(result, "Env", list);
	*merged = steal_ptr(&result);
	return 0;
}
