// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/cache.h"
#include "common/cachefile.h"
#include "common/catalog.h"
#include "common/health.h"
#include "common/limits.h"

#include "common/banned.h"

/*
 * The small files of the cache, which another process wrote. The first byte
 * says which; what was read and is written again is read the same.
 */

static struct cache cache = CACHE_INIT;
static struct repository_name name;
static struct tag tag;
static struct digest key;

static void open_cache(void)
{
	autofree char *path = xasprintf("%s/cache", fuzz_folder());
	struct err err = ERR_INIT;

	if (cache.fd >= 0)
		return;
	need(!cache_open(&cache, path, CACHE_WRITE, &err));
	need(!repository_name_parse(&name, "web", 3, &err));
	need(!tag_parse(&tag, "v1", 2, &err));
	digest_of("", 0, &key);
}

static void write_file(const char *path, const void *data, size_t size)
{
	struct err err = ERR_INIT;

	need(!cachefile_replace(cache.fd, path, data, size, CACHEFILE_NO_SYNC,
				&err));
}

/* The text that a record was written as. */
static void read_file(const char *path, struct strbuf *text)
{
	struct err err = ERR_INIT;

	need(!cachefile_read(cache.fd, path, RECORD_MAX, text, &err));
}

/* Where it lies, by its format. */
static char *path_of(const char *format)
{
	char hex[DIGEST_HEX_SIZE];
	autostrbuf path = STRBUF_INIT;

	digest_hex(&key, hex);
	for (; *format; format++) {
		if (*format == '*')
			strbuf_addstr(&path, hex);
		else if (*format == '2')
			strbuf_addf(&path, "%.2s", hex);
		else
			strbuf_addch(&path, *format);
	}
	return strbuf_detach(&path, NULL);
}

/* Each reads its file and, if it could, writes it; 1, or 0 and err. */

static int pass_tag(struct err *err)
{
	struct tag_record record;

	if (cache_get_tag(&cache, &name, &tag, &record, err))
		return 0;
	need(strlen(record.revision) < sizeof(record.revision));
	need(!cache_put_tag(&cache, &name, &tag, &record, err));
	return 1;
}

static int pass_link(struct err *err)
{
	struct blob_link link;

	if (cache_get_link(&cache, &name, &key, &link, err))
		return 0;
	link.blob.digest = key;
	need(!cache_put_link(&cache, &name, &link, err));
	return 1;
}

static int pass_layer(struct err *err)
{
	struct layer layer;

	if (cache_get_layer(&cache, &key, &layer, err))
		return 0;
	need(!cache_put_layer(&cache, &layer, err));
	return 1;
}

static int pass_identity(struct err *err)
{
	struct digest manifest;

	if (cache_get_identity(&cache, &name, &key, &manifest, err))
		return 0;
	need(!cache_put_identity(&cache, &name, &key, &manifest, err));
	return 1;
}

static int pass_record(struct err *err)
{
	autostrbuf body = STRBUF_INIT;
	struct image_head head, only;

	if (cache_get_record(&cache, &name, &key, &head, &body, err))
		return 0;
	/* The responder reads the head alone. */
	if (!cache_peek_record(&cache, &name, &key, &only, NULL, err))
		need(digest_equal(&only.identity, &head.identity));
	head.manifest.digest = key;
	need(!cache_put_record(&cache, &name, &head, body.buf, body.len, err));
	return 1;
}

static int pass_failure(struct err *err)
{
	struct failure failure;

	if (cache_get_failure(&cache, &key, &failure, err))
		return 0;
	need(failure.err.code <= ERR_SYSTEM);
	need(!cache_put_failure(&cache, &key, &failure, err));
	return 1;
}

/* The refs go on to be the tags of a listing. */
static int pass_refs(struct err *err)
{
	const struct flake_settings flake = { .id = key };
	autostrbuf text = STRBUF_INIT;
	autonames tags = NAME_LIST_INIT;
	struct refs_record record;
	int64_t asked;

	if (cache_get_refs(&cache, &key, &record, &text, err))
		return 0;
	if (catalog_tags(&cache, &flake, &tags, &asked, err)) {
		fuzz_need_error(err);
	} else {
		struct tag parsed;

		need(asked == record.asked_ms / 1000);
		for (size_t i = 0; i < tags.nr; i++) {
			need(!i ||
			     strcmp(tags.names[i - 1], tags.names[i]) < 0);
			need(!tag_parse(&parsed, tags.names[i],
					strlen(tags.names[i]), err));
		}
	}
	need(!cache_put_refs(&cache, &key, &record, text.buf, text.len, err));
	return 1;
}

static int pass_names(struct err *err)
{
	struct flake_settings flake = { .name = (char[]){ "blog" }, .id = key };
	const struct settings settings = { .flakes = &flake, .nr_flakes = 1 };
	autostrbuf text = STRBUF_INIT;
	autonames names = NAME_LIST_INIT;
	struct names_record record;
	int64_t asked;

	if (cache_get_names(&cache, &key, &record, &text, err))
		return 0;
	if (catalog_names(&cache, &settings, &names, &asked, err)) {
		fuzz_need_error(err);
	} else {
		struct repository_name parsed;

		for (size_t i = 0; i < names.nr; i++)
			need(!repository_name_parse(&parsed, names.names[i],
						    strlen(names.names[i]),
						    err));
	}
	need(!cache_put_names(&cache, &key, &record, text.buf, text.len, err));
	return 1;
}

static int pass_health(struct err *err)
{
	struct health health;

	if (health_read(&cache, &health, err))
		return 0;
	need(!health_write(&cache, &health, err));
	return 1;
}

static const struct row {
	char letter;
	const char *path; /* '*' is the key, '2' its start */
	int (*pass)(struct err *err);
} rows[] = {
	{ 't', "repositories/web/_tags/v1", pass_tag },
	{ 'b', "repositories/web/_blobs/*", pass_link },
	{ 'l', "layers/2/*", pass_layer },
	{ 'i', "repositories/web/_identities/*", pass_identity },
	{ 'm', "repositories/web/_manifests/*", pass_record },
	{ 'f', "builds/*/failure", pass_failure },
	{ 'r', "git/*.refs", pass_refs },
	{ 'n', "git/*.names", pass_names },
	{ 'h', "./health", pass_health },
};

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	const struct row *row = NULL;
	autostrbuf text = STRBUF_INIT, same = STRBUF_INIT;
	autofree char *path = NULL;
	struct err err = ERR_INIT;

	for (size_t i = 0; size && i < ARRAY_SIZE(rows); i++)
		if (rows[i].letter == data[0])
			row = &rows[i];
	if (!row)
		return 0;
	open_cache();
	path = path_of(row->path);
	write_file(path, data + 1, size - 1);
	if (!row->pass(&err)) {
		fuzz_need_error(&err);
		return 0;
	}
	read_file(path, &text);
	need(row->pass(&err));
	read_file(path, &same);
	need(text.len == same.len && !memcmp(text.buf, same.buf, text.len));
	return 0;
}
