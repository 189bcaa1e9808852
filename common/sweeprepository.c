// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/folder.h"
#include "common/lease.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/record.h"
#include "common/removal.h"
#include "common/sweep.h"

#include "common/banned.h"

/* A repository while it is swept. */
struct sweeping {
	const struct gc *gc;
	const struct repository_name *name;
	struct blob_link *needs; /* of the records that stay; read when first
				  * asked for */
	size_t nr, alloc;
	bool has_needs;
	struct err *err;
};

static bool record_is_too_old(const struct sweeping *s,
			      const struct digest *manifest)
{
	char path[CACHE_RECORD_PATH_SIZE];

	return sweep_is_older(s->gc, cache_record_path(path, s->name, manifest),
			      sweep_record_age(s->gc));
}

static bool record_stays(const struct sweeping *s,
			 const struct digest *manifest)
{
	char path[CACHE_RECORD_PATH_SIZE];

	errno = 0;
	/* Where that cannot be told, it does. */
	if (!cache_has_record(s->gc->cache, s->name, manifest))
		return errno && errno != ENOENT && errno != ENOTDIR;
	return !removal_was(s->gc, cache_record_path(path, s->name, manifest));
}

static char *path_of(const struct sweeping *s, const char *folder,
		     const char *name)
{
	return xasprintf("repositories/%s/%s/%s", s->name->text, folder, name);
}

static int sweep_record(struct sweeping *s, const char *hex, struct err *err)
{
	char path[CACHE_RECORD_PATH_SIZE];
	autoclose int bar = -1;
	struct digest digest;
	struct err ignored;

	if (digest_parse_hex(&digest, hex, strlen(hex), &ignored) ||
	    !record_is_too_old(s, &digest))
		return 0;
	if (removal_bar(s->gc, &bar, err))
		return -1;
	if (!record_is_too_old(s, &digest))
		return 0;
	return sweep_file(s->gc, GC_RECORD,
			  cache_record_path(path, s->name, &digest), err);
}

/*
 * The record that a file of the repository names. 0, or -1: ERR_SYSTEM if it
 * cannot be read now, and else nobody can make anything of it.
 */

static int target_of_tag(const struct sweeping *s, const char *name,
			 struct digest *manifest, struct err *err)
{
	struct tag_record record;
	struct tag tag;

	if (tag_parse(&tag, name, strlen(name), err) ||
	    cache_get_tag(s->gc->cache, s->name, &tag, &record, err))
		return -1;
	*manifest = record.image.manifest.digest;
	return 0;
}

static int target_of_identity(const struct sweeping *s, const char *name,
			      struct digest *manifest, struct err *err)
{
	struct digest identity;

	return digest_parse_hex(&identity, name, strlen(name), err) ||
			       cache_get_identity(s->gc->cache, s->name,
						  &identity, manifest, err)
		       ? -1
		       : 0;
}

static int get_link(const struct sweeping *s, const char *name,
		    struct blob_link *link, struct err *err)
{
	struct digest blob;

	return digest_parse_hex(&blob, name, strlen(name), err) ||
			       cache_get_link(s->gc->cache, s->name, &blob,
					      link, err)
		       ? -1
		       : 0;
}

static int target_of_link(const struct sweeping *s, const char *name,
			  struct digest *manifest, struct err *err)
{
	struct blob_link link;

	if (get_link(s, name, &link, err))
		return -1;
	*manifest = link.manifest;
	return 0;
}

static void add_need(struct sweeping *s, const struct image_head *head,
		     const struct descriptor *blob)
{
	ALLOC_GROW(s->needs, s->nr, s->alloc);
	s->needs[s->nr++] = (struct blob_link){
		.blob = *blob,
		.manifest = head->manifest.digest,
		.flake = head->flake,
	};
}

/* What a record needs. One that is malformed needs nothing. */
static int add_needs(struct sweeping *s, const struct digest *manifest,
		     struct err *err)
{
	struct descriptor config = { .media_type = MEDIA_CONFIG };
	autostrbuf body = STRBUF_INIT;
	autorecord record = RECORD_INIT;
	struct image_head head;

	if (cache_peek_record(s->gc->cache, s->name, manifest, &head, &body,
			      err))
		return err->code == ERR_SYSTEM ? -1 : 0;
	if (record_parse(&record, body.buf, body.len, "record", err) ||
	    !media_type_is_manifest(head.manifest.media_type))
		return 0;
	config.size = strlen(record.config);
	digest_of(record.config, config.size, &config.digest);
	add_need(s, &head, &config);
	for (size_t i = 0; i < record.nr; i++)
		add_need(s, &head, &record.layers[i].blob);
	return 0;
}

static int read_needs(struct sweeping *s, struct err *err)
{
	autofree char *path = path_of(s, "_manifests", "");
	autofolder records = FOLDER_INIT;

	if (s->has_needs)
		return 0;
	path[strlen(path) - 1] = 0;
	if (folder_read(&records, s->gc->cache->fd, path, err))
		return -1;
	for (size_t i = 0; i < records.nr; i++) {
		const char *hex = records.names[i];
		struct digest digest;
		struct err ignored;

		if (!digest_parse_hex(&digest, hex, strlen(hex), &ignored) &&
		    record_stays(s, &digest) && add_needs(s, &digest, err))
			return -1;
	}
	s->has_needs = true;
	return 0;
}

/* Barred. 1 another record has the link now, 0 none needs the blob, or -1. */
static int make_over(struct sweeping *s, const char *name, struct err *err)
{
	struct blob_link link;
	struct err why;

	if (get_link(s, name, &link, &why))
		return why.code == ERR_SYSTEM;
	for (size_t i = 0; i < s->nr; i++) {
		const struct blob_link *need = &s->needs[i];

		if (!digest_equal(&need->blob.digest, &link.blob.digest) ||
		    !record_stays(s, &need->manifest))
			continue;
		if (!s->gc->dry_run &&
		    cache_put_link(s->gc->cache, s->name, need, err))
			return -1;
		return 1;
	}
	return 0;
}

/* The kinds of files that name a record. */
static const struct dependent {
	const char *folder;
	enum gc_kind kind;
	int (*target)(const struct sweeping *s, const char *name,
		      struct digest *manifest, struct err *err);
} dependents[] = {
	{ "_tags", GC_TAG, target_of_tag },
	{ "_identities", GC_IDENTITY, target_of_identity },
	{ "_blobs", GC_LINK, target_of_link },
};

static bool is_dangling(const struct sweeping *s,
			const struct dependent *dependent, const char *name,
			const char *path)
{
	struct digest manifest;
	struct err why = ERR_INIT;

	if (dependent->target(s, name, &manifest, &why))
		return why.code != ERR_SYSTEM &&
		       lease_is_over(s->gc->cache, path, LEASE_MTIME);
	return !record_stays(s, &manifest);
}

static int sweep_dependent(struct sweeping *s,
			   const struct dependent *dependent, const char *name,
			   struct err *err)
{
	autofree char *path = path_of(s, dependent->folder, name);
	bool is_link = dependent->kind == GC_LINK;
	autoclose int bar = -1;
	int rc = 0;

	if (!is_dangling(s, dependent, name, path))
		return 0;
	if (is_link && read_needs(s, err))
		return -1;
	if (removal_bar(s->gc, &bar, err))
		return -1;
	if (!is_dangling(s, dependent, name, path))
		return 0;
	if (is_link)
		rc = make_over(s, name, err);
	if (rc)
		return rc < 0 ? -1 : 0;
	return sweep_file(s->gc, dependent->kind, path, err);
}

static int sweep_all(struct sweeping *s, struct err *err)
{
	autofree char *path = path_of(s, "_manifests", "");
	autofolder records = FOLDER_INIT;

	path[strlen(path) - 1] = 0;
	if (folder_read(&records, s->gc->cache->fd, path, err))
		return -1;
	for (size_t i = 0; i < records.nr; i++)
		if (sweep_record(s, records.names[i], err))
			return -1;
	for (size_t i = 0; i < ARRAY_SIZE(dependents); i++) {
		autofree char *folder = path_of(s, dependents[i].folder, "");
		autofolder files = FOLDER_INIT;

		folder[strlen(folder) - 1] = 0;
		if (folder_read(&files, s->gc->cache->fd, folder, err))
			return -1;
		for (size_t j = 0; j < files.nr; j++)
			if (sweep_dependent(s, &dependents[i], files.names[j],
					    err))
				return -1;
	}
	return 0;
}

static int sweep_repository(const struct repository_name *name, void *arg)
{
	struct sweeping *all = arg;
	struct sweeping one = { .gc = all->gc, .name = name };
	int rc = sweep_all(&one, all->err);

	free(one.needs);
	return rc;
}

int sweep_repositories(const struct gc *gc, struct err *err)
{
	struct err failed = ERR_INIT;
	struct sweeping all = { .gc = gc, .err = &failed };

	if (cache_each_repository(gc->cache, sweep_repository, &all, err))
		return -1;
	if (!failed.code)
		return 0;
	*err = failed;
	return -1;
}
