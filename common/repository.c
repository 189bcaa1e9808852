// SPDX-License-Identifier: MIT
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cache.h"
#include "common/cachefile.h"
#include "common/folder.h"
#include "common/lease.h"

#include "common/banned.h"

/* "repositories/", a name, "/_identities/", a tag or hex, the NUL. */
#define PATH_SIZE CACHE_RECORD_PATH_SIZE

static const char *path_of(char out[PATH_SIZE],
			   const struct repository_name *name,
			   const char *folder, const char *file)
{
	snprintf(out, PATH_SIZE, "repositories/%s/%s/%s", name->text, folder,
		 file);
	return out;
}

static const char *path_of_digest(char out[PATH_SIZE],
				  const struct repository_name *name,
				  const char *folder, const struct digest *d)
{
	char hex[DIGEST_HEX_SIZE];

	return path_of(out, name, folder, digest_hex(d, hex));
}

static bool look(const struct cache *cache, const char *path, struct stat *st)
{
	return !fstatat(cache->fd, path, st, AT_SYMLINK_NOFOLLOW) &&
	       S_ISREG(st->st_mode);
}

/* As cachefile_read(), which says what is wrong with a file that is none. */
static int read_small(const struct cache *cache, const char *path,
		      struct strbuf *out, struct err *err)
{
	struct stat st;
	bool is_there = cache->memo && look(cache, path, &st);

	if (is_there && memo_get(cache->memo, path, &st, out))
		return 0;
	if (cachefile_read(cache->fd, path, SMALL_FILE_MAX, out, err))
		return -1;
	if (is_there)
		memo_put(cache->memo, path, &st, out->buf, out->len);
	return 0;
}

static int get(const struct cache *cache, const char *path,
	       const struct field *fields, size_t nr, void *record,
	       struct err *err)
{
	autostrbuf text = STRBUF_INIT;

	if (read_small(cache, path, &text, err))
		return -1;
	return fields_parse(fields, nr, record, text.buf, text.len, NULL, path,
			    err);
}

static int put(const struct cache *cache, const char *path,
	       const struct field *fields, size_t nr, const void *record,
	       enum cachefile_sync sync, struct err *err)
{
	autostrbuf text = STRBUF_INIT;

	fields_format(&text, fields, nr, record);
	return cachefile_replace(cache->fd, path, text.buf, text.len, sync,
				 err);
}

#define FIELD(key, kind, type, member)                                         \
	{                                                                      \
		key, kind, offsetof(type, member), sizeof(((type *)0)->member) \
	}

static const struct field layer_fields[] = {
	FIELD("diff-id", FIELD_DIGEST, struct layer, diff_id),
	FIELD("tar-size", FIELD_UINT, struct layer, tar_size),
	FIELD("digest", FIELD_DIGEST, struct layer, blob.digest),
	FIELD("size", FIELD_UINT, struct layer, blob.size),
	FIELD("media-type", FIELD_MEDIA_TYPE, struct layer, blob.media_type),
};

static const char *layer_path(char out[PATH_SIZE], const struct digest *key)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(key, hex);
	snprintf(out, PATH_SIZE, "layers/%.2s/%s", hex, hex);
	return out;
}

/* What a crash cut short is not there. */
static int unknown_if_malformed(struct err *err)
{
	if (err->code == ERR_MALFORMED)
		err->code = ERR_UNKNOWN;
	return -1;
}

int cache_get_layer(const struct cache *cache, const struct digest *key,
		    struct layer *layer, struct err *err)
{
	char path[PATH_SIZE];

	if (get(cache, layer_path(path, key), layer_fields,
		ARRAY_SIZE(layer_fields), layer, err))
		return unknown_if_malformed(err);
	layer->key = *key;
	return 0;
}

int cache_put_layer(const struct cache *cache, const struct layer *layer,
		    struct err *err)
{
	char path[PATH_SIZE];

	return put(cache, layer_path(path, &layer->key), layer_fields,
		   ARRAY_SIZE(layer_fields), layer, CACHEFILE_NO_SYNC, err);
}

static const struct field link_fields[] = {
	FIELD("digest", FIELD_DIGEST, struct blob_link, blob.digest),
	FIELD("size", FIELD_UINT, struct blob_link, blob.size),
	FIELD("media-type", FIELD_MEDIA_TYPE, struct blob_link,
	      blob.media_type),
	FIELD("manifest", FIELD_DIGEST, struct blob_link, manifest),
	FIELD("flake", FIELD_DIGEST, struct blob_link, flake),
};

int cache_get_link(const struct cache *cache,
		   const struct repository_name *name,
		   const struct digest *blob, struct blob_link *link,
		   struct err *err)
{
	char path[PATH_SIZE];

	if (get(cache, path_of_digest(path, name, "_blobs", blob), link_fields,
		ARRAY_SIZE(link_fields), link, err))
		return unknown_if_malformed(err);
	return 0;
}

int cache_put_link(const struct cache *cache,
		   const struct repository_name *name,
		   const struct blob_link *link, struct err *err)
{
	char path[PATH_SIZE];

	path_of_digest(path, name, "_blobs", &link->blob.digest);
	return put(cache, path, link_fields, ARRAY_SIZE(link_fields), link,
		   CACHEFILE_NO_SYNC, err);
}

static const struct field head_fields[] = {
	FIELD("manifest", FIELD_DIGEST, struct image_head, manifest.digest),
	FIELD("size", FIELD_UINT, struct image_head, manifest.size),
	FIELD("media-type", FIELD_MEDIA_TYPE, struct image_head,
	      manifest.media_type),
	FIELD("flake", FIELD_DIGEST, struct image_head, flake),
	FIELD("identity", FIELD_DIGEST, struct image_head, identity),
};

/* Long enough for every head: five lines of a hundred bytes. */
#define HEAD_MAX 1024

static int read_head(int fd, const char *path, struct strbuf *text,
		     bool with_body, struct err *err)
{
	ssize_t n;

	if (with_body)
		return strbuf_read(text, fd, RECORD_MAX, path, err);
	strbuf_grow(text, HEAD_MAX);
	n = pread_all(fd, text->buf, HEAD_MAX, 0);
	if (n < 0)
		return err_errno(err, "reading %s in the cache", path);
	text->len = (size_t)n;
	text->buf[n] = 0;
	return 0;
}

const char *cache_record_path(char out[CACHE_RECORD_PATH_SIZE],
			      const struct repository_name *name,
			      const struct digest *manifest)
{
	return path_of_digest(out, name, "_manifests", manifest);
}

static int open_record(const struct cache *cache, const char *path,
		       struct err *err)
{
	autoclose int fd = open_beneath(cache->fd, path, O_RDONLY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(err, ERR_UNKNOWN, "no %s in the cache", path);
	if (fd < 0)
		return err_errno(err, "cannot open %s in the cache", path);
	if (!fstat(fd, &st) && S_ISDIR(st.st_mode))
		return err_set(err, ERR_MALFORMED,
			       "%s in the cache is a folder", path);
	return steal_fd(&fd);
}

/* The text, with the body if there is one to be had; st may be NULL. */
static int read_record(const struct cache *cache, const char *path,
		       const struct stat *st, bool with_body,
		       struct strbuf *text, struct err *err)
{
	bool is_memo = cache->memo && st && !with_body;
	autoclose int fd = -1;

	if (is_memo && memo_get(cache->memo, path, st, text))
		return 0;
	fd = open_record(cache, path, err);
	if (fd < 0 || read_head(fd, path, text, with_body, err))
		return -1;
	if (is_memo)
		memo_put(cache->memo, path, st, text->buf, text->len);
	return 0;
}

static int get_record(const struct cache *cache, const char *path,
		      const struct stat *st, struct image_head *head,
		      struct strbuf *body, struct err *err)
{
	autostrbuf text = STRBUF_INIT;
	size_t used;

	if (read_record(cache, path, st, body != NULL, &text, err) ||
	    fields_parse(head_fields, ARRAY_SIZE(head_fields), head, text.buf,
			 text.len, &used, path, err))
		return -1;
	if (body)
		strbuf_add(body, text.buf + used, text.len - used);
	return 0;
}

int cache_peek_record(const struct cache *cache,
		      const struct repository_name *name,
		      const struct digest *manifest, struct image_head *head,
		      struct strbuf *body, struct err *err)
{
	char path[PATH_SIZE];

	return get_record(cache, cache_record_path(path, name, manifest), NULL,
			  head, body, err);
}

void cache_use_record(const struct cache *cache,
		      const struct repository_name *name,
		      const struct digest *manifest)
{
	char path[PATH_SIZE];
	struct stat st;

	if (look(cache, cache_record_path(path, name, manifest), &st))
		lease_file(cache, path, &st, LEASE_MTIME);
}

/*
 * Leased before it is read: whoever looks for the manifest afterwards finds it
 * only if it stays.
 */
int cache_get_record(const struct cache *cache,
		     const struct repository_name *name,
		     const struct digest *manifest, struct image_head *head,
		     struct strbuf *body, struct err *err)
{
	char path[PATH_SIZE];
	struct stat st;
	bool is_there =
		look(cache, cache_record_path(path, name, manifest), &st);

	if (is_there)
		lease_file(cache, path, &st, LEASE_MTIME);
	return get_record(cache, path, is_there ? &st : NULL, head, body, err);
}

bool cache_has_record(const struct cache *cache,
		      const struct repository_name *name,
		      const struct digest *manifest)
{
	char path[PATH_SIZE];
	struct stat st;

	return look(cache, cache_record_path(path, name, manifest), &st);
}

int cache_put_record(const struct cache *cache,
		     const struct repository_name *name,
		     const struct image_head *head, const char *body,
		     size_t len, struct err *err)
{
	char path[PATH_SIZE];
	autostrbuf text = STRBUF_INIT;

	path_of_digest(path, name, "_manifests", &head->manifest.digest);
	fields_format(&text, head_fields, ARRAY_SIZE(head_fields), head);
	strbuf_add(&text, body, len);
	return cachefile_replace(cache->fd, path, text.buf, text.len,
				 CACHEFILE_SYNC, err);
}

static const struct field identity_fields[] = {
	{ "manifest", FIELD_DIGEST, 0, sizeof(struct digest) },
};

int cache_get_identity(const struct cache *cache,
		       const struct repository_name *name,
		       const struct digest *identity, struct digest *manifest,
		       struct err *err)
{
	char path[PATH_SIZE];

	path_of_digest(path, name, "_identities", identity);
	if (get(cache, path, identity_fields, ARRAY_SIZE(identity_fields),
		manifest, err))
		return unknown_if_malformed(err);
	return 0;
}

int cache_put_identity(const struct cache *cache,
		       const struct repository_name *name,
		       const struct digest *identity,
		       const struct digest *manifest, struct err *err)
{
	char path[PATH_SIZE];

	path_of_digest(path, name, "_identities", identity);
	return put(cache, path, identity_fields, ARRAY_SIZE(identity_fields),
		   manifest, CACHEFILE_NO_SYNC, err);
}

static const struct field tag_fields[] = {
	FIELD("manifest", FIELD_DIGEST, struct tag_record,
	      image.manifest.digest),
	FIELD("size", FIELD_UINT, struct tag_record, image.manifest.size),
	FIELD("media-type", FIELD_MEDIA_TYPE, struct tag_record,
	      image.manifest.media_type),
	FIELD("flake", FIELD_DIGEST, struct tag_record, image.flake),
	FIELD("identity", FIELD_DIGEST, struct tag_record, image.identity),
	FIELD("resolved", FIELD_INT, struct tag_record, resolved),
	FIELD("revision", FIELD_TEXT, struct tag_record, revision),
};

int cache_get_tag(const struct cache *cache, const struct repository_name *name,
		  const struct tag *tag, struct tag_record *record,
		  struct err *err)
{
	char path[PATH_SIZE];

	if (get(cache, path_of(path, name, "_tags", tag->text), tag_fields,
		ARRAY_SIZE(tag_fields), record, err))
		return unknown_if_malformed(err);
	return 0;
}

int cache_put_tag(const struct cache *cache, const struct repository_name *name,
		  const struct tag *tag, const struct tag_record *record,
		  struct err *err)
{
	char path[PATH_SIZE];

	return put(cache, path_of(path, name, "_tags", tag->text), tag_fields,
		   ARRAY_SIZE(tag_fields), record, CACHEFILE_SYNC, err);
}

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* Open a folder to be listed; *dir is NULL when it is not there. */
static int open_dir(const struct cache *cache, const char *path, DIR **dir,
		    struct err *err)
{
	struct err why;
	int fd = cachefile_open_folder(cache->fd, path, false, &why);

	*dir = NULL;
	if (fd < 0 && why.code == ERR_UNKNOWN)
		return 0;
	if (fd < 0) {
		*err = why;
		return -1;
	}
	*dir = fdopendir(fd);
	if (!*dir) {
		close(fd);
		return err_errno(err, "cannot list %s in the cache", path);
	}
	return 0;
}

/*
 * A folder is a repository if it has records; names are told apart from our
 * own folders by the underscore, which no component of a name begins with.
 */
static int each_below(const struct cache *cache, const char *prefix,
		      int (*f)(const struct repository_name *name, void *arg),
		      void *arg, struct err *err)
{
	autofree char *path =
		xasprintf("repositories%s%s", *prefix ? "/" : "", prefix);
	__attribute__((cleanup(close_dir))) DIR *dir = NULL;
	const struct dirent *entry;
	int rc = 0;

	if (open_dir(cache, path, &dir, err))
		return -1;
	while (dir && (rc = folder_next(dir, &entry)) > 0) {
		autofree char *name = NULL;
		struct repository_name parsed;
		struct err ignored;

		if (!strcmp(entry->d_name, "_manifests") &&
		    !repository_name_parse(&parsed, prefix, strlen(prefix),
					   &ignored)) {
			if (f(&parsed, arg))
				return 0;
			continue;
		}
		if (entry->d_name[0] == '_' || entry->d_name[0] == '.')
			continue;
		name = xasprintf("%s%s%s", prefix, *prefix ? "/" : "",
				 entry->d_name);
		if (strlen(name) <= REPOSITORY_NAME_MAX &&
		    each_below(cache, name, f, arg, err))
			return -1;
	}
	return rc ? err_errno(err, "cannot list %s in the cache", path) : 0;
}

int cache_each_repository(const struct cache *cache,
			  int (*f)(const struct repository_name *name,
				   void *arg),
			  void *arg, struct err *err)
{
	return each_below(cache, "", f, arg, err);
}

int cache_each_tag(const struct cache *cache,
		   const struct repository_name *name,
		   int (*f)(const struct tag *tag, void *arg), void *arg,
		   struct err *err)
{
	autofree char *path = xasprintf("repositories/%s/_tags", name->text);
	__attribute__((cleanup(close_dir))) DIR *dir = NULL;
	const struct dirent *entry;
	int rc = 0;

	if (open_dir(cache, path, &dir, err))
		return -1;
	while (dir && (rc = folder_next(dir, &entry)) > 0) {
		struct err ignored;
		struct tag tag;

		if (tag_parse(&tag, entry->d_name, strlen(entry->d_name),
			      &ignored))
			continue;
		if (f(&tag, arg))
			return 0;
	}
	return rc ? err_errno(err, "cannot list %s in the cache", path) : 0;
}
