// SPDX-License-Identifier: MIT
#ifndef COMMON_CACHE_H
#define COMMON_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/descriptor.h"
#include "common/layer.h"
#include "common/memo.h"
#include "common/reference.h"
#include "common/strbuf.h"

/*
 * The cache on disk, which is all that responder and builders share:
 *
 *   version                           of this layout
 *   blobs/sha256/ab/abcd…             bytes, mode 0444
 *   layers/ab/KEY                     what a layer of these inputs is
 *   repositories/NAME/_manifests/HEX  record of an image
 *   repositories/NAME/_blobs/HEX      link: the record that needs a blob
 *   repositories/NAME/_identities/HEX link: the image of an identity
 *   repositories/NAME/_tags/TAG       tag record; the one mutable kind
 *   builds/KEY/{log,failure}          KEY over name and reference
 *   git/FLAKE.refs                    refs of a flake's repository
 *   git/FLAKE.names                   names of its packages
 *   git/FLAKE.git                     its commits that are at no tip
 *   locks/  roots/  tmp/
 *
 * Invariant: a manifest blob that is there has all its blobs there. What is
 * there is whole: written to a file without a name, synced, then linked.
 * Every function may be called from any thread.
 */

struct cache {
	int fd;
	char *path;    /* absolute */
	bool writable; /* or else nothing in it is made or changed */
	/* What records and small blobs held, for who has one; not our own. */
	struct memo *memo;
};

enum cache_mode {
	CACHE_READ,  /* as the responder */
	CACHE_WRITE, /* as a builder: make the folders that are missing */
	CACHE_GC,    /* the same, and leave what is in tmp/ to gc */
};

/*
 * Open the cache at an absolute path. ERR_REFUSED if its layout is newer than
 * ours, or if it is to be written to and belongs to another user; ERR_SYSTEM
 * if it cannot be read or made.
 */
MUST_CHECK int cache_open(struct cache *cache, const char *path,
			  enum cache_mode mode, struct err *err);
void cache_release(struct cache *cache);
#define CACHE_INIT                                                             \
	{                                                                      \
		.fd = -1, .path = NULL, .writable = false, .memo = NULL        \
	}
#define autocache __attribute__((cleanup(cache_release))) struct cache

/*
 * Was the cache's folder removed, and is there another? Then go on with that
 * one.
 */
MUST_CHECK int cache_refresh(const struct cache *cache, struct err *err);

/*
 * Sync all that was written so far: layer entries and links are not synced
 * one by one, so this comes before what needs them is published.
 */
MUST_CHECK int cache_sync(const struct cache *cache, struct err *err);

/* Blobs */

/* Is it there? Its size goes to *size unless that is NULL. */
bool cache_has_blob(const struct cache *cache, const struct digest *digest,
		    uint64_t *size);
/* The same, and if it is there it stays for ten minutes (lease.h). */
bool cache_use_blob(const struct cache *cache, const struct digest *digest,
		    uint64_t *size);
/* A descriptor to read from, the caller's to close. ERR_UNKNOWN. */
MUST_CHECK int cache_open_blob(const struct cache *cache,
			       const struct digest *digest, uint64_t *size,
			       struct err *err);
/* Append a small blob, or what the cache's memo has of it. ERR_UNKNOWN. */
MUST_CHECK int cache_read_blob(const struct cache *cache,
			       const struct digest *digest, size_t max,
			       struct strbuf *out, struct err *err);
/* "sha256/ab/abcd…", a blob's file below CACHE/blobs/. Returns out. */
#define CACHE_BLOB_PATH_SIZE 80
const char *cache_blob_path(const struct digest *digest,
			    char out[CACHE_BLOB_PATH_SIZE]);
/* The same below CACHE. Returns out. */
#define CACHE_BLOB_FILE_SIZE (CACHE_BLOB_PATH_SIZE + 6)
const char *cache_blob_file(const struct digest *digest,
			    char out[CACHE_BLOB_FILE_SIZE]);
/* Publish len bytes, synced; their digest goes to *digest. */
MUST_CHECK int cache_put_blob(const struct cache *cache, const void *data,
			      size_t len, struct digest *digest,
			      struct err *err);

/* A blob that is being written. Hashing is the writer's own affair. */
struct blob_writer {
	const struct cache *cache;
	int fd;
	char *tmp;     /* name in tmp/ where O_TMPFILE cannot be, else NULL */
	uint64_t size; /* bytes written */
};
#define BLOB_WRITER_INIT                                                       \
	{                                                                      \
		.cache = NULL, .fd = -1, .tmp = NULL, .size = 0                \
	}
MUST_CHECK int blob_begin(struct blob_writer *writer, const struct cache *cache,
			  struct err *err);
MUST_CHECK int blob_write(struct blob_writer *writer, const void *data,
			  size_t len, struct err *err);
/*
 * Sync and publish under the digest, which must be that of what was written.
 * That it is there already is success.
 */
MUST_CHECK int blob_commit(struct blob_writer *writer,
			   const struct digest *digest, struct err *err);
/*
 * The same in two steps, for several blobs that one cache_sync() between them
 * puts on the disk: write len bytes, and name them. *digest is theirs. Where
 * the blob is there already nothing is done in either step.
 */
MUST_CHECK int blob_stage(struct blob_writer *writer, const struct cache *cache,
			  const void *data, size_t len, struct digest *digest,
			  struct err *err);
MUST_CHECK int blob_publish(struct blob_writer *writer,
			    const struct digest *digest, struct err *err);
/* Bytes of all blobs that this process has committed. */
uint64_t blob_bytes_committed(void);
/* Forget what was written, unless committed. */
void blob_writer_release(struct blob_writer *writer);
#define autoblob                                                               \
	__attribute__((cleanup(blob_writer_release))) struct blob_writer

/* Layers */

/* ERR_UNKNOWN if no layer of that key is known. Its blob may be gone. */
MUST_CHECK int cache_get_layer(const struct cache *cache,
			       const struct digest *key, struct layer *layer,
			       struct err *err);
MUST_CHECK int cache_put_layer(const struct cache *cache,
			       const struct layer *layer, struct err *err);

/* Images */

/*
 * What a repository has of a blob: the record that can make it again, and the
 * flake (flake_settings.id) that the record is of.
 */
struct blob_link {
	struct descriptor blob;
	struct digest manifest;
	struct digest flake;
};

MUST_CHECK int cache_get_link(const struct cache *cache,
			      const struct repository_name *name,
			      const struct digest *blob, struct blob_link *link,
			      struct err *err);
MUST_CHECK int cache_put_link(const struct cache *cache,
			      const struct repository_name *name,
			      const struct blob_link *link, struct err *err);

/* What of an image must be known to serve its manifest. */
struct image_head {
	struct descriptor manifest;
	struct digest flake;	/* flake_settings.id */
	struct digest identity; /* of what it was built from */
};

/*
 * A record is a file: its head, which is all that the responder reads, an empty
 * line, and the record's JSON. body may be NULL. ERR_UNKNOWN. Getting counts
 * as use: the file's mtime is set, at most once a minute, and the image stays
 * for ten (lease.h). Peeking does not.
 */
MUST_CHECK int cache_get_record(const struct cache *cache,
				const struct repository_name *name,
				const struct digest *manifest,
				struct image_head *head, struct strbuf *body,
				struct err *err);
MUST_CHECK int cache_peek_record(const struct cache *cache,
				 const struct repository_name *name,
				 const struct digest *manifest,
				 struct image_head *head, struct strbuf *body,
				 struct err *err);
/* Use it without reading it. */
void cache_use_record(const struct cache *cache,
		      const struct repository_name *name,
		      const struct digest *manifest);
/* Is there one? This is no use of it. */
bool cache_has_record(const struct cache *cache,
		      const struct repository_name *name,
		      const struct digest *manifest);
MUST_CHECK int cache_put_record(const struct cache *cache,
				const struct repository_name *name,
				const struct image_head *head, const char *body,
				size_t len, struct err *err);

/* Its file below CACHE. Returns out. */
#define CACHE_RECORD_PATH_SIZE (REPOSITORY_NAME_MAX + TAG_MAX + 64)
const char *cache_record_path(char out[CACHE_RECORD_PATH_SIZE],
			      const struct repository_name *name,
			      const struct digest *manifest);

/* The manifest of an identity. ERR_UNKNOWN. */
MUST_CHECK int cache_get_identity(const struct cache *cache,
				  const struct repository_name *name,
				  const struct digest *identity,
				  struct digest *manifest, struct err *err);
MUST_CHECK int cache_put_identity(const struct cache *cache,
				  const struct repository_name *name,
				  const struct digest *identity,
				  const struct digest *manifest,
				  struct err *err);

/* What a tag names, and since when that is known. */
struct tag_record {
	struct image_head image;
	int64_t resolved;  /* seconds since 1970: when last found to be so */
	char revision[65]; /* the commit in hex, or "" */
};

MUST_CHECK int cache_get_tag(const struct cache *cache,
			     const struct repository_name *name,
			     const struct tag *tag, struct tag_record *record,
			     struct err *err);
MUST_CHECK int cache_put_tag(const struct cache *cache,
			     const struct repository_name *name,
			     const struct tag *tag,
			     const struct tag_record *record, struct err *err);

/* Call f for each repository, tag or record; it stops at one that is not 0. */
MUST_CHECK int
cache_each_repository(const struct cache *cache,
		      int (*f)(const struct repository_name *name, void *arg),
		      void *arg, struct err *err);
MUST_CHECK int cache_each_tag(const struct cache *cache,
			      const struct repository_name *name,
			      int (*f)(const struct tag *tag, void *arg),
			      void *arg, struct err *err);

/* Flakes */

/*
 * What `git ls-remote` said of a flake (flake_settings.id), and when it was
 * asked, in milliseconds since 1970. The text is appended. ERR_UNKNOWN.
 */
struct refs_record {
	int64_t asked_ms;
};

MUST_CHECK int cache_get_refs(const struct cache *cache,
			      const struct digest *flake,
			      struct refs_record *record, struct strbuf *text,
			      struct err *err);
MUST_CHECK int cache_put_refs(const struct cache *cache,
			      const struct digest *flake,
			      const struct refs_record *record,
			      const char *text, size_t len, struct err *err);

/*
 * The names of a flake's packages, a line each, of the source named; and when
 * that was asked, in seconds since 1970. The text is appended. ERR_UNKNOWN.
 */
struct names_record {
	int64_t asked;
	struct digest source;
};

MUST_CHECK int cache_get_names(const struct cache *cache,
			       const struct digest *flake,
			       struct names_record *record, struct strbuf *text,
			       struct err *err);
MUST_CHECK int cache_put_names(const struct cache *cache,
			       const struct digest *flake,
			       const struct names_record *record,
			       const char *text, size_t len, struct err *err);

/* Builds */

/* The key of a build: over name and reference. */
void build_key(const struct repository_name *name,
	       const struct reference *reference, struct digest *key);

struct failure {
	int64_t when;	     /* seconds since 1970 */
	struct digest flake; /* flake_settings.id; of a task none */
	struct err err;
};

/* ERR_UNKNOWN if the last build did not fail. */
MUST_CHECK int cache_get_failure(const struct cache *cache,
				 const struct digest *build,
				 struct failure *failure, struct err *err);
MUST_CHECK int cache_put_failure(const struct cache *cache,
				 const struct digest *build,
				 const struct failure *failure,
				 struct err *err);
MUST_CHECK int cache_clear_failure(const struct cache *cache,
				   const struct digest *build, struct err *err);
/* A descriptor to append the build's log to, emptied; or to read it from. */
MUST_CHECK int cache_create_log(const struct cache *cache,
				const struct digest *build, struct err *err);
MUST_CHECK int cache_open_log(const struct cache *cache,
			      const struct digest *build, struct err *err);

/* Absolute path of a file below roots/; the caller frees it. */
char *cache_root_path(const struct cache *cache, const char *name);

/* Locks */

/*
 * Take the lock of that name (hex digits and '.'), waiting for it; returns a
 * descriptor that holds it until it is closed. timeout_ms < 0 waits for ever,
 * 0 does not wait; ERR_BUSY when it was not to be had in time. With CACHE_READ
 * a lock that is not there is not made, and the descriptor holds nothing.
 */
MUST_CHECK int cache_lock(const struct cache *cache, const char *name,
			  int timeout_ms, struct err *err);

#endif
