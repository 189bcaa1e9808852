// SPDX-License-Identifier: MIT
#include "common/image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/composition.h"
#include "common/confine.h"
#include "common/archive.h"
#include "common/credentials.h"
#include "common/imagework.h"
#include "common/index.h"
#include "common/lease.h"
#include "common/log.h"
#include "common/space.h"

#include "common/banned.h"

static int remake_index(struct image_work *work, const struct image_head *head,
			const struct record *record, struct err *err)
{
	autoindex index = IMAGE_INDEX_INIT;
	autoclose int hold = -1;
	struct digest again;

	if (index_parse(&index, record->config, strlen(record->config),
			"the record's index", err))
		return -1;
	for (size_t i = 0; i < index.nr; i++) {
		autorecord member = RECORD_INIT;
		struct image_head member_head;

		if (image_read_record(work, &index.members[i].manifest.digest,
				      &member_head, &member, err))
			return -1;
		if (image_is_index(&member))
			return err_set(err, ERR_MALFORMED,
				       "an index has an index in it");
		if (!image_is_whole(work, &member_head, &member) &&
		    image_remake(work, &member_head, &member, err))
			return -1;
	}
	hold = lease_hold(work->build->cache, err);
	if (hold < 0)
		return -1;
	if (!image_use_members(work, &index))
		return err_set(err, ERR_BUSY,
			       "a member went from the cache while another "
			       "was made");
	if (cache_sync(work->build->cache, err) ||
	    cache_put_blob(work->build->cache, record->config,
			   strlen(record->config), &again, err))
		return -1;
	if (!digest_equal(&again, &head->manifest.digest))
		return err_set(err, ERR_REFUSED,
			       "the record gives another index than its name "
			       "says");
	return 0;
}

static int remake(struct image_work *work, const struct image_head *head,
		  const struct record *record, struct err *err)
{
	return image_is_index(record) ? remake_index(work, head, record, err)
				      : image_remake(work, head, record, err);
}

static int build_digest(struct image_work *work, struct image_head *head,
			struct err *err)
{
	const struct image_build *build = work->build;
	autorecord record = RECORD_INIT;
	autoclose int slot = -1;

	if (image_read_record(work, &build->reference->digest, head, &record,
			      err)) {
		char str[DIGEST_STR_SIZE];

		if (err->code == ERR_UNKNOWN)
			err_set(err, ERR_UNKNOWN,
				"%s has no image %s: nothing is known of what "
				"it was made of",
				build->name->text,
				digest_str(&build->reference->digest, str));
		return -1;
	}
	if (!digest_equal(&head->flake, &work->flake->id))
		return err_set(err, ERR_UNKNOWN,
			       "the image is of another flake than %s is of "
			       "now",
			       build->name->text);
	if (image_is_whole(work, head, &record))
		return image_link_again(work, head, &record, err) < 0 ? -1 : 0;
	if (space_check(build->cache, err))
		return -1;
	slot = image_work_slot(work, err);
	if (slot < 0)
		return -1;
	return remake(work, head, &record, err);
}

/*
 * Did somebody do the same while we waited for the lock? Then what came of it
 * is ours, too: 1 done, 0 not, -1 it failed. Other settings over the same
 * cache may mean another flake.
 */
static int look_again(struct image_work *work, struct image_head *head,
		      struct err *err)
{
	const struct image_build *build = work->build;
	struct failure failure;
	struct tag_record tag;
	struct err ignored;

	if (build->reference->is_digest)
		return 0;
	if (!cache_get_failure(build->cache, &work->key, &failure, &ignored) &&
	    failure.when > work->started &&
	    digest_equal(&failure.flake, &work->flake->id)) {
		*err = failure.err;
		return -1;
	}
	if (cache_get_tag(build->cache, build->name, &build->reference->tag,
			  &tag, &ignored) ||
	    tag.resolved <= work->started ||
	    !digest_equal(&tag.image.flake, &work->flake->id) ||
	    !cache_has_blob(build->cache, &tag.image.manifest.digest, NULL))
		return 0;
	*head = tag.image;
	return 1;
}

static int build_with_credentials(struct image_work *work,
				  struct image_head *head, struct err *err)
{
	const struct image_build *build = work->build;
	autocredentials credentials = CREDENTIALS_INIT;
	autoconfine confine = CONFINE_INIT;
	int rc;

	if (credentials_open(&credentials, build->cache, work->flake, err))
		return -1;
	confine_init(&confine, build->cache, build->settings, work->flake,
		     &credentials);
	work->nix.confine = build->settings->sandbox_eval ? &confine : NULL;
	work->nix.env = credentials.env;
	work->nix.netrc = credentials.netrc;
	rc = build->reference->is_digest ? build_digest(work, head, err)
					 : image_build_tag(work, head, err);
	work->nix.confine = NULL;
	return rc;
}

/* The build's lock is held. */
static int build_locked(struct image_work *work, struct image_head *head,
			struct err *err)
{
	const struct image_build *build = work->build;
	struct failure failure = { .when = 0 };
	struct err ignored;
	int rc;

	rc = build_with_credentials(work, head, err);
	if (!rc)
		return cache_clear_failure(build->cache, &work->key, err);
	failure.when = time(NULL);
	failure.flake = work->flake->id;
	failure.err = *err;
	image_work_begin_log(work);
	image_work_log(work, "flakehub: failed: ", 18);
	image_work_log(work, err->msg, strlen(err->msg));
	image_work_log(work, "\n", 1);
	if (cache_put_failure(build->cache, &work->key, &failure, &ignored))
		log_err(&ignored, "event", "failure-record", NULL);
	return -1;
}

static int find_flake(struct image_work *work, struct err *err)
{
	const struct image_build *build = work->build;

	work->flake = settings_find_flake(build->settings, build->name,
					  &work->attribute);
	if (!work->flake)
		return err_set(err, ERR_UNKNOWN,
			       "no flake is set for %s: the settings have no "
			       "[flake] and no [flake %.*s]",
			       build->name->text,
			       (int)strcspn(build->name->text, "/"),
			       build->name->text);
	if (work->flake->compose) {
		char *one = NULL;

		work->composed = composition_parse(work->attribute, &one);
		if (!work->composed)
			work->composed = one;
		work->attribute = work->composed;
	}
	work->system = work->flake->image.systems[0];
	return 0;
}

int image_build(const struct image_build *build, struct image_head *head,
		struct err *err)
{
	struct image_work work = {
		.build = build,
		.started = time(NULL),
		.nix = NIX_INIT,
		.log_fd = -1,
		.log_early = STRBUF_INIT,
		.log_left = BUILD_LOG_MAX,
		.line = STRBUF_INIT,
		.expansion = EXPANSION_INIT,
	};
	autoclose int lock = -1;
	char name[DIGEST_HEX_SIZE + 16], hex[DIGEST_HEX_SIZE];
	int rc;

	if (find_flake(&work, err))
		return -1;
	build_key(build->name, build->reference, &work.key);
	snprintf(name, sizeof(name), "build.%s", digest_hex(&work.key, hex));
	lock = cache_lock(build->cache, name, -1, err);
	if (lock < 0)
		return -1;
	archive_set_spool(build->cache->fd);
	work.nix.on_stderr = image_work_stderr;
	work.nix.arg = &work;
	nix_configure(&work.nix, build->settings);
	work.nix.deadline_ms =
		clock_monotonic_ms() + build->settings->build_timeout * 1000;
	rc = look_again(&work, head, err);
	if (!rc)
		rc = build_locked(&work, head, err);
	if (work.log_fd >= 0)
		close(work.log_fd);
	nix_release(&work.nix);
	strbuf_release(&work.log_early);
	strbuf_release(&work.line);
	expansion_release(&work.expansion);
	free(work.composed);
	return rc < 0 ? -1 : 0;
}
