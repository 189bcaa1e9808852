// SPDX-License-Identifier: MIT
#include <string.h>

#include "common/json.h"

#include "common/banned.h"

/* What a key should hold, for messages. */
static const char *const expected[] = {
	[json_type_null] = "null",	  [json_type_boolean] = "true or false",
	[json_type_double] = "a number",  [json_type_int] = "a whole number",
	[json_type_object] = "an object", [json_type_array] = "an array",
	[json_type_string] = "a string",
};

const char *json_kind(struct json_object *value)
{
	switch (json_object_get_type(value)) {
	case json_type_boolean:
		return json_object_get_boolean(value) ? "true" : "false";
	case json_type_double:
		return "a fraction";
	default:
		return expected[json_object_get_type(value)];
	}
}

/* *value is NULL only if the key is absent or null and needed is not set. */
static int get(struct json_object *json, const char *key, enum json_type type,
	       bool needed, struct json_object **value, const char *name,
	       struct err *err)
{
	*value = NULL;
	if (!json_object_is_type(json, json_type_object))
		return err_set(err, ERR_MALFORMED,
			       "%s: expected an object, not %s", name,
			       json_kind(json));
	if (!json_object_object_get_ex(json, key, value)) {
		if (!needed)
			return 0;
		return err_set(err, ERR_MALFORMED,
			       "%s: key '%s': expected %s, but it is missing",
			       name, key, expected[type]);
	}
	if ((!*value && !needed) || json_object_is_type(*value, type))
		return 0;
	return err_set(err, ERR_MALFORMED, "%s: key '%s': expected %s, not %s",
		       name, key, expected[type], json_kind(*value));
}

static int get_string(struct json_object *json, const char *key, bool needed,
		      const char **out, const char *name, struct err *err)
{
	struct json_object *value;
	const char *s;

	if (get(json, key, json_type_string, needed, &value, name, err))
		return -1;
	if (!value)
		return 0;
	s = json_object_get_string(value);
	if (strlen(s) != (size_t)json_object_get_string_len(value))
		return err_set(err, ERR_MALFORMED,
			       "%s: key '%s': expected a string without NUL",
			       name, key);
	*out = s;
	return 0;
}

int json_need_string(struct json_object *json, const char *key,
		     const char **out, const char *name, struct err *err)
{
	return get_string(json, key, true, out, name, err);
}

int json_want_string(struct json_object *json, const char *key,
		     const char **out, const char *name, struct err *err)
{
	return get_string(json, key, false, out, name, err);
}

static int get_int(struct json_object *json, const char *key, bool needed,
		   int64_t *out, const char *name, struct err *err)
{
	struct json_object *value;

	if (get(json, key, json_type_int, needed, &value, name, err))
		return -1;
	if (!value)
		return 0;
	if (json_object_get_uint64(value) > INT64_MAX)
		return err_set(err, ERR_MALFORMED,
			       "%s: key '%s': expected a whole number below "
			       "2^63, not %s",
			       name, key, json_object_get_string(value));
	*out = json_object_get_int64(value);
	return 0;
}

int json_need_int(struct json_object *json, const char *key, int64_t *out,
		  const char *name, struct err *err)
{
	return get_int(json, key, true, out, name, err);
}

int json_need_bytes(struct json_object *json, const char *key, uint64_t *out,
		    const char *name, struct err *err)
{
	int64_t bytes = 0;

	if (json_need_int(json, key, &bytes, name, err))
		return -1;
	if (bytes < 0)
		return err_set(err, ERR_MALFORMED,
			       "%s: key '%s': expected a number of bytes", name,
			       key);
	*out = (uint64_t)bytes;
	return 0;
}

int json_want_int(struct json_object *json, const char *key, int64_t *out,
		  const char *name, struct err *err)
{
	return get_int(json, key, false, out, name, err);
}

int json_want_bool(struct json_object *json, const char *key, bool *out,
		   const char *name, struct err *err)
{
	struct json_object *value;

	if (get(json, key, json_type_boolean, false, &value, name, err))
		return -1;
	if (value)
		*out = json_object_get_boolean(value);
	return 0;
}

int json_need_digest(struct json_object *json, const char *key,
		     struct digest *out, const char *name, struct err *err)
{
	const char *text = "";

	if (json_need_string(json, key, &text, name, err))
		return -1;
	if (digest_parse(out, text, strlen(text), err))
		return err_wrap(err, "%s: key '%s'", name, key);
	return 0;
}

int json_need_array(struct json_object *json, const char *key,
		    struct json_object **out, const char *name, struct err *err)
{
	return get(json, key, json_type_array, true, out, name, err);
}

int json_need_object(struct json_object *json, const char *key,
		     struct json_object **out, const char *name,
		     struct err *err)
{
	return get(json, key, json_type_object, true, out, name, err);
}

static int want(struct json_object *json, const char *key, enum json_type type,
		struct json_object **out, const char *name, struct err *err)
{
	struct json_object *value;

	if (get(json, key, type, false, &value, name, err))
		return -1;
	if (value)
		*out = value;
	return 0;
}

int json_want_array(struct json_object *json, const char *key,
		    struct json_object **out, const char *name, struct err *err)
{
	return want(json, key, json_type_array, out, name, err);
}

int json_want_object(struct json_object *json, const char *key,
		     struct json_object **out, const char *name,
		     struct err *err)
{
	return want(json, key, json_type_object, out, name, err);
}

const char *json_string_at(struct json_object *array, size_t i)
{
	struct json_object *value = json_object_array_get_idx(array, i);
	const char *s;

	if (!json_object_is_type(value, json_type_string))
		return NULL;
	s = json_object_get_string(value);
	if (strlen(s) != (size_t)json_object_get_string_len(value))
		return NULL;
	return s;
}

void json_format_compact(struct strbuf *out, struct json_object *json)
{
	size_t len;
	const char *text = json_object_to_json_string_length(
		json, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
		&len);

	strbuf_add(out, text, len);
}
