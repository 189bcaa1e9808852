// SPDX-License-Identifier: MIT
#include <stddef.h>
#include <stdio.h>

#include "common/cache.h"
#include "common/cachefile.h"
#include "common/limits.h"

#include "common/banned.h"

/* "git/", the flake in hex, ".refs", the NUL. */
#define PATH_SIZE (DIGEST_HEX_SIZE + 16)

static const char *path_of(char out[PATH_SIZE], const struct digest *flake)
{
	char hex[DIGEST_HEX_SIZE];

	snprintf(out, PATH_SIZE, "git/%s.refs", digest_hex(flake, hex));
	return out;
}

static const struct field refs_fields[] = {
	{ "asked", FIELD_INT, offsetof(struct refs_record, asked), 0 },
};

int cache_get_refs(const struct cache *cache, const struct digest *flake,
		   struct refs_record *record, struct strbuf *text,
		   struct err *err)
{
	char path[PATH_SIZE];
	autostrbuf all = STRBUF_INIT;
	size_t used;

	path_of(path, flake);
	if (cachefile_read(cache->fd, path, REFS_MAX, &all, err))
		return -1;
	if (fields_parse(refs_fields, ARRAY_SIZE(refs_fields), record, all.buf,
			 all.len, &used, path, err)) {
		err->code = ERR_UNKNOWN;
		return -1;
	}
	strbuf_add(text, all.buf + used, all.len - used);
	return 0;
}

int cache_put_refs(const struct cache *cache, const struct digest *flake,
		   const struct refs_record *record, const char *text,
		   size_t len, struct err *err)
{
	char path[PATH_SIZE];
	autostrbuf all = STRBUF_INIT;

	fields_format(&all, refs_fields, ARRAY_SIZE(refs_fields), record);
	strbuf_add(&all, text, len);
	return cachefile_replace(cache->fd, path_of(path, flake), all.buf,
				 all.len, CACHEFILE_NO_SYNC, err);
}
