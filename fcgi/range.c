// SPDX-License-Identifier: MIT
#include "fcgi/range.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "common/banned.h"

/* Past "bytes=", or NULL. */
static const char *byte_ranges(const char *header)
{
	static const char unit[] = "bytes=";

	if (!header || strncasecmp(header, unit, sizeof(unit) - 1) != 0)
		return NULL;
	return header + sizeof(unit) - 1;
}

size_t range_count(const char *header)
{
	const char *s = byte_ranges(header);
	size_t n = 1;

	if (!s)
		return 0;
	while ((s = strchr(s, ','))) {
		n++;
		s++;
	}
	return n;
}

/* The digits at *s, moved past; more than 64 bits are as many as there are. */
static bool number(const char **s, uint64_t *out)
{
	const char *p = *s;
	uint64_t n = 0;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, *p - '0', &n))
			n = UINT64_MAX / 16;
	if (p == *s)
		return false;
	*s = p;
	*out = n;
	return true;
}

/* "-N": the last N bytes. */
static enum range_kind suffix(const char *s, uint64_t size, struct range *range)
{
	uint64_t n;

	s++;
	if (!number(&s, &n) || *s)
		return RANGE_ALL;
	if (!n || !size)
		return RANGE_UNSATISFIABLE;
	range->length = n < size ? n : size;
	range->first = size - range->length;
	return RANGE_PART;
}

enum range_kind range_parse(const char *header, uint64_t size,
			    struct range *range)
{
	const char *s = byte_ranges(header);
	uint64_t first, last;

	if (!s || strchr(s, ','))
		return RANGE_ALL;
	if (*s == '-')
		return suffix(s, size, range);
	if (!number(&s, &first) || *s++ != '-')
		return RANGE_ALL;
	if (!*s)
		last = UINT64_MAX;
	else if (!number(&s, &last) || *s || last < first)
		return RANGE_ALL;
	if (first >= size)
		return RANGE_UNSATISFIABLE;
	if (last >= size)
		last = size - 1;
	range->first = first;
	range->length = last - first + 1;
	return RANGE_PART;
}
