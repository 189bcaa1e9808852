// SPDX-License-Identifier: MIT
#include "tests/unit/closuretext.h"

#include <assert.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"

#include "common/banned.h"

static char *line(const char **text)
{
	size_t len = strcspn(*text, "\n");
	char *copy = xstrndup(*text, len);

	assert((*text)[len]);
	*text += len + 1;
	return copy;
}

static struct json_object *string_line(const char **text, const char *prefix)
{
	autofree char *copy = line(text);
	autofree char *whole = xasprintf("%s%s", prefix, copy);

	return json_object_new_string(whole);
}

static struct json_object *number_line(const char **text)
{
	autofree char *copy = line(text);

	return json_object_new_int64(strtoll(copy, NULL, 10));
}

static struct json_object *entry(const char **text)
{
	struct json_object *json = json_object_new_object();
	struct json_object *references = json_object_new_array();
	autofree char *deriver = NULL, *nr = NULL;

	json_object_object_add(json, "path", string_line(text, ""));
	json_object_object_add(json, "narHash", string_line(text, "sha256:"));
	json_object_object_add(json, "narSize", number_line(text));
	deriver = line(text);
	nr = line(text);
	for (long i = strtol(nr, NULL, 10); i; i--)
		json_object_array_add(references, string_line(text, ""));
	json_object_object_add(json, "references", references);
	json_object_object_add(json, "registrationTime",
			       json_object_new_int64(1));
	return json;
}

int closure_from_text(struct closure *closure, const char *text,
		      struct err *err)
{
	autojson *json = json_object_new_array();

	while (*text)
		json_object_array_add(json, entry(&text));
	return closure_read(closure, json, err);
}
