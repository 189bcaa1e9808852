// SPDX-License-Identifier: MIT
#include "common/image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/imagework.h"
#include "common/flakeref.h"
#include "common/log.h"
#include "common/resolve.h"

#include "common/banned.h"

static int64_t monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The log is a help: that it cannot be written ends no build. */
static void log_write(struct image_work *work, const char *data, size_t len)
{
	if (work->log_fd < 0 || len > work->log_left)
		return;
	if (write_all(work->log_fd, data, len))
		work->log_left = 0;
	else
		work->log_left -= len;
}

void image_work_phase(struct image_work *work, const char *phase)
{
	const struct image_progress *progress = work->build->progress;
	autofree char *line = xasprintf("flakehub: %s\n", phase);

	log_write(work, line, strlen(line));
	if (progress && progress->phase)
		progress->phase(progress->arg, phase);
}

static void on_stderr(void *arg, const char *data, size_t len)
{
	struct image_work *work = arg;
	const struct image_progress *progress = work->build->progress;

	for (size_t i = 0; i < len; i++) {
		autostrbuf clean = STRBUF_INIT;

		if (data[i] != '\n' && work->line.len < SMALL_FILE_MAX) {
			strbuf_addch(&work->line, data[i]);
			continue;
		}
		text_clean(&clean, work->line.buf, work->line.len);
		strbuf_reset(&work->line);
		if (progress && progress->line)
			progress->line(progress->arg, clean.buf);
		strbuf_addch(&clean, '\n');
		log_write(work, clean.buf, clean.len);
	}
}

static void on_bytes(void *arg, uint64_t tar_bytes)
{
	const struct image_progress *progress = arg;

	if (progress->bytes)
		progress->bytes(progress->arg, tar_bytes);
}

static void on_layer(void *arg, const struct layer_input *input,
		     const struct layer *layer, bool made)
{
	const struct image_progress *progress = arg;

	if (progress->layer)
		progress->layer(progress->arg, made);
}

static void on_warning(void *arg, const char *message)
{
	const struct image_progress *progress = arg;

	if (progress->warning)
		progress->warning(progress->arg, message);
}

struct layer_progress image_work_progress(struct image_work *work)
{
	struct layer_progress none = { .bytes = NULL };

	if (!work->build->progress)
		return none;
	return (struct layer_progress){
		.bytes = on_bytes,
		.layer = on_layer,
		.warning = on_warning,
		/* Only its const functions are called. */
		.arg = (void *)(uintptr_t)work->build->progress,
	};
}

char *image_root_of_process(const struct image_work *work)
{
	autofree char *name = xasprintf("builder.%ld", (long)getpid());

	return cache_root_path(work->build->cache, name);
}

char *image_root_of_tag(const struct image_work *work)
{
	char hex[DIGEST_HEX_SIZE];
	autofree char *name = xasprintf("tag.%s", digest_hex(&work->key, hex));

	return cache_root_path(work->build->cache, name);
}

int image_work_slot(struct image_work *work, struct err *err)
{
	const struct timespec pause = { .tv_nsec = 50000000 };
	const struct settings *settings = work->build->settings;

	for (bool told = false;; told = true) {
		for (int64_t i = 0; i < settings->max_builds; i++) {
			char name[32];
			int fd;

			snprintf(name, sizeof(name), "slot.%jd", (intmax_t)i);
			fd = cache_lock(work->build->cache, name, 0, err);
			if (fd >= 0 || err->code != ERR_BUSY)
				return fd;
		}
		if (!told)
			image_work_phase(work, "waiting for other builds");
		if (monotonic_ms() > work->nix.deadline_ms)
			return err_set(err, ERR_TIMED_OUT,
				       "other builds took all of "
				       "build-timeout");
		nanosleep(&pause, NULL);
	}
}

/* Are all the blobs of an image there? */
static bool is_whole(const struct image_work *work,
		     const struct image_head *head, const struct record *record)
{
	const struct cache *cache = work->build->cache;
	struct digest config;

	digest_of(record->config, strlen(record->config), &config);
	if (!cache_has_blob(cache, &head->manifest.digest, NULL) ||
	    !cache_has_blob(cache, &config, NULL))
		return false;
	for (size_t i = 0; i < record->nr; i++)
		if (!cache_has_blob(cache, &record->layers[i].blob.digest,
				    NULL))
			return false;
	return true;
}

static int put_tag(struct image_work *work, const struct flake_pin *pin,
		   const struct image_head *head, struct err *err)
{
	const struct image_build *build = work->build;
	struct tag_record tag = { .image = *head, .resolved = time(NULL) };

	memcpy(tag.revision, pin->revision, sizeof(tag.revision));
	return cache_put_tag(build->cache, build->name, &build->reference->tag,
			     &tag, err);
}

/* The record of a manifest in this repository, with its body parsed. */
static int read_record(const struct image_work *work,
		       const struct digest *manifest, struct image_head *head,
		       struct record *record, struct err *err)
{
	const struct image_build *build = work->build;
	autostrbuf body = STRBUF_INIT;
	char str[DIGEST_STR_SIZE];
	autofree char *name =
		xasprintf("record of %s", digest_str(manifest, str));

	*record = (struct record)RECORD_INIT;
	if (cache_get_record(build->cache, build->name, manifest, head, &body,
			     err))
		return -1;
	return record_parse(record, body.buf, body.len, name, err);
}

/*
 * Is the image of this identity known, and all there? 1 yes, 0 no. An image
 * whose blobs are gone is made anew, which gives the same bytes.
 */
static int is_known(struct image_work *work, const struct digest *identity,
		    struct image_head *head, struct err *err)
{
	const struct image_build *build = work->build;
	autorecord record = RECORD_INIT;
	struct digest manifest;
	struct err ignored;

	if (cache_get_identity(build->cache, build->name, identity, &manifest,
			       err))
		return err->code == ERR_UNKNOWN ? 0 : -1;
	if (read_record(work, &manifest, head, &record, &ignored))
		return 0;
	return is_whole(work, head, &record) &&
	       digest_equal(&head->flake, &work->flake->id);
}

/* The identity's lock is held: the image is known, or made now. */
static int find_or_make(struct image_work *work, struct flake_pin *pin,
			const struct digest *identity, struct image_head *head,
			struct err *err)
{
	autoclose int slot = -1;
	int rc = is_known(work, identity, head, err);

	if (rc)
		return rc < 0 ? -1 : 0;
	slot = image_work_slot(work, err);
	if (slot < 0)
		return -1;
	return image_make(work, pin, identity, head, err);
}

static int keep_output(struct image_work *work, const struct image_head *head,
		       struct err *err)
{
	autorecord record = RECORD_INIT;
	autofree char *root = image_root_of_tag(work);
	struct image_head unused;
	struct err gone = ERR_INIT;

	if (read_record(work, &head->manifest.digest, &unused, &record, err))
		return -1;
	/*
	 * An output that is gone is no error: its blobs are all there, and
	 * only their loss would need it.
	 */
	if (access(record.output_path, F_OK) == 0 &&
	    nix_realise_path(&work->nix, record.output_path, root, &gone))
		log_err(&gone, "event", "gc-root", NULL);
	return 0;
}

static bool tag_is(const struct tag *tag, const char *text)
{
	return !strcmp(tag->text, text);
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
	if (!read_record(work, &head->manifest.digest, head, &record, err) &&
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

static int build_pinned(struct image_work *work, struct flake_pin *pin,
			struct image_head *head, struct err *err)
{
	char name[DIGEST_HEX_SIZE + 16], hex[DIGEST_HEX_SIZE];
	autoclose int lock = -1;
	struct digest identity;

	flake_identity(pin, work->system, work->attribute, &work->flake->image,
		       &identity);
	snprintf(name, sizeof(name), "identity.%s", digest_hex(&identity, hex));
	lock = cache_lock(work->build->cache, name, -1, err);
	if (lock < 0 || find_or_make(work, pin, &identity, head, err) ||
	    keep_output(work, head, err))
		return -1;
	return put_tag(work, pin, head, err);
}

/* A revision that is known needs neither git nor Nix. */
static int find_revision(struct image_work *work, struct image_head *head,
			 struct err *err)
{
	const struct tag *tag = &work->build->reference->tag;
	struct flake_pin pin = FLAKE_PIN_INIT;
	struct digest identity;
	int rc;

	if (!is_revision(tag->text))
		return 0;
	memcpy(pin.revision, tag->text, strlen(tag->text));
	flake_identity(&pin, work->system, work->attribute, &work->flake->image,
		       &identity);
	rc = is_known(work, &identity, head, err);
	if (rc <= 0)
		return rc;
	return put_tag(work, &pin, head, err) ? -1 : 1;
}

static int build_tag(struct image_work *work, struct image_head *head,
		     struct err *err)
{
	const struct image_build *build = work->build;
	struct resolve resolve = {
		.settings = build->settings,
		.cache = build->cache,
		.flake = work->flake,
		.nix = &work->nix,
	};
	const struct tag *tag = &build->reference->tag;
	autopin pin = FLAKE_PIN_INIT;
	int rc = find_revision(work, head, err);

	if (rc)
		return rc < 0 ? -1 : 0;
	image_work_phase(work, "asking what the flake is now");
	if (resolve_tag(&resolve, tag, &pin, err)) {
		struct err unknown = *err;

		if (err->code != ERR_UNKNOWN || tag_is(tag, "latest") ||
		    is_revision(tag->text))
			return -1;
		return build_declared(work, &unknown, head, err);
	}
	return build_pinned(work, &pin, head, err);
}

static int build_digest(struct image_work *work, struct image_head *head,
			struct err *err)
{
	const struct image_build *build = work->build;
	autorecord record = RECORD_INIT;
	autoclose int slot = -1;

	if (read_record(work, &build->reference->digest, head, &record, err)) {
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
	if (is_whole(work, head, &record))
		return 0;
	slot = image_work_slot(work, err);
	if (slot < 0)
		return -1;
	return image_remake(work, head, &record, err);
}

/*
 * Did somebody do the same while we waited for the lock? Then what came of it
 * is ours, too: 1 done, 0 not, -1 it failed.
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
	    failure.when > work->started) {
		*err = failure.err;
		return -1;
	}
	if (cache_get_tag(build->cache, build->name, &build->reference->tag,
			  &tag, &ignored) ||
	    tag.resolved <= work->started ||
	    !cache_has_blob(build->cache, &tag.image.manifest.digest, NULL))
		return 0;
	*head = tag.image;
	return 1;
}

/* The build's lock is held. */
static int build_locked(struct image_work *work, struct image_head *head,
			struct err *err)
{
	const struct image_build *build = work->build;
	struct failure failure = { .when = 0 };
	struct err ignored;
	int rc;

	/* The log is emptied only now: another's may have been under way. */
	work->log_fd = cache_create_log(build->cache, &work->key, err);
	if (work->log_fd < 0)
		return -1;
	rc = build->reference->is_digest ? build_digest(work, head, err)
					 : build_tag(work, head, err);
	if (!rc)
		return cache_clear_failure(build->cache, &work->key, err);
	failure.when = time(NULL);
	failure.err = *err;
	log_write(work, "flakehub: failed: ", 18);
	log_write(work, err->msg, strlen(err->msg));
	log_write(work, "\n", 1);
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
		.log_left = BUILD_LOG_MAX,
		.line = STRBUF_INIT,
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
	work.nix.on_stderr = on_stderr;
	work.nix.arg = &work;
	work.nix.import_from_derivation =
		build->settings->import_from_derivation;
	work.nix.deadline_ms =
		monotonic_ms() + build->settings->build_timeout * 1000;
	rc = look_again(&work, head, err);
	if (!rc)
		rc = build_locked(&work, head, err);
	if (work.log_fd >= 0)
		close(work.log_fd);
	nix_release(&work.nix);
	strbuf_release(&work.line);
	return rc < 0 ? -1 : 0;
}
