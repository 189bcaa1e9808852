// SPDX-License-Identifier: MIT
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/imagework.h"
#include "common/index.h"
#include "common/lease.h"
#include "common/log.h"
#include "common/space.h"

#include "common/banned.h"

static bool points_to(const char *link, const char *target)
{
	char now[PATH_MAX];
	ssize_t n = readlink(link, now, sizeof(now));

	return n >= 0 && (size_t)n == strlen(target) &&
	       !memcmp(now, target, (size_t)n);
}

/*
 * Have a GC root of the tag on the image's output. An output that is gone is
 * no error: its blobs are all there, and only their loss would need it.
 */
static int keep_output(struct image_work *work, const struct image_head *head,
		       struct err *err)
{
	autorecord record = RECORD_INIT;
	autofree char *root = image_root_of_tag(work);
	struct image_head unused;
	struct err gone = ERR_INIT;

	if (image_read_record(work, &head->manifest.digest, &unused, &record,
			      err))
		return -1;
	if (!points_to(root, record.output_path) &&
	    !access(record.output_path, F_OK) &&
	    nix_realise_path(&work->nix, record.output_path, root, &gone))
		log_err(&gone, "event", "gc-root", NULL);
	return 0;
}

/* What is made anew has its root from its realisation. */
static int find_or_make(struct image_work *work, struct flake_pin *pin,
			const struct digest *identity, struct image_head *head,
			struct err *err)
{
	autoclose int slot = -1;
	int rc = image_find_known(work, identity, head, err);

	if (rc < 0)
		return -1;
	if (rc)
		return keep_output(work, head, err);
	if (space_check(work->build->cache, err))
		return -1;
	slot = image_work_slot(work, err);
	if (slot < 0)
		return -1;
	return image_make(work, pin, identity, head, err);
}

/* The same for the members of an index that was known. */
static int keep_members(struct image_work *work, const struct image_head *head,
			struct err *err)
{
	const char *system = work->system;
	autorecord record = RECORD_INIT;
	autoindex index = IMAGE_INDEX_INIT;
	struct image_head unused;
	int rc = 0;

	if (image_read_record(work, &head->manifest.digest, &unused, &record,
			      err) ||
	    index_parse(&index, record.config, strlen(record.config),
			"the record's index", err))
		return -1;
	for (size_t i = 0; i < index.nr && !rc; i++) {
		struct image_head member = {
			.manifest = index.members[i].manifest
		};
		autorecord of = RECORD_INIT;

		rc = image_read_record(work, &member.manifest.digest, &unused,
				       &of, err);
		work->system = rc ? system : of.system;
		rc = rc ? rc : keep_output(work, &member, err);
		work->system = system;
	}
	return rc;
}

int image_find_or_make(struct image_work *work, struct flake_pin *pin,
		       struct image_head *head, struct err *err)
{
	char name[DIGEST_HEX_SIZE + 16], hex[DIGEST_HEX_SIZE];
	autoclose int lock = -1;
	struct digest identity;

	flake_identity(pin, work->system, work->attribute, &work->flake->image,
		       &identity);
	snprintf(name, sizeof(name), "identity.%s", digest_hex(&identity, hex));
	lock = cache_lock(work->build->cache, name, -1, err);
	if (lock < 0)
		return -1;
	return find_or_make(work, pin, &identity, head, err);
}

void image_identity(const struct image_work *work, const struct flake_pin *pin,
		    struct digest *identity)
{
	const struct image_settings *image = &work->flake->image;
	autostrbuf text = STRBUF_INIT;

	if (image->nr_systems == 1) {
		flake_identity(pin, image->systems[0], work->attribute, image,
			       identity);
		return;
	}
	strbuf_addstr(&text, "index\n");
	for (size_t i = 0; i < image->nr_systems; i++) {
		char hex[DIGEST_HEX_SIZE];
		struct digest member;

		flake_identity(pin, image->systems[i], work->attribute, image,
			       &member);
		strbuf_addf(&text, "%s\n", digest_hex(&member, hex));
	}
	digest_of(text.buf, text.len, identity);
}

/*
 * An output may be an index itself. No client looks for an index in an index,
 * so what stands for the system in ours is that member of its output's that is
 * for its platform; of several the first, whatever variant it is.
 */
static int pick_member(const struct image_work *work,
		       const struct record *of_output,
		       struct index_member *member, struct err *err)
{
	autoindex inner = IMAGE_INDEX_INIT;
	struct platform wanted = { "", "", "" };

	if (index_parse(&inner, of_output->config, strlen(of_output->config),
			"the record's index", err))
		return -1;
	if (!platform_of_system(&wanted, work->system))
		inner.nr = 0;
	for (size_t i = 0; i < inner.nr; i++) {
		autorecord record = RECORD_INIT;
		struct err is_no_image = ERR_INIT;
		struct image_head unused;

		if (image_read_record(work, &inner.members[i].manifest.digest,
				      &unused, &record, err))
			return -1;
		if (platform_parse(&member->platform, record.config,
				   strlen(record.config), &is_no_image))
			continue;
		member->manifest = inner.members[i].manifest;
		if (!strcmp(member->platform.os, wanted.os) &&
		    !strcmp(member->platform.architecture, wanted.architecture))
			return 0;
	}
	return err_set(err, ERR_REFUSED,
		       "the output for %s is an index, and none of its images "
		       "is for that",
		       work->system);
}

static int read_member(const struct image_work *work,
		       const struct image_head *head,
		       struct index_member *member, struct err *err)
{
	autorecord record = RECORD_INIT;
	struct image_head unused;

	if (image_read_record(work, &head->manifest.digest, &unused, &record,
			      err))
		return -1;
	if (image_is_index(&record))
		return pick_member(work, &record, member, err);
	member->manifest = head->manifest;
	return platform_parse(&member->platform, record.config,
			      strlen(record.config), err);
}

/* Add the image of one system; two of one platform are an error. */
static int add_member(struct image_work *work, struct image_index *index,
		      const struct image_head *head, const char **systems,
		      struct err *err)
{
	struct index_member *member = &index->members[index->nr];

	if (read_member(work, head, member, err))
		return -1;
	systems[index->nr++] = work->system;
	for (size_t i = 0; i + 1 < index->nr; i++)
		if (platform_equal(&index->members[i].platform,
				   &member->platform))
			return err_set(err, ERR_REFUSED,
				       "the images of %s and %s are both for "
				       "%s/%s",
				       systems[i], work->system,
				       member->platform.os,
				       member->platform.architecture);
	return 0;
}

/* Of the systems, those that the flake has the attribute for. */
static int make_members(struct image_work *work, struct flake_pin *pin,
			struct image_index *index, struct err *err)
{
	const struct image_settings *image = &work->flake->image;
	autofree const char **systems =
		xcalloc(image->nr_systems, sizeof(*systems));
	struct err unknown = ERR_INIT;

	index->members = xcalloc(image->nr_systems, sizeof(*index->members));
	for (size_t i = 0; i < image->nr_systems; i++) {
		struct image_head head;

		work->system = image->systems[i];
		image_work_phase(work, work->system);
		if (!image_find_or_make(work, pin, &head, err)) {
			if (add_member(work, index, &head, systems, err))
				return -1;
			continue;
		}
		if (err->code != ERR_UNKNOWN)
			return err_wrap(err, "%s", work->system);
		if (!unknown.code)
			unknown = *err;
	}
	if (index->nr)
		return 0;
	*err = unknown;
	return -1;
}

/*
 * The record of an index has the index itself in place of an image config,
 * and no layers.
 */
static int publish_index(struct image_work *work, const struct flake_pin *pin,
			 const struct digest *identity,
			 const struct strbuf *text, struct image_head *head,
			 struct err *err)
{
	static char none[] = "", kind[] = "index";
	const struct image_build *build = work->build;
	struct record record = {
		.flake = work->flake->name,
		.url = pin->url,
		.nar_hash = pin->nar_hash ? pin->nar_hash : none,
		.revision = (char *)(uintptr_t)pin->revision,
		.locks = pin->locks ? pin->locks : none,
		.identity = *identity,
		.reproducible = pin->reproducible,
		.reason = (char *)(uintptr_t)pin->reason,
		.system = none,
		.attribute_path = (char *)(uintptr_t)work->attribute,
		.drv_path = none,
		.output = none,
		.output_path = none,
		.kind = kind,
		.created = time(NULL),
		.compression = none,
		.config = text->buf,
	};
	autostrbuf body = STRBUF_INIT, url = STRBUF_INIT;

	/* Records are for everybody to read. */
	text_clean(&url, pin->url, strlen(pin->url));
	record.url = url.buf;
	*head = (struct image_head){
		.manifest.media_type = MEDIA_INDEX,
		.manifest.size = text->len,
		.flake = work->flake->id,
		.identity = *identity,
	};
	digest_of(text->buf, text->len, &head->manifest.digest);
	record_format(&body, &record);
	if (cache_put_record(build->cache, build->name, head, body.buf,
			     body.len, err) ||
	    cache_sync(build->cache, err) ||
	    cache_put_blob(build->cache, text->buf, text->len,
			   &head->manifest.digest, err))
		return -1;
	return cache_put_identity(build->cache, build->name, identity,
				  &head->manifest.digest, err);
}

bool image_use_members(const struct image_work *work,
		       const struct image_index *index)
{
	for (size_t i = 0; i < index->nr; i++) {
		const struct digest *digest =
			&index->members[i].manifest.digest;

		cache_use_record(work->build->cache, work->build->name, digest);
		if (!cache_use_blob(work->build->cache, digest, NULL))
			return false;
	}
	return true;
}

/* While one member is built another may be evicted: then all once more. */
static int make_and_hold(struct image_work *work, struct flake_pin *pin,
			 struct image_index *index, int *hold, struct err *err)
{
	for (;;) {
		if (make_members(work, pin, index, err))
			return -1;
		*hold = lease_hold(work->build->cache, err);
		if (*hold < 0)
			return -1;
		if (image_use_members(work, index))
			return 0;
		close(steal_fd(hold));
		index_release(index);
	}
}

int image_find_or_make_index(struct image_work *work, struct flake_pin *pin,
			     struct image_head *head, struct err *err)
{
	autoindex index = IMAGE_INDEX_INIT;
	autostrbuf text = STRBUF_INIT;
	struct digest identity;
	autoclose int hold = -1;
	int rc;

	image_identity(work, pin, &identity);
	rc = image_find_known(work, &identity, head, err);
	if (rc)
		return rc < 0 ? -1 : keep_members(work, head, err);
	if (pin_complete(&work->nix, pin, err) ||
	    make_and_hold(work, pin, &index, &hold, err))
		return -1;
	index_format(&text, &index);
	return publish_index(work, pin, &identity, &text, head, err);
}
