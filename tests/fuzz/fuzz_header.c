// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "fcgi/range.h"
#include "fcgi/request.h"

#include "common/banned.h"

/*
 * Header fields: Range, Accept, If-None-Match, If-Range. The same text is
 * each of them in turn.
 */

static void check_range(const char *header, uint64_t size)
{
	struct range range = { .first = 0 };
	enum range_kind kind = range_parse(header, size, &range);

	if (kind != RANGE_PART)
		return;
	need(range.length && range.first < size);
	need(range.length <= size - range.first);
	need(range_count(header) == 1);
}

static void check_ranges(const char *header)
{
	static const uint64_t sizes[] = { 0,	      1,	 10,
					  UINT32_MAX, INT64_MAX, UINT64_MAX };

	need(range_count(header) <= strlen(header) + 1);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		check_range(header, sizes[i]);
}

/* A type is taken by its name or by a wildcard, and the same in capitals. */
static void check_accept(const char *header)
{
	static const enum media_type types[] = { MEDIA_INDEX, MEDIA_MANIFEST };
	autofree char *accept = xasprintf("HTTP_ACCEPT=%s", header);
	char *params[] = { accept, NULL };
	const struct request request = { .params = params };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		const char *name = media_type_name(types[i]);
		autofree char *more =
			xasprintf("HTTP_ACCEPT=a/b, %s;q=0.5", name);
		char *with[] = { accept, more, NULL };
		const struct request also = { .params = with };

		if (request_accepts(&request, types[i]))
			need(!*header || strchr(header, '*') ||
			     strcasestr(header, name));
		need(request_accepts(&also, types[i]));
	}
}

static void check_etags(const char *header, const struct digest *digest)
{
	autofree char *none = xasprintf("HTTP_IF_NONE_MATCH=%s", header);
	autofree char *if_range = xasprintf("HTTP_IF_RANGE=%s", header);
	char range[] = "HTTP_RANGE=bytes=0-";
	char *params[] = { none, if_range, range, NULL };
	const struct request request = { .params = params };
	char str[DIGEST_STR_SIZE];

	digest_str(digest, str);
	if (request_has_etag(&request, digest))
		need(strchr(header, '*') || strstr(header, str));
	if (request_range(&request, digest))
		need(strstr(header, str));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	autofree char *header = fuzz_string(data, size);
	struct digest digest;

	digest_of("", 0, &digest);
	check_ranges(header);
	check_accept(header);
	check_etags(header, &digest);
	return 0;
}
