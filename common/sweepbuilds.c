// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/folder.h"
#include "common/removal.h"
#include "common/sweep.h"

#include "common/banned.h"

/* Roots in doubt are looked at together; more wait for the next run. */
#define ROOTS_AT_ONCE 64

/* The keys of builds that an image came of, sorted. */
struct keys {
	const struct gc *gc;
	const struct repository_name *name;
	struct digest *keys;
	size_t nr, alloc;
	bool rooted; /* only those of tags whose image is there */
	struct err *err;
};

static void keys_release(struct keys *keys)
{
	free(keys->keys);
}
#define autokeys __attribute__((cleanup(keys_release))) struct keys

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct digest));
}

static bool has_key(const struct keys *keys, const struct digest *key)
{
	return keys->nr &&
	       bsearch(key, keys->keys, keys->nr, sizeof(*keys->keys), compare);
}

static void add_key(struct keys *keys, const struct reference *reference)
{
	ALLOC_GROW(keys->keys, keys->nr, keys->alloc);
	build_key(keys->name, reference, &keys->keys[keys->nr++]);
}

static int add_tag(const struct tag *tag, void *arg)
{
	struct keys *keys = arg;
	autofree char *path = xasprintf("repositories/%s/_tags/%s",
					keys->name->text, tag->text);
	const struct reference reference = { .tag = *tag };
	struct tag_record record;
	struct err ignored;

	if (removal_was(keys->gc, path) ||
	    cache_get_tag(keys->gc->cache, keys->name, tag, &record,
			  &ignored) ||
	    (keys->rooted &&
	     !removal_leaves_blob(keys->gc, &record.image.manifest.digest)))
		return 0;
	add_key(keys, &reference);
	return 0;
}

static bool is_gone(const struct keys *keys, const struct digest *manifest)
{
	char path[CACHE_RECORD_PATH_SIZE];

	return removal_was(keys->gc,
			   cache_record_path(path, keys->name, manifest));
}

static int add_repository(const struct repository_name *name, void *arg)
{
	struct keys *keys = arg;
	autofree char *path =
		xasprintf("repositories/%s/_manifests", name->text);
	autofolder records = FOLDER_INIT;

	keys->name = name;
	if (cache_each_tag(keys->gc->cache, name, add_tag, keys, keys->err))
		return -1;
	if (keys->rooted)
		return 0;
	if (folder_read(&records, keys->gc->cache->fd, path, keys->err))
		return -1;
	for (size_t i = 0; i < records.nr; i++) {
		struct reference reference = { .is_digest = true };
		const char *hex = records.names[i];
		struct err ignored;

		if (!digest_parse_hex(&reference.digest, hex, strlen(hex),
				      &ignored) &&
		    !is_gone(keys, &reference.digest))
			add_key(keys, &reference);
	}
	return 0;
}

static int read_keys(struct keys *keys, const struct gc *gc, bool rooted,
		     struct err *err)
{
	struct err failed = ERR_INIT;

	*keys = (struct keys){ .gc = gc, .rooted = rooted, .err = &failed };
	if (cache_each_repository(gc->cache, add_repository, keys, err))
		return -1;
	keys->err = NULL;
	if (failed.code) {
		*err = failed;
		return -1;
	}
	if (keys->nr)
		qsort(keys->keys, keys->nr, sizeof(*keys->keys), compare);
	return 0;
}

/* The lock of a build, unless it is under way. */
static int lock_build(const struct gc *gc, const struct digest *key)
{
	char name[DIGEST_HEX_SIZE + 16], hex[DIGEST_HEX_SIZE];
	struct err busy;

	snprintf(name, sizeof(name), "build.%s", digest_hex(key, hex));
	return cache_lock(gc->cache, name, 0, &busy);
}

/* A root that may go, and the lock of the build that would make it anew. */
struct doubt {
	struct digest key;
	const char *name;
	int lock;
};

static size_t gather_doubts(const struct gc *gc, const struct folder *roots,
			    struct doubt doubts[ROOTS_AT_ONCE],
			    const struct keys *keys)
{
	size_t nr = 0;

	for (size_t i = 0; i < roots->nr && nr < ROOTS_AT_ONCE; i++) {
		const char *name = roots->names[i];
		struct doubt *doubt = &doubts[nr];
		struct err ignored;

		*doubt = (struct doubt){ .name = name };
		if (strncmp(name, "tag.", 4) ||
		    strlen(name) < 4 + DIGEST_HEX_SIZE - 1 ||
		    digest_parse_hex(&doubt->key, name + 4, DIGEST_HEX_SIZE - 1,
				     &ignored) ||
		    has_key(keys, &doubt->key))
			continue;
		doubt->lock = lock_build(gc, &doubt->key);
		if (doubt->lock >= 0)
			nr++;
	}
	return nr;
}

/*
 * With the locks no build can make a tag's image be there; but one may have
 * ended between our look and the lock.
 */
static int sweep_roots(const struct gc *gc, struct err *err)
{
	struct doubt doubts[ROOTS_AT_ONCE];
	autokeys keys = { 0 }, again = { 0 };
	autofolder roots = FOLDER_INIT;
	size_t nr;
	int rc;

	if (folder_read(&roots, gc->cache->fd, "roots", err) ||
	    read_keys(&keys, gc, true, err))
		return -1;
	nr = gather_doubts(gc, &roots, doubts, &keys);
	rc = nr ? read_keys(&again, gc, true, err) : 0;
	for (size_t i = 0; i < nr; i++) {
		autofree char *path = xasprintf("roots/%s", doubts[i].name);

		if (!rc && !has_key(&again, &doubts[i].key))
			rc = sweep_file(gc, GC_ROOT, path, err);
		close(doubts[i].lock);
	}
	return rc;
}

/* Barred by the build's lock. */
static int remove_build(const struct gc *gc, const char *folder,
			struct err *err)
{
	static const char *const files[] = { "log", "failure" };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		autofree char *path = xasprintf("%s/%s", folder, files[i]);
		struct stat st;

		if (!fstatat(gc->cache->fd, path, &st, AT_SYMLINK_NOFOLLOW) &&
		    sweep_file(gc, GC_BUILD, path, err))
			return -1;
	}
	removal_rmdir(gc, folder);
	return 0;
}

static bool build_is_older(const struct gc *gc, const char *folder,
			   int64_t age_s)
{
	autofree char *log = xasprintf("%s/log", folder);
	autofree char *failure = xasprintf("%s/failure", folder);
	struct stat st;

	if (!fstatat(gc->cache->fd, log, &st, AT_SYMLINK_NOFOLLOW) &&
	    !sweep_is_older(gc, log, age_s))
		return false;
	if (!fstatat(gc->cache->fd, failure, &st, AT_SYMLINK_NOFOLLOW) &&
	    !sweep_is_older(gc, failure, age_s))
		return false;
	return sweep_is_older(gc, folder, age_s);
}

static int sweep_build(const struct gc *gc, const struct keys *keys,
		       const char *hex, struct err *err)
{
	autofree char *folder = xasprintf("builds/%s", hex);
	int64_t age = sweep_record_age(gc);
	autoclose int lock = -1;
	struct digest key;
	struct err ignored;

	if (digest_parse_hex(&key, hex, strlen(hex), &ignored))
		return 0;
	if (!has_key(keys, &key) && age > SWEEP_AFTER_S)
		age = SWEEP_AFTER_S;
	if (!build_is_older(gc, folder, age))
		return 0;
	lock = lock_build(gc, &key);
	if (lock < 0 || !build_is_older(gc, folder, age))
		return 0;
	return remove_build(gc, folder, err);
}

int sweep_builds(const struct gc *gc, struct err *err)
{
	autofolder builds = FOLDER_INIT;
	autokeys keys = { 0 };

	if (sweep_roots(gc, err) || read_keys(&keys, gc, false, err) ||
	    folder_read(&builds, gc->cache->fd, "builds", err))
		return -1;
	for (size_t i = 0; i < builds.nr; i++)
		if (sweep_build(gc, &keys, builds.names[i], err))
			return -1;
	return 0;
}
