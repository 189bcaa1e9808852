// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cache.h"
#include "common/cachefile.h"
#include "common/lease.h"

#include "common/banned.h"

const char *cache_blob_path(const struct digest *digest,
			    char out[CACHE_BLOB_PATH_SIZE])
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(digest, hex);
	snprintf(out, CACHE_BLOB_PATH_SIZE, "sha256/%.2s/%s", hex, hex);
	return out;
}

const char *cache_blob_file(const struct digest *digest,
			    char out[CACHE_BLOB_FILE_SIZE])
{
	/* What follows ends it. */
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
	memcpy(out, "blobs/", 6);
	cache_blob_path(digest, out + 6);
	return out;
}

/* path is where it is, if it is. */
static bool look(const struct cache *cache, const struct digest *digest,
		 char path[CACHE_BLOB_FILE_SIZE], struct stat *st)
{
	return !fstatat(cache->fd, cache_blob_file(digest, path), st,
			AT_SYMLINK_NOFOLLOW) &&
	       S_ISREG(st->st_mode);
}

bool cache_has_blob(const struct cache *cache, const struct digest *digest,
		    uint64_t *size)
{
	char path[CACHE_BLOB_FILE_SIZE];
	struct stat st;

	if (!look(cache, digest, path, &st))
		return false;
	if (size)
		*size = (uint64_t)st.st_size;
	return true;
}

bool cache_use_blob(const struct cache *cache, const struct digest *digest,
		    uint64_t *size)
{
	char path[CACHE_BLOB_FILE_SIZE];
	struct stat st;

	if (!look(cache, digest, path, &st) ||
	    !lease_file(cache, path, &st, LEASE_ATIME))
		return false;
	if (size)
		*size = (uint64_t)st.st_size;
	return true;
}

int cache_open_blob(const struct cache *cache, const struct digest *digest,
		    uint64_t *size, struct err *err)
{
	char path[CACHE_BLOB_FILE_SIZE];
	autoclose int fd =
		open_beneath(cache->fd, cache_blob_file(digest, path),
			     O_RDONLY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_UNKNOWN, "no %s in the cache", path);
	if (fd < 0 || fstat(fd, &st))
		return err_errno(err, "cannot open %s in the cache", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_REFUSED,
			       "%s in the cache is not a regular file", path);
	if (size)
		*size = (uint64_t)st.st_size;
	return steal_fd(&fd);
}

int cache_read_blob(const struct cache *cache, const struct digest *digest,
		    size_t max, struct strbuf *out, struct err *err)
{
	char path[CACHE_BLOB_FILE_SIZE];
	struct stat st;
	uint64_t size;
	size_t start = out->len;
	autoclose int fd = -1;
	bool is_memo = cache->memo && look(cache, digest, path, &st);

	if (is_memo && memo_get(cache->memo, path, &st, out))
		return 0;
	fd = cache_open_blob(cache, digest, &size, err);
	if (fd < 0 || strbuf_read_file(out, fd, size, max, "a blob", err))
		return -1;
	if (is_memo)
		memo_put(cache->memo, path, &st, out->buf + start,
			 out->len - start);
	return 0;
}

int blob_begin(struct blob_writer *writer, const struct cache *cache,
	       struct err *err)
{
	*writer = (struct blob_writer)BLOB_WRITER_INIT;
	writer->cache = cache;
	writer->fd = cachefile_create(cache->fd, 0444, &writer->tmp, err);
	return writer->fd < 0 ? -1 : 0;
}

/* The disk is to begin when so much is written, not at the sync. */
#define WRITE_BACK (8u << 20)

int blob_write(struct blob_writer *writer, const void *data, size_t len,
	       struct err *err)
{
	uint64_t before;

	if (write_all(writer->fd, data, len))
		return err_errno(err, "cannot write a blob to the cache %s",
				 writer->cache->path);
	before = writer->size / WRITE_BACK;
	writer->size += len;
	/* To no avail is no harm: it is synced in the end. */
	if (writer->size / WRITE_BACK != before)
		sync_file_range(writer->fd, (off64_t)(before * WRITE_BACK), 0,
				SYNC_FILE_RANGE_WRITE);
	return 0;
}

static atomic_uint_fast64_t bytes_committed;

uint64_t blob_bytes_committed(void)
{
	return bytes_committed;
}

int blob_publish(struct blob_writer *writer, const struct digest *digest,
		 struct err *err)
{
	char path[CACHE_BLOB_FILE_SIZE];
	int rc;

	if (writer->fd < 0)
		return 0;
	rc = cachefile_link(writer->cache->fd, writer->fd, writer->tmp,
			    cache_blob_file(digest, path), err);
	free(steal_ptr(&writer->tmp));
	if (!rc)
		bytes_committed += writer->size;
	return rc;
}

int blob_commit(struct blob_writer *writer, const struct digest *digest,
		struct err *err)
{
	if (fsync(writer->fd))
		return err_errno(err, "cannot write a blob to the cache %s",
				 writer->cache->path);
	return blob_publish(writer, digest, err);
}

void blob_writer_release(struct blob_writer *writer)
{
	if (writer->fd >= 0)
		close(writer->fd);
	if (writer->tmp)
		unlinkat(writer->cache->fd, writer->tmp, 0);
	free(writer->tmp);
	*writer = (struct blob_writer)BLOB_WRITER_INIT;
}

int blob_stage(struct blob_writer *writer, const struct cache *cache,
	       const void *data, size_t len, struct digest *digest,
	       struct err *err)
{
	digest_of(data, len, digest);
	if (cache_use_blob(cache, digest, NULL))
		return 0;
	if (blob_begin(writer, cache, err))
		return -1;
	return blob_write(writer, data, len, err);
}

int cache_put_blob(const struct cache *cache, const void *data, size_t len,
		   struct digest *digest, struct err *err)
{
	autoblob writer = BLOB_WRITER_INIT;

	if (blob_stage(&writer, cache, data, len, digest, err))
		return -1;
	return writer.fd < 0 ? 0 : blob_commit(&writer, digest, err);
}
