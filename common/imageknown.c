// SPDX-License-Identifier: MIT
#include <string.h>

#include "common/alloc.h"
#include "common/imagework.h"
#include "common/index.h"

#include "common/banned.h"

int image_read_record(const struct image_work *work,
		      const struct digest *manifest, struct image_head *head,
		      struct record *record, struct err *err)
{
	const struct image_build *build = work->build;
	autostrbuf body = STRBUF_INIT;
	char str[DIGEST_STR_SIZE];
	autofree char *name =
		xasprintf("record of %s", digest_str(manifest, str));

	struct descriptor is;

	*record = (struct record)RECORD_INIT;
	if (cache_get_record(build->cache, build->name, manifest, head, &body,
			     err) ||
	    record_parse(record, body.buf, body.len, name, err))
		return -1;
	is = (struct descriptor){ .media_type = head->manifest.media_type,
				  .digest = *manifest };
	if (image_describe(record, &is, err))
		return -1;
	if (descriptor_equal(&is, &head->manifest))
		return 0;
	head->manifest = is;
	return cache_put_record(build->cache, build->name, head, body.buf,
				body.len, err);
}

static bool layers_are_there(const struct image_work *work,
			     const struct record *record)
{
	const struct cache *cache = work->build->cache;
	struct digest config;

	digest_of(record->config, strlen(record->config), &config);
	if (!cache_has_blob(cache, &config, NULL))
		return false;
	if (record->lazy && work->build->lazy &&
	    !work->build->reference->is_digest)
		return true;
	for (size_t i = 0; i < record->nr; i++)
		if (!cache_has_blob(cache, &record->layers[i].blob.digest,
				    NULL))
			return false;
	return true;
}

static bool members_are_there(const struct image_work *work,
			      const struct record *record)
{
	autoindex index = IMAGE_INDEX_INIT;
	struct err ignored;

	if (index_parse(&index, record->config, strlen(record->config), "index",
			&ignored))
		return false;
	for (size_t i = 0; i < index.nr; i++) {
		autorecord member = RECORD_INIT;
		struct image_head head;

		if (image_read_record(work, &index.members[i].manifest.digest,
				      &head, &member, &ignored) ||
		    image_is_index(&member) ||
		    !image_is_whole(work, &head, &member))
			return false;
	}
	return true;
}

bool image_is_index(const struct record *record)
{
	return !strcmp(record->kind, "index");
}

bool image_is_whole(const struct image_work *work,
		    const struct image_head *head, const struct record *record)
{
	if (!cache_has_blob(work->build->cache, &head->manifest.digest, NULL))
		return false;
	return image_is_index(record) ? members_are_there(work, record)
				      : layers_are_there(work, record);
}

int image_link_again(const struct image_work *work,
		     const struct image_head *head, const struct record *record,
		     struct err *err)
{
	autoindex index = IMAGE_INDEX_INIT;

	if (!digest_equal(&head->flake, &work->flake->id))
		return 0;
	if (!image_is_index(record))
		return image_link_blobs(work, head, record->config,
					record->layers, record->nr, err)
			       ? -1
			       : 1;
	if (index_parse(&index, record->config, strlen(record->config), "index",
			err))
		return -1;
	for (size_t i = 0; i < index.nr; i++) {
		autorecord member = RECORD_INIT;
		struct image_head of;

		if (image_read_record(work, &index.members[i].manifest.digest,
				      &of, &member, err))
			return -1;
		if (!digest_equal(&of.flake, &work->flake->id))
			return 0;
		if (image_link_blobs(work, &of, member.config, member.layers,
				     member.nr, err))
			return -1;
	}
	return 1;
}

int image_find_known(struct image_work *work, const struct digest *identity,
		     struct image_head *head, struct err *err)
{
	const struct image_build *build = work->build;
	autorecord record = RECORD_INIT;
	struct digest manifest;
	struct err ignored;

	if (cache_get_identity(build->cache, build->name, identity, &manifest,
			       err))
		return err->code == ERR_UNKNOWN ? 0 : -1;
	if (image_read_record(work, &manifest, head, &record, &ignored))
		return 0;
	return image_is_whole(work, head, &record)
		       ? image_link_again(work, head, &record, err)
		       : 0;
}
