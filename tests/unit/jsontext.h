// SPDX-License-Identifier: MIT
#ifndef TESTS_UNIT_JSONTEXT_H
#define TESTS_UNIT_JSONTEXT_H

struct json_object;

/* The value of JSON text, which is right; the caller puts it. */
struct json_object *json_of(const char *text);

#endif
