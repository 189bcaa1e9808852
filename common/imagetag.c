// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/imagework.h"
#include "common/flakeref.h"
#include "common/lease.h"
#include "common/log.h"
#include "common/resolve.h"

#include "common/banned.h"

static int put_tag(struct image_work *work, const struct flake_pin *pin,
		   const struct image_head *head, struct err *err)
{
	const struct image_build *build = work->build;
	struct tag_record tag = { .image = *head, .resolved = time(NULL) };
	autoclose int hold = lease_hold(build->cache, err);

	if (hold < 0)
		return -1;
	cache_use_record(build->cache, build->name, &head->manifest.digest);
	memcpy(tag.revision, pin->revision, sizeof(tag.revision));
	return cache_put_tag(build->cache, build->name, &build->reference->tag,
			     &tag, err);
}

static bool tag_is(const struct tag *tag, const char *text)
{
	return !strcmp(tag->text, text);
}

/* Nor is a build of latest that fails tried for each wrong tag. */
static bool failed_lately(const struct image_work *work,
			  const struct reference *latest)
{
	struct digest key;
	struct failure failure;
	struct err ignored;

	build_key(work->build->name, latest, &key);
	return !cache_get_failure(work->build->cache, &key, &failure,
				  &ignored) &&
	       digest_equal(&failure.flake, &work->flake->id) &&
	       llabs(time(NULL) - failure.when) <
		       work->flake->image.error_max_age;
}

/*
 * A tag that is no ref of git's may be what the image at latest calls itself.
 * ERR_UNKNOWN, with what unknown says, if it is not.
 */
static int build_declared(struct image_work *work, const struct err *unknown,
			  struct image_head *head, struct err *err)
{
	struct image_build latest = *work->build;
	struct reference reference = { .tag.text = "latest" };
	const struct tag *tag = &work->build->reference->tag;
	autorecord record = RECORD_INIT;
	struct tag_record tag_record;
	struct flake_pin pin = FLAKE_PIN_INIT;
	const char *colon = NULL;

	latest.reference = &reference;
	if (failed_lately(work, &reference))
		goto unknown;
	/* A wrong tag builds latest no more often than latest itself does. */
	if (cache_get_tag(latest.cache, latest.name, &reference.tag,
			  &tag_record, err) ||
	    llabs(time(NULL) - tag_record.resolved) >=
		    work->flake->image.max_age) {
		if (image_build(&latest, head, err))
			goto unknown;
	} else {
		*head = tag_record.image;
	}
	if (!image_read_record(work, &head->manifest.digest, head, &record,
			       err) &&
	    record.repo_tag)
		colon = strrchr(record.repo_tag, ':');
	if (!colon || strcmp(colon + 1, tag->text))
		goto unknown;
	memcpy(pin.revision, record.revision,
	       strnlen(record.revision, sizeof(pin.revision) - 1));
	return put_tag(work, &pin, head, err);
unknown:
	*err = *unknown;
	return -1;
}

/* An index of all systems, or the image of the only one. */
static int build_pinned(struct image_work *work, struct flake_pin *pin,
			struct image_head *head, struct err *err)
{
	int rc = work->flake->image.nr_systems > 1
			 ? image_find_or_make_index(work, pin, head, err)
			 : image_find_or_make(work, pin, head, err);

	return rc ? -1 : put_tag(work, pin, head, err);
}

/* A revision that is known needs neither git nor Nix. */
static int find_revision(struct image_work *work, struct image_head *head,
			 struct err *err)
{
	const struct tag *tag = &work->build->reference->tag;
	struct flake_pin pin = FLAKE_PIN_INIT;
	struct digest identity;
	int rc;

	if (resolve_fixed(work->flake, tag, pin.revision))
		return 0;
	image_identity(work, &pin, &identity);
	rc = image_find_known(work, &identity, head, err);
	if (rc <= 0)
		return rc;
	return put_tag(work, &pin, head, err) ? -1 : 1;
}

/* The copy of a folder in the store is nobody's until its image is built. */
static int hold_source(struct image_work *work, const struct flake_pin *pin,
		       const char *root, struct err *err)
{
	autofree char *source = pin_store_path(pin);

	if (!source || !nix_realise_path(&work->nix, source, root, err))
		return 0;
	work->was_collected = true;
	return -1;
}

static int resolve_and_build(struct image_work *work, const char *root,
			     struct image_head *head, struct err *err)
{
	const struct tag *tag = &work->build->reference->tag;
	autopin pin = FLAKE_PIN_INIT;

	image_work_phase(work, "asking what the flake is now");
	if (image_work_resolve(work, tag, &pin, err)) {
		struct err unknown = *err;

		/* Of the copy that Nix has just made. */
		work->was_collected =
			strstr(err->msg, "-source': No such file") != NULL;
		if (err->code != ERR_UNKNOWN || tag_is(tag, "latest") ||
		    is_revision(tag->text))
			return -1;
		return build_declared(work, &unknown, head, err);
	}
	if (root && hold_source(work, &pin, root, err))
		return -1;
	return build_pinned(work, &pin, head, err);
}

int image_build_tag(struct image_work *work, struct image_head *head,
		    struct err *err)
{
	autofree char *root = image_root_of_process(work);
	int rc = find_revision(work, head, err);

	if (rc)
		return rc < 0 ? -1 : 0;
	work->was_collected = true;
	for (int i = 1; work->was_collected && i <= IMAGE_ATTEMPTS; i++) {
		work->was_collected = false;
		/* It takes a call of Nix's, for what happens once a month. */
		rc = resolve_and_build(work, i > 1 ? root : NULL, head, err);
		if (work->was_collected)
			log_event(LOG_LEVEL_WARN, "event", "collected", "msg",
				  err->msg, NULL);
	}
	unlink(root);
	return rc;
}
