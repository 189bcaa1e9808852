// SPDX-License-Identifier: MIT
#include <stddef.h>
#include <stdio.h>

#include "common/cache.h"
#include "common/cachefile.h"
#include "common/limits.h"

#include "common/banned.h"

/* "git/", the flake in hex, a suffix, the NUL. */
#define PATH_SIZE (DIGEST_HEX_SIZE + 16)

static const char *path_of(char out[PATH_SIZE], const struct digest *flake,
			   const char *suffix)
{
	char hex[DIGEST_HEX_SIZE];

	snprintf(out, PATH_SIZE, "git/%s%s", digest_hex(flake, hex), suffix);
	return out;
}

static int get(const struct cache *cache, const char *path,
	       const struct field *fields, size_t nr, void *record,
	       struct strbuf *text, struct err *err)
{
	autostrbuf all = STRBUF_INIT;
	size_t used;

	if (cachefile_read(cache->fd, path, REFS_MAX, &all, err))
		return -1;
	if (fields_parse(fields, nr, record, all.buf, all.len, &used, path,
			 err)) {
		/* What a crash cut short is not there. */
		err->code = ERR_UNKNOWN;
		return -1;
	}
	strbuf_add(text, all.buf + used, all.len - used);
	return 0;
}

static int put(const struct cache *cache, const char *path,
	       const struct field *fields, size_t nr, const void *record,
	       const char *text, size_t len, struct err *err)
{
	autostrbuf all = STRBUF_INIT;

	fields_format(&all, fields, nr, record);
	strbuf_add(&all, text, len);
	return cachefile_replace(cache->fd, path, all.buf, all.len,
				 CACHEFILE_NO_SYNC, err);
}

static const struct field refs_fields[] = {
	{ "asked-ms", FIELD_INT, offsetof(struct refs_record, asked_ms), 0 },
};

int cache_get_refs(const struct cache *cache, const struct digest *flake,
		   struct refs_record *record, struct strbuf *text,
		   struct err *err)
{
	char path[PATH_SIZE];

	return get(cache, path_of(path, flake, ".refs"), refs_fields,
		   ARRAY_SIZE(refs_fields), record, text, err);
}

int cache_put_refs(const struct cache *cache, const struct digest *flake,
		   const struct refs_record *record, const char *text,
		   size_t len, struct err *err)
{
	char path[PATH_SIZE];

	return put(cache, path_of(path, flake, ".refs"), refs_fields,
		   ARRAY_SIZE(refs_fields), record, text, len, err);
}

static const struct field names_fields[] = {
	{ "asked", FIELD_INT, offsetof(struct names_record, asked), 0 },
	{ "source", FIELD_DIGEST, offsetof(struct names_record, source), 0 },
};

int cache_get_names(const struct cache *cache, const struct digest *flake,
		    struct names_record *record, struct strbuf *text,
		    struct err *err)
{
	char path[PATH_SIZE];

	return get(cache, path_of(path, flake, ".names"), names_fields,
		   ARRAY_SIZE(names_fields), record, text, err);
}

int cache_put_names(const struct cache *cache, const struct digest *flake,
		    const struct names_record *record, const char *text,
		    size_t len, struct err *err)
{
	char path[PATH_SIZE];

	return put(cache, path_of(path, flake, ".names"), names_fields,
		   ARRAY_SIZE(names_fields), record, text, len, err);
}
