// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cache.h"
#include "common/cachefile.h"

#include "common/banned.h"

/* "builds/", the key in hex, "/failure", the NUL. */
#define PATH_SIZE (DIGEST_HEX_SIZE + 32)

void build_key(const struct repository_name *name,
	       const struct reference *reference, struct digest *key)
{
	char str[REFERENCE_STR_SIZE];
	autofree char *text = xasprintf("%s%c%s", name->text,
					reference->is_digest ? '@' : ':',
					reference_str(reference, str));

	digest_of(text, strlen(text), key);
}

static const char *path_of(char out[PATH_SIZE], const struct digest *build,
			   const char *file)
{
	char hex[DIGEST_HEX_SIZE];

	snprintf(out, PATH_SIZE, "builds/%s/%s", digest_hex(build, hex), file);
	return out;
}

static const struct field failure_fields[] = {
	{ "when", FIELD_INT, offsetof(struct failure, when), 0 },
	{ "flake", FIELD_DIGEST, offsetof(struct failure, flake), 0 },
	{ "code", FIELD_ERR_CODE, offsetof(struct failure, err.code), 0 },
};

int cache_get_failure(const struct cache *cache, const struct digest *build,
		      struct failure *failure, struct err *err)
{
	char path[PATH_SIZE];
	autostrbuf text = STRBUF_INIT;
	size_t used;

	*failure = (struct failure){ .err = ERR_INIT };
	path_of(path, build, "failure");
	if (cachefile_read(cache->fd, path, SMALL_FILE_MAX, &text, err) ||
	    fields_parse(failure_fields, ARRAY_SIZE(failure_fields), failure,
			 text.buf, text.len, &used, path, err))
		return -1;
	snprintf(failure->err.msg, sizeof(failure->err.msg), "%s",
		 text.buf + used);
	return 0;
}

int cache_put_failure(const struct cache *cache, const struct digest *build,
		      const struct failure *failure, struct err *err)
{
	char path[PATH_SIZE];
	autostrbuf text = STRBUF_INIT;

	fields_format(&text, failure_fields, ARRAY_SIZE(failure_fields),
		      failure);
	strbuf_addstr(&text, failure->err.msg);
	return cachefile_replace(cache->fd, path_of(path, build, "failure"),
				 text.buf, text.len, CACHEFILE_SYNC, err);
}

int cache_clear_failure(const struct cache *cache, const struct digest *build,
			struct err *err)
{
	char path[PATH_SIZE];

	if (unlinkat(cache->fd, path_of(path, build, "failure"), 0) &&
	    errno != ENOENT)
		return err_errno(err, "cannot remove %s in the cache", path);
	return 0;
}

int cache_create_log(const struct cache *cache, const struct digest *build,
		     struct err *err)
{
	char path[PATH_SIZE];
	autoclose int folder = -1;
	int fd;

	path_of(path, build, "");
	path[strlen(path) - 1] = 0;
	folder = cachefile_open_folder(cache->fd, path, true, err);
	if (folder < 0)
		return -1;
	fd = openat(folder, "log",
		    O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW |
			    O_NONBLOCK | O_CLOEXEC,
		    0644);
	if (fd < 0)
		return err_errno(err, "cannot write %s/log in the cache", path);
	return fd;
}

int cache_open_log(const struct cache *cache, const struct digest *build,
		   struct err *err)
{
	char path[PATH_SIZE];
	int fd = open_beneath(cache->fd, path_of(path, build, "log"),
			      O_RDONLY | O_NONBLOCK);

	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_UNKNOWN, "no %s in the cache", path);
	if (fd < 0)
		return err_errno(err, "cannot open %s in the cache", path);
	return fd;
}
