// SPDX-License-Identifier: MIT
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/err.h"
#include "common/strbuf.h"

/*
 * JSON, read strictly. json-c's own getters turn "7" into 7; here the wrong
 * type is an error that names the file, the key and what was expected. An
 * object keeps its keys in the order read.
 */

void cleanup_json(struct json_object **json);
#define autojson __attribute__((cleanup(cleanup_json))) struct json_object

/*
 * Parse exactly len bytes; name is for messages. ERR_MALFORMED for anything
 * that is no JSON text (RFC 8259, so in UTF-8), is nested deeper than
 * JSON_DEPTH_MAX, has an integer beyond 64 bits, a lone surrogate or a NUL in
 * a key, or the same key twice in an object; ERR_REFUSED if its values take
 * more memory than JSON_MEMORY_MAX. *json is the caller's to put.
 */
MUST_CHECK int json_parse(struct json_object **json, const char *text,
			  size_t len, const char *name, struct err *err);

/* The same of a document whose values may take so many bytes of memory. */
MUST_CHECK int json_parse_large(struct json_object **json, const char *text,
				size_t len, size_t memory_max, const char *name,
				struct err *err);

/* Parse a file of at most max bytes, opened by the caller. */
MUST_CHECK int json_read(struct json_object **json, int fd, size_t max,
			 const char *name, struct err *err);

/*
 * The value at key of an object. json_need_* is ERR_MALFORMED without it;
 * json_want_* leaves *out alone when the key is absent or null. name is the
 * file's, for messages. What *out points to lives as long as the object. A
 * string with a NUL in it is malformed.
 */
MUST_CHECK int json_need_string(struct json_object *json, const char *key,
				const char **out, const char *name,
				struct err *err);
MUST_CHECK int json_want_string(struct json_object *json, const char *key,
				const char **out, const char *name,
				struct err *err);
MUST_CHECK int json_need_int(struct json_object *json, const char *key,
			     int64_t *out, const char *name, struct err *err);
/* A size: a number that is not below 0. */
MUST_CHECK int json_need_bytes(struct json_object *json, const char *key,
			       uint64_t *out, const char *name,
			       struct err *err);
MUST_CHECK int json_want_int(struct json_object *json, const char *key,
			     int64_t *out, const char *name, struct err *err);
MUST_CHECK int json_want_bool(struct json_object *json, const char *key,
			      bool *out, const char *name, struct err *err);
MUST_CHECK int json_need_digest(struct json_object *json, const char *key,
				struct digest *out, const char *name,
				struct err *err);
MUST_CHECK int json_need_array(struct json_object *json, const char *key,
			       struct json_object **out, const char *name,
			       struct err *err);
MUST_CHECK int json_want_array(struct json_object *json, const char *key,
			       struct json_object **out, const char *name,
			       struct err *err);
MUST_CHECK int json_need_object(struct json_object *json, const char *key,
				struct json_object **out, const char *name,
				struct err *err);
MUST_CHECK int json_want_object(struct json_object *json, const char *key,
				struct json_object **out, const char *name,
				struct err *err);

/* The string at an index of an array; NULL if it is none or has a NUL. */
const char *json_string_at(struct json_object *array, size_t i);

/* What a value is, for messages: "a string", "null"; static. */
const char *json_kind(struct json_object *value);

/* Append the value without spaces; one line, '/' not escaped. */
void json_format_compact(struct strbuf *out, struct json_object *json);

#endif
