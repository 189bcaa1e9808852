// SPDX-License-Identifier: MIT
#ifndef COMMON_ISOTIME_H
#define COMMON_ISOTIME_H

#include <stdint.h>

#include "common/err.h"

/*
 * A time as ISO 8601 has it, of which the offset is kept: it is written as it
 * was read, the way that Python's datetime does it.
 */
struct isotime {
	int year, month, day;
	int hour, minute, second, microsecond;
	int offset; /* seconds east of UTC; 0 if the text has none */
};

/*
 * Parse YYYY-MM-DD, then nothing or 'T' or a space and HH:MM, :SS, a fraction
 * after '.' or ',' (cut to microseconds), then nothing (UTC), 'Z', or an
 * offset +HH, +HHMM or +HH:MM. ERR_MALFORMED says what was expected.
 */
MUST_CHECK int isotime_parse(struct isotime *t, const char *s, struct err *err);

/* The time that many seconds after 1970, in UTC; within years 1 to 9999. */
void isotime_from_seconds(struct isotime *t, int64_t seconds);

/* Seconds after 1970, the fraction cut towards 1970. */
int64_t isotime_seconds(const struct isotime *t);

/* As "2024-02-29T12:34:56+02:00", ".500000" before the offset. Returns out. */
#define ISOTIME_SIZE 40
const char *isotime_format(const struct isotime *t, char out[ISOTIME_SIZE]);

#endif
