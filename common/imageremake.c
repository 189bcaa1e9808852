// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/composition.h"
#include "common/imagework.h"
#include "common/json.h"
#include "common/log.h"

#include "common/banned.h"

/* What follows "packages.x86_64-linux" in an attribute path. */
static const char *skip_set(const char *path)
{
	path += strcspn(path, ".");
	path += *path == '.';
	return path + strcspn(path, ".");
}

/*
 * Nix takes "packages.x86_64-linux.a" for an attribute of a package called
 * packages, if there is one that has it, so the set alone is named to it, as
 * it was when the image was made; a function goes on from there.
 */
static char *select_function(const char *rest)
{
	autostrbuf text = STRBUF_INIT;

	strbuf_addstr(&text, "set: (set");
	while (*rest == '.') {
		size_t len = 1;

		if (rest[1] == '"')
			for (len++; rest[len] && rest[len] != '"'; len++)
				len += rest[len] == '\\' && rest[len + 1];
		len += strcspn(rest + len, ".");
		if (rest[1] == '"') {
			strbuf_add(&text, rest, len);
		} else {
			/* "2048-game" is no identifier, nor is "if". */
			autofree char *name = xstrndup(rest + 1, len - 1);

			strbuf_addch(&text, '.');
			nix_quote(&text, name);
		}
		rest += len;
	}
	strbuf_addstr(&text, ").drvPath");
	return strbuf_detach(&text, NULL);
}

/*
 * The derivation that gave the record's output. The record's URL has no
 * password in it, so its revision is resolved by the settings' one.
 */
static int evaluate_again(struct image_work *work, const struct record *record,
			  struct json_object **drv_path, struct err *err)
{
	autopin pin = FLAKE_PIN_INIT;
	autofree char *installable = NULL, *function = NULL;
	const char *rest;
	struct tag revision;

	if (tag_parse(&revision, record->revision, strlen(record->revision),
		      err) ||
	    image_work_resolve(work, &revision, &pin, err))
		return -1;
	rest = skip_set(record->attribute_path);
	installable = xasprintf("%s#%.*s", pin.url,
				(int)(rest - record->attribute_path),
				record->attribute_path);
	function = record->composition
			   ? composition_function(record->composition)
			   : select_function(rest);
	if (nix_eval(&work->nix, installable, function, drv_path, err))
		return -1;
	if (!json_object_is_type(*drv_path, json_type_string))
		return err_set(err, ERR_NIX, "%s of %s is no derivation",
			       record->attribute_path, record->revision);
	return 0;
}

/*
 * Nothing holds the derivation, nor the source that it is evaluated from,
 * until it is realised. *was_collected: one of them went meanwhile.
 */
static int build_again(struct image_work *work, const struct record *record,
		       const char *root, struct strbuf *path,
		       bool *was_collected, struct err *err)
{
	autojson *drv_path = NULL;

	strbuf_reset(path);
	if (evaluate_again(work, record, &drv_path, err)) {
		*was_collected = strstr(err->msg, "/nix/store/") != NULL &&
				 strstr(err->msg, "No such file") != NULL;
		return -1;
	}
	if (nix_realise_output(&work->nix, json_object_get_string(drv_path),
			       record->output, root, path, err)) {
		*was_collected =
			access(json_object_get_string(drv_path), F_OK) != 0 ||
			strstr(err->msg, "missing derivation") != NULL;
		return -1;
	}
	return 0;
}

/* Have the output of a record in the store again. */
static int realise_again(struct image_work *work, const struct record *record,
			 const char *root, struct err *err)
{
	autostrbuf path = STRBUF_INIT;
	bool was_collected = true;
	int rc = -1;

	if (!access(record->output_path, F_OK) &&
	    !nix_realise_path(&work->nix, record->output_path, root, err))
		return 0;
	if (!record->reproducible)
		return err_set(err, ERR_REFUSED,
			       "%s is gone from the Nix store and cannot be "
			       "built again: %s",
			       record->output_path,
			       record->reason ? record->reason : "it says so");
	image_work_phase(work, "building again");
	for (int i = 1; rc && was_collected && i <= IMAGE_ATTEMPTS; i++) {
		was_collected = false;
		rc = build_again(work, record, root, &path, &was_collected,
				 err);
		if (was_collected)
			log_event(LOG_LEVEL_WARN, "event", "collected", "msg",
				  err->msg, NULL);
	}
	if (rc)
		return -1;
	if (strcmp(path.buf, record->output_path))
		return err_set(err, ERR_REFUSED,
			       "%s gives %s now, and the image was made of %s",
			       record->url, path.buf, record->output_path);
	return 0;
}

static int check_compression(const struct record *record,
			     enum compression *compression, struct err *err)
{
	for (enum compression c = 0; c < COMPRESSIONS; c++) {
		if (strcmp(compression_signature(c), record->compression))
			continue;
		*compression = c;
		return 0;
	}
	return err_set(err, ERR_REFUSED,
		       "the image was compressed by %s, which this flakehub "
		       "does not have: pull its tag instead",
		       record->compression);
}

static int make_same_layers(struct image_work *work,
			    const struct record *record,
			    enum compression compression, struct layer *layers,
			    int *hold, struct err *err)
{
	if (image_make_layers(work, record->inputs, record->nr, compression,
			      layers, hold, err))
		return -1;
	for (size_t i = 0; i < record->nr; i++)
		if (!digest_equal(&layers[i].blob.digest,
				  &record->layers[i].blob.digest))
			return err_set(err, ERR_REFUSED,
				       "layer %zu of the image is made of "
				       "other bytes now",
				       i);
	return 0;
}

static int remake(struct image_work *work, const struct image_head *head,
		  const struct record *record, const char *root,
		  struct err *err)
{
	autofree struct layer *layers = xcalloc(record->nr, sizeof(*layers));
	autostrbuf manifest = STRBUF_INIT;
	enum compression compression = COMPRESSION_NONE;
	struct digest digest;
	autoclose int hold = -1;

	if (check_compression(record, &compression, err) ||
	    realise_again(work, record, root, err))
		return -1;
	image_work_phase(work, "making layers again");
	if (make_same_layers(work, record, compression, layers, &hold, err)) {
		cleanup_close(&hold);
		hold = -1;
		if (err->code == ERR_REFUSED || err->code == ERR_MALFORMED)
			image_name_culprit(work, record, err);
		return -1;
	}
	cache_use_record(work->build->cache, work->build->name,
			 &head->manifest.digest);
	image_format_manifest(&manifest, record);
	digest_of(manifest.buf, manifest.len, &digest);
	if (!digest_equal(&digest, &head->manifest.digest))
		return err_set(err, ERR_REFUSED,
			       "the record gives another manifest than its "
			       "name says");
	return image_publish_blobs(work, head, record->config, &manifest,
				   layers, record->nr, err);
}

int image_remake(struct image_work *work, const struct image_head *head,
		 const struct record *record, struct err *err)
{
	autofree char *root = image_root_of_process(work);
	int rc = remake(work, head, record, root, err);

	unlink(root);
	return rc;
}
