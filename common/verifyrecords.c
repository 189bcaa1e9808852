// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>

#include "common/alloc.h"
#include "common/folder.h"
#include "common/imagework.h"
#include "common/lease.h"
#include "common/log.h"
#include "common/verify.h"

#include "common/banned.h"

/* One call of verify_records(). */
struct checking {
	const struct verify *verify;
	struct verify_result *result;
	const struct repository_name *name; /* whose turn it is */
	struct err *err;
	bool has_failed; /* and *err says why */
};

/* A record that is looked at. */
struct looked {
	const struct digest *digest; /* that it is named after */
	struct image_head head;
	struct record record;
	struct strbuf body;
	const char *why; /* it is wrong, or NULL */
	bool is_useless; /* only a tag can make it anew */
};

/* That descriptors or memory are short says nothing of a file. */
static int because(struct looked *looked, const char *why, struct err *err)
{
	if (err->code == ERR_SYSTEM && err->sys != EIO && err->sys != EUCLEAN &&
	    err->sys != EBADMSG)
		return -1;
	looked->why = why;
	return 0;
}

static int look_at_link(const struct checking *c, struct looked *looked,
			const struct descriptor *blob, bool mend,
			struct err *err)
{
	const struct blob_link right = { .blob = *blob,
					 .manifest =
						 looked->head.manifest.digest,
					 .flake = looked->head.flake };
	struct blob_link link;

	/* Of another record or flake, or by another type, it may well be. */
	if (!cache_get_link(c->verify->cache, c->name, &blob->digest, &link,
			    err)) {
		if (digest_equal(&link.blob.digest, &blob->digest) &&
		    link.blob.size == blob->size)
			return 0;
		err->code = ERR_MALFORMED;
	}
	if (because(looked, "a link to a blob of it is wrong or missing", err))
		return -1;
	return mend ? cache_put_link(c->verify->cache, c->name, &right, err)
		    : 0;
}

/* Those of an image whose manifest is not there come with it. */
static int look_at_links(const struct checking *c, struct looked *looked,
			 bool mend, struct err *err)
{
	const struct record *record = &looked->record;
	struct descriptor config = { .media_type = MEDIA_CONFIG,
				     .size = strlen(record->config) };

	if (image_is_index(record) ||
	    !cache_has_blob(c->verify->cache, looked->digest, NULL))
		return 0;
	digest_of(record->config, config.size, &config.digest);
	if (look_at_link(c, looked, &config, mend, err))
		return -1;
	for (size_t i = 0; i < record->nr; i++)
		if (look_at_link(c, looked, &record->layers[i].blob, mend, err))
			return -1;
	return 0;
}

/* Against the manifest that the body gives, whether that is there or not. */
static int look_at_head(const struct checking *c, struct looked *looked,
			bool mend, struct err *err)
{
	struct descriptor is = { .media_type = looked->head.manifest.media_type,
				 .digest = *looked->digest };

	if (image_describe(&looked->record, &is, err)) {
		looked->why = "it gives another manifest than its name says";
		looked->is_useless = true;
		return 0;
	}
	if (!descriptor_equal(&is, &looked->head.manifest)) {
		looked->why = "its head does not fit the manifest";
		looked->head.manifest = is;
		if (mend &&
		    cache_put_record(c->verify->cache, c->name, &looked->head,
				     looked->body.buf, looked->body.len, err))
			return -1;
	}
	return look_at_links(c, looked, mend, err);
}

static int look_at_record(const struct checking *c, struct looked *looked,
			  bool mend, struct err *err)
{
	if (cache_peek_record(c->verify->cache, c->name, looked->digest,
			      &looked->head, &looked->body, err)) {
		looked->is_useless = err->code != ERR_UNKNOWN;
		return looked->is_useless
			       ? because(looked, "it cannot be read", err)
			       : 0;
	}
	if (record_parse(&looked->record, looked->body.buf, looked->body.len,
			 "record", err)) {
		looked->is_useless = err->code == ERR_MALFORMED;
		if (looked->is_useless)
			looked->why = "it is malformed";
		return 0; /* or of a flakehub that is newer */
	}
	return look_at_head(c, looked, mend, err);
}

static int look(const struct checking *c, const struct digest *digest,
		bool mend, const char **why, bool *is_useless, struct err *err)
{
	struct looked looked = { .digest = digest,
				 .record = RECORD_INIT,
				 .body = STRBUF_INIT };
	int rc = look_at_record(c, &looked, mend, err);

	*why = looked.why;
	*is_useless = looked.is_useless;
	record_release(&looked.record);
	strbuf_release(&looked.body);
	return rc;
}

/* Look, and while nobody publishes look again and mend what can be. */
static int look_and_mend(const struct checking *c, const struct digest *digest,
			 const char **why, bool *is_useless, struct err *err)
{
	autoclose int bar = -1;

	if (look(c, digest, false, why, is_useless, err))
		return -1;
	if (!*why || *is_useless)
		return 0;
	bar = lease_bar(c->verify->cache, err);
	return bar < 0 ? -1 : look(c, digest, true, why, is_useless, err);
}

/* A tag that still is this image's makes its record anew. */
struct search {
	const struct checking *checking;
	const struct digest *digest;
};

static int build_tag(const struct tag *tag, void *arg)
{
	const struct search *search = arg;
	const struct verify *verify = search->checking->verify;
	struct reference reference = { .tag = *tag };
	const struct image_build build = {
		.settings = verify->settings,
		.cache = verify->cache,
		.name = search->checking->name,
		.reference = &reference,
	};
	struct tag_record record;
	struct image_head head;
	struct err none = ERR_INIT;

	if (cache_get_tag(verify->cache, build.name, tag, &record, &none) ||
	    !digest_equal(&record.image.manifest.digest, search->digest))
		return 0;
	return !image_build(&build, &head, &none) &&
	       digest_equal(&head.manifest.digest, search->digest);
}

static int make_anew(const struct checking *c, const struct digest *digest,
		     bool *is_mended, struct err *err)
{
	struct search search = { .checking = c, .digest = digest };
	bool is_useless = false;
	const char *why;

	if (cache_each_tag(c->verify->cache, c->name, build_tag, &search,
			   err) ||
	    look_and_mend(c, digest, &why, &is_useless, err))
		return -1;
	*is_mended = !is_useless;
	return 0;
}

static int check_record(const struct checking *c, const struct digest *digest,
			struct err *err)
{
	const struct verify *verify = c->verify;
	bool is_useless = false, is_mended;
	char str[DIGEST_STR_SIZE];
	const char *why;

	if (look_and_mend(c, digest, &why, &is_useless, err))
		return -1;
	if (!why)
		return 0;
	is_mended = !is_useless;
	log_event(LOG_LEVEL_ERROR, "event", "bad-record", "name", c->name->text,
		  "manifest", digest_str(digest, str), "msg", why, NULL);
	if (is_useless && verify->repair &&
	    make_anew(c, digest, &is_mended, err))
		return -1;
	c->result->records++;
	c->result->lost_records += !is_mended;
	if (verify->record)
		verify->record(verify->arg, c->name, digest, why, is_mended);
	return 0;
}

static int check_repository(const struct repository_name *name, void *arg)
{
	struct checking *c = arg;
	autofolder records = FOLDER_INIT;
	autofree char *path =
		xasprintf("repositories/%s/_manifests", name->text);

	c->name = name;
	c->has_failed =
		folder_read(&records, c->verify->cache->fd, path, c->err) != 0;
	for (size_t i = 0; i < records.nr && !c->has_failed; i++) {
		const char *hex = records.names[i];
		struct digest digest;
		struct err none;

		c->has_failed =
			!digest_parse_hex(&digest, hex, strlen(hex), &none) &&
			check_record(c, &digest, c->err);
	}
	return c->has_failed ? -1 : 0;
}

int verify_records(const struct verify *verify, struct verify_result *result,
		   struct err *err)
{
	struct checking c = { .verify = verify, .result = result, .err = err };

	if (cache_each_repository(verify->cache, check_repository, &c, err))
		return -1;
	return c.has_failed ? -1 : 0;
}
