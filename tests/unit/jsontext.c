// SPDX-License-Identifier: MIT
#include "tests/unit/jsontext.h"

#include "common/json.h"
#include "tests/unit/check.h"

#include "common/banned.h"

struct json_object *json_of(const char *text)
{
	struct err err = ERR_INIT;
	struct json_object *json = NULL;

	if (json_parse(&json, text, strlen(text), "t.json", &err))
		fail_msg("%s: %s", text, err.msg);
	return json;
}
