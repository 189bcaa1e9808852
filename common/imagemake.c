// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/composition.h"
#include "common/imagework.h"
#include "common/lease.h"
#include "common/log.h"
#include "common/manifest.h"
#include "common/source.h"

#include "common/banned.h"

/* What is gathered on the way from an output to its record. */
struct making {
	struct flake_output output;
	struct strbuf output_path;
	struct closure closure;
	int64_t now;
	struct source source;
	bool found; /* the flake has the attribute */
};

#define MAKING_INIT                                                            \
	{                                                                      \
		.output = FLAKE_OUTPUT_INIT, .output_path = STRBUF_INIT,       \
		.closure = CLOSURE_INIT, .source = SOURCE_INIT                 \
	}

/* What becomes of a source. */
struct parts {
	struct layer *layers;
	struct strbuf config, manifest;
	int hold; /* of the layers, or -1 */
};

#define PARTS_INIT                                                             \
	{                                                                      \
		.config = STRBUF_INIT, .manifest = STRBUF_INIT, .hold = -1     \
	}

static void parts_release(struct parts *parts)
{
	free(parts->layers);
	strbuf_release(&parts->config);
	strbuf_release(&parts->manifest);
	cleanup_close(&parts->hold);
}

static void making_release(struct making *m)
{
	flake_output_release(&m->output);
	strbuf_release(&m->output_path);
	closure_release(&m->closure);
	source_release(&m->source);
}

/* What errors call the flake: by its name, or by its URL. */
static void name_flake(const struct image_work *work, struct strbuf *out)
{
	const struct flake_settings *flake = work->flake;

	strbuf_addstr(out, "flake ");
	if (*flake->name)
		strbuf_addstr(out, flake->name);
	else
		text_clean(out, flake->url, strlen(flake->url));
}

static int find_output(struct image_work *work, const struct flake_pin *pin,
		       const char *flake_name, struct flake_output *output,
		       struct err *err)
{
	if (composition_is(work->attribute))
		return composition_find(&work->nix, pin, flake_name,
					work->system, work->attribute, output,
					err);
	return flake_find_output(&work->nix, pin, flake_name, work->system,
				 work->attribute, output, err);
}

/*
 * Nothing holds a flake's source or its derivation until it is realised. What
 * Nix's collector removes is partly there, or again, if a builder copied it.
 */
static bool was_collected(struct image_work *work, const struct flake_pin *pin,
			  const char *drv_path, const struct err *err)
{
	autofree char *source = pin_store_path(pin);
	autoclosure closure = CLOSURE_INIT;
	struct err ignored;

	if ((drv_path && access(drv_path, F_OK)) ||
	    strstr(err->msg, "missing derivation '") ||
	    (source && (strstr(err->msg, "mismatch in input '") ||
			strstr(err->msg, "-source' failed") ||
			pin_is_back(pin, err->msg))))
		return true;
	return source && (access(source, F_OK) ||
			  nix_closure(&work->nix, source, &closure, &ignored));
}

static int evaluate_and_build(struct image_work *work, struct flake_pin *pin,
			      const char *root, struct making *m,
			      struct err *err)
{
	const struct probe *probe = &m->output.probe;
	autostrbuf name = STRBUF_INIT;

	name_flake(work, &name);
	image_work_phase(work, "evaluating");
	if (pin_complete(&work->nix, pin, err) ||
	    find_output(work, pin, name.buf, &m->output, err) ||
	    pin_check(&work->nix, pin, err)) {
		work->was_collected = err->code != ERR_TIMED_OUT &&
				      was_collected(work, pin, NULL, err);
		return -1;
	}
	m->found = true;
	image_work_phase(work, "building");
	if (nix_realise_output(&work->nix, probe->drv_path, probe->output, root,
			       &m->output_path, err)) {
		work->was_collected =
			was_collected(work, pin, probe->drv_path, err);
		return -1;
	}
	return 0;
}

/* Evaluate, build, and look at what was built. */
static int realise(struct image_work *work, struct flake_pin *pin,
		   const char *root, struct making *m, struct err *err)
{
	struct source_output output;
	ssize_t index;

	if (evaluate_and_build(work, pin, root, m, err) ||
	    nix_closure(&work->nix, m->output_path.buf, &m->closure, err))
		return -1;
	index = closure_find(&m->closure, m->output_path.buf);
	if (index < 0)
		return err_set(err, ERR_NIX, "the closure of %s is without it",
			       m->output_path.buf);
	m->now = m->closure.paths[index].registered;
	output = (struct source_output){
		.path = m->output_path.buf,
		.closure = &m->closure,
		.probe = &m->output.probe,
		.system = work->system,
		.now = m->now,
		.max_layers = (size_t)work->flake->image.max_layers,
	};
	return image_work_open(work, &m->source, &output, err);
}

void image_tell_layers(const struct image_work *work,
		       const struct layer_input *inputs, size_t nr)
{
	const struct image_progress *progress = work->build->progress;
	uint64_t bytes = 0;

	if (!progress || !progress->layers)
		return;
	for (size_t i = 0; i < nr; i++)
		for (size_t j = 0; j < inputs[i].nr_paths; j++)
			bytes += inputs[i].paths[j].nar_size;
	progress->layers(progress->arg, nr, bytes);
}

/* A blob that is there already has the size that the output says. */
static int check_size(const struct image_work *work,
		      const struct descriptor *blob, struct err *err)
{
	char digest[DIGEST_STR_SIZE];
	uint64_t size;

	if (!cache_has_blob(work->build->cache, &blob->digest, &size) ||
	    size == blob->size)
		return 0;
	return err_set(err, ERR_MALFORMED,
		       "%s has %ju bytes, but the image's layer says %ju",
		       digest_str(&blob->digest, digest), (uintmax_t)size,
		       (uintmax_t)blob->size);
}

/* The output says what its layers are: they are made when asked for. */
static int know_layers(struct image_work *work, const struct source *source,
		       struct parts *parts, struct err *err)
{
	parts->hold = lease_hold(work->build->cache, err);
	if (parts->hold < 0)
		return -1;
	parts->layers = xcalloc(source->nr, sizeof(*parts->layers));
	for (size_t i = 0; i < source->nr; i++) {
		if (check_size(work, &source->known[i].blob, err))
			return -1;
		parts->layers[i] = source->known[i];
		layer_input_key(&source->inputs[i],
				work->flake->image.compression,
				&parts->layers[i].key);
	}
	return 0;
}

static int make_layers(struct image_work *work, const struct source *source,
		       struct parts *parts, struct err *err)
{
	if (source->known && work->build->lazy)
		return know_layers(work, source, parts, err);
	image_work_phase(work, "making layers");
	parts->layers = xcalloc(source->nr, sizeof(*parts->layers));
	return image_make_layers(work, source->inputs, source->nr,
				 work->flake->image.compression, parts->layers,
				 &parts->hold, err);
}

void image_format_manifest(struct strbuf *out, const struct record *record)
{
	struct descriptor d = { .media_type = MEDIA_CONFIG,
				.size = strlen(record->config) };
	autofree struct descriptor *blobs = xcalloc(record->nr, sizeof(*blobs));

	if (record->manifest) {
		strbuf_addstr(out, record->manifest);
		return;
	}
	digest_of(record->config, d.size, &d.digest);
	for (size_t i = 0; i < record->nr; i++)
		blobs[i] = record->layers[i].blob;
	manifest_format(out, &d, blobs, record->nr, record->annotations);
}

/*
 * Is the blob linked already, for an image whose record is there? Then that
 * link is as good as ours: what it is for, making the blob again, that image
 * can do, too. *known is such an image, looked for once.
 */
static bool link_stands(const struct image_work *work,
			const struct blob_link *ours, struct digest *known)
{
	const struct cache *cache = work->build->cache;
	const struct repository_name *name = work->build->name;
	struct blob_link link;
	struct err none;

	if (cache_get_link(cache, name, &ours->blob.digest, &link, &none) ||
	    !digest_equal(&link.blob.digest, &ours->blob.digest) ||
	    link.blob.size != ours->blob.size ||
	    link.blob.media_type != ours->blob.media_type ||
	    !digest_equal(&link.flake, &ours->flake))
		return false;
	if (digest_equal(&link.manifest, known))
		return true;
	if (!cache_has_record(cache, name, &link.manifest))
		return false;
	*known = link.manifest;
	return true;
}

static int put_link(const struct image_work *work,
		    const struct image_head *head,
		    const struct descriptor *blob, struct digest *known,
		    struct err *err)
{
	struct blob_link link = { .blob = *blob,
				  .manifest = head->manifest.digest,
				  .flake = head->flake };

	if (link_stands(work, &link, known))
		return 0;
	return cache_put_link(work->build->cache, work->build->name, &link,
			      err);
}

int image_link_blobs(const struct image_work *work,
		     const struct image_head *head, const char *config,
		     const struct layer *layers, size_t nr, struct err *err)
{
	struct descriptor d = { .media_type = MEDIA_CONFIG,
				.size = strlen(config) };
	struct digest known = head->manifest.digest;

	digest_of(config, d.size, &d.digest);
	if (put_link(work, head, &d, &known, err))
		return -1;
	for (size_t i = 0; i < nr; i++)
		if (put_link(work, head, &layers[i].blob, &known, err))
			return -1;
	return 0;
}

int image_publish_blobs(struct image_work *work, const struct image_head *head,
			const char *config, const struct strbuf *manifest,
			const struct layer *layers, size_t nr, struct err *err)
{
	const struct cache *cache = work->build->cache;
	autoblob config_blob = BLOB_WRITER_INIT;
	autoblob manifest_blob = BLOB_WRITER_INIT;
	struct digest config_digest, digest;

	if (blob_stage(&config_blob, cache, config, strlen(config),
		       &config_digest, err) ||
	    blob_stage(&manifest_blob, cache, manifest->buf, manifest->len,
		       &digest, err) ||
	    image_link_blobs(work, head, config, layers, nr, err))
		return -1;
	/* The record, too, which gives each of them again. */
	if (cache_sync(cache, err) ||
	    blob_publish(&config_blob, &config_digest, err))
		return -1;
	return blob_publish(&manifest_blob, &digest, err);
}

/* Borrows everything: never released. */
static struct record
record_of(const struct image_work *work, const struct flake_pin *pin,
	  const struct digest *identity, const struct making *m,
	  const struct source *source, const struct parts *parts)
{
	const struct image_settings *image = &work->flake->image;

	return (struct record){
		.flake = work->flake->name,
		.url = pin->url,
		.nar_hash = pin->nar_hash,
		.revision = (char *)(uintptr_t)pin->revision,
		.locks = pin->locks,
		.identity = *identity,
		.reproducible = pin->reproducible,
		.reason = (char *)(uintptr_t)pin->reason,
		.system = (char *)(uintptr_t)work->system,
		.attribute_path = m->output.attribute_path,
		.composition = composition_is(work->attribute)
				       ? (char *)(uintptr_t)work->attribute
				       : NULL,
		.drv_path = m->output.probe.drv_path,
		.output = m->output.probe.output,
		.output_path = m->output_path.buf,
		.kind = (char *)(uintptr_t)source->kind->name,
		.repo_tag = source->repo_tag,
		.now = m->now,
		.created = time(NULL),
		.plan_version = source->plan_version,
		.max_layers = image->max_layers,
		.compression = (char *)(uintptr_t)compression_signature(
			image->compression),
		.config = parts->config.buf,
		.manifest = source->manifest,
		.lazy = source->known != NULL,
		.annotations = source->annotations,
		.inputs = source->inputs,
		.layers = parts->layers,
		.nr = source->nr,
	};
}

/* Is there a record of the same image from a source that lasts? */
static bool has_better_record(const struct image_work *work,
			      const struct image_head *head,
			      const struct record *record)
{
	autorecord old = RECORD_INIT;
	struct image_head old_head;
	struct err ignored;

	return !record->reproducible &&
	       !image_read_record(work, &head->manifest.digest, &old_head, &old,
				  &ignored) &&
	       old.reproducible && digest_equal(&old_head.flake, &head->flake);
}

static int check_manifest(const struct strbuf *manifest, struct err *err)
{
	if (manifest->len <= MANIFEST_MAX)
		return 0;
	return err_set(err, ERR_REFUSED,
		       "the manifest has %zu bytes, and clients read no more "
		       "than %u",
		       manifest->len, MANIFEST_MAX);
}

static int publish(struct image_work *work, const struct flake_pin *pin,
		   struct record *record, const struct source *source,
		   struct parts *parts, struct image_head *head,
		   struct err *err)
{
	const struct image_build *build = work->build;
	autostrbuf body = STRBUF_INIT, url = STRBUF_INIT;

	/* Records are for everybody to read. */
	text_clean(&url, pin->url, strlen(pin->url));
	record->url = url.buf;
	if (check_manifest(&parts->manifest, err))
		return -1;
	*head = (struct image_head){
		.manifest.media_type = source->media_type,
		.manifest.size = parts->manifest.len,
		.flake = work->flake->id,
		.identity = record->identity,
	};
	digest_of(parts->manifest.buf, parts->manifest.len,
		  &head->manifest.digest);
	record_format(&body, record);
	if (!has_better_record(work, head, record) &&
	    cache_put_record(build->cache, build->name, head, body.buf,
			     body.len, err))
		return -1;
	if (image_publish_blobs(work, head, parts->config.buf, &parts->manifest,
				parts->layers, record->nr, err))
		return -1;
	return cache_put_identity(build->cache, build->name, &record->identity,
				  &head->manifest.digest, err);
}

/* Make and publish an image. */
static int make_image(struct image_work *work, const struct flake_pin *pin,
		      const struct digest *identity, const struct making *m,
		      const struct source *source, struct image_head *head,
		      struct err *err)
{
	__attribute__((cleanup(parts_release))) struct parts parts = PARTS_INIT;
	struct record record;

	if (make_layers(work, source, &parts, err) ||
	    source_config(source, parts.layers, &parts.config, err))
		return -1;
	if (parts.config.len > IMAGE_CONFIG_MAX)
		return err_set(err, ERR_REFUSED,
			       "the image config has more than %u bytes",
			       IMAGE_CONFIG_MAX);
	record = record_of(work, pin, identity, m, source, &parts);
	image_format_manifest(&parts.manifest, &record);
	return publish(work, pin, &record, source, &parts, head, err);
}

/*
 * The members of an index that the output itself is, then that: its record
 * has it in place of an image config.
 */
static int make_index(struct image_work *work, const struct flake_pin *pin,
		      const struct digest *identity, const struct making *m,
		      struct image_head *head, struct err *err)
{
	__attribute__((cleanup(parts_release))) struct parts parts = PARTS_INIT;
	const struct source *source = &m->source;
	static char kind[] = "index";
	struct record record;

	for (size_t i = 0; i < source->nr_members; i++)
		if (make_image(work, pin, identity, m, &source->members[i],
			       head, err))
			return -1;
	parts.hold = lease_hold(work->build->cache, err);
	if (parts.hold < 0)
		return -1;
	strbuf_addstr(&parts.config, source->manifest);
	strbuf_addstr(&parts.manifest, source->manifest);
	record = record_of(work, pin, identity, m, source, &parts);
	record.kind = kind;
	record.manifest = NULL;
	return publish(work, pin, &record, source, &parts, head, err);
}

static int make(struct image_work *work, struct flake_pin *pin,
		const struct digest *identity, const char *root,
		struct making *m, struct image_head *head, struct err *err)
{
	if (realise(work, pin, root, m, err))
		return -1;
	return m->source.nr_members
		       ? make_index(work, pin, identity, m, head, err)
		       : make_image(work, pin, identity, m, &m->source, head,
				    err);
}

int image_make(struct image_work *work, struct flake_pin *pin,
	       const struct digest *identity, struct image_head *head,
	       struct err *err)
{
	bool is_tag = !work->build->reference->is_digest;
	autofree char *root =
		is_tag ? image_root_of_tag(work) : image_root_of_process(work);
	struct making m = MAKING_INIT;
	int rc = make(work, pin, identity, root, &m, head, err);

	/* Unknown is an image that the flake does not have, nothing else. */
	if (rc && m.found && err->code == ERR_UNKNOWN)
		err->code = ERR_NIX;

	/* A tag's root stays until the tag is of another output. */
	if (!is_tag)
		unlink(root);
	making_release(&m);
	return rc;
}
