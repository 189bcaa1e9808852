// SPDX-License-Identifier: MIT
#include "common/cachefile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/descriptor.h"
#include "common/log.h"

#include "common/banned.h"

/* The way without openat2(2), which came with Linux 5.6. */
static int open_by_component(int dirfd, const char *path, int flags)
{
	autoclose int fd = -1;

	for (;;) {
		const char *slash = strchrnul(path, '/');
		autofree char *name = xstrndup(path, (size_t)(slash - path));
		int from = fd >= 0 ? fd : dirfd;
		int next = openat(from, name,
				  *slash ? O_PATH | O_DIRECTORY | O_NOFOLLOW |
						   O_CLOEXEC
					 : flags | O_NOFOLLOW | O_CLOEXEC);

		if (next < 0)
			return -1;
		if (!*slash)
			return next;
		if (fd >= 0)
			close(fd);
		fd = next;
		path = slash + 1;
	}
}

int open_beneath(int dirfd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned int)flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	long fd;

	do
		fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
	while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		return open_by_component(dirfd, path, flags);
	return (int)fd;
}

static int make_folders(int cache, const char *path, struct err *err)
{
	autofree char *copy = xstrdup(path);

	for (char *p = copy;; p++) {
		char end = *p;

		if (end && end != '/')
			continue;
		*p = 0;
		if (mkdirat(cache, copy, 0755) && errno != EEXIST)
			return err_errno(err, "cannot make %s in the cache",
					 copy);
		*p = end;
		if (!end)
			return 0;
	}
}

int cachefile_open_folder(int cache, const char *path, bool create,
			  struct err *err)
{
	int fd = open_beneath(cache, path, O_RDONLY | O_DIRECTORY);

	if (fd < 0 && errno == ENOENT && create) {
		if (make_folders(cache, path, err))
			return -1;
		fd = open_beneath(cache, path, O_RDONLY | O_DIRECTORY);
	}
	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_UNKNOWN, "no %s in the cache", path);
	if (fd < 0)
		return err_errno(err, "cannot open %s in the cache", path);
	return fd;
}

int cachefile_read(int cache, const char *path, size_t max, struct strbuf *out,
		   struct err *err)
{
	/* O_NONBLOCK: a FIFO that somebody put there holds nobody up. */
	autoclose int fd = open_beneath(cache, path, O_RDONLY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(err, ERR_UNKNOWN, "no %s in the cache", path);
	if (fd < 0)
		return err_errno(err, "cannot open %s in the cache", path);
	if (fstat(fd, &st))
		return err_errno(err, "cannot look at %s in the cache", path);
	if (S_ISDIR(st.st_mode))
		return err_set(err, ERR_MALFORMED,
			       "%s in the cache is a folder", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_REFUSED,
			       "%s in the cache is not a regular file", path);
	return strbuf_read_file(out, fd, (uint64_t)st.st_size, max, path, err);
}

char *cachefile_tmp_name(const char *prefix)
{
	uint64_t n;

	while (getrandom(&n, sizeof(n), 0) != sizeof(n))
		if (errno != EINTR)
			abort();
	return xasprintf("tmp/%s%016" PRIx64, prefix, n);
}

static int create_named(int cache, mode_t mode, char **tmp, struct err *err)
{
	autofree char *name = cachefile_tmp_name("");
	int fd = openat(cache, name,
			O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			mode);

	if (fd < 0)
		return err_errno(err, "cannot make a file in the cache");
	if (fchmod(fd, mode)) {
		err_errno(err, "cannot make a file in the cache");
		unlinkat(cache, name, 0);
		close(fd);
		return -1;
	}
	*tmp = steal_ptr(&name);
	return fd;
}

int cachefile_create(int cache, mode_t mode, char **tmp, struct err *err)
{
	int fd = openat(cache, "tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, mode);

	*tmp = NULL;
	/* EISDIR: a kernel or file system that has never heard of it. */
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		return create_named(cache, mode, tmp, err);
	if (fd < 0)
		return err_errno(err, "cannot make a file in the cache");
	if (fchmod(fd, mode)) {
		err_errno(err, "cannot make a file in the cache");
		close(fd);
		return -1;
	}
	return fd;
}

/* Split at the last slash. */
static char *folder_of(const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');

	*name = slash + 1;
	return xstrndup(path, (size_t)(slash - path));
}

static int link_once(int cache, int fd, const char *tmp, int folder,
		     const char *name)
{
	char self[32];

	if (tmp)
		return linkat(cache, tmp, folder, name, 0);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, folder, name, AT_SYMLINK_FOLLOW);
}

int cachefile_link(int cache, int fd, const char *tmp, const char *path,
		   struct err *err)
{
	const char *name;
	autofree char *folder_path = folder_of(path, &name);
	autoclose int folder =
		cachefile_open_folder(cache, folder_path, true, err);
	int rc;

	if (folder < 0)
		return -1;
	rc = link_once(cache, fd, tmp, folder, name);
	if (rc && errno != EEXIST)
		err_errno(err, "cannot publish %s in the cache", path);
	else
		rc = 0;
	if (tmp)
		unlinkat(cache, tmp, 0);
	return rc;
}

int cachefile_set_aside(int cache, const char *path, struct err *err)
{
	autofree char *tmp = cachefile_tmp_name("");
	autofree char *aside = xasprintf("bad%s", strchr(tmp, '/'));

	if (unlinkat(cache, path, AT_REMOVEDIR) && errno != ENOENT &&
	    ((mkdirat(cache, "bad", 0700) && errno != EEXIST) ||
	     renameat(cache, path, cache, aside)))
		return err_errno(err,
				 "%s in the cache is a folder, and cannot "
				 "be moved to %s",
				 path, aside);
	log_event(LOG_LEVEL_WARN, "event", "folder-in-the-way", "path", path,
		  "aside", aside, NULL);
	return 0;
}

/* A folder that has the name makes way. */
static int rename_over(int cache, const char *tmp, const char *path, int folder,
		       const char *name, struct err *err)
{
	int rc = renameat(cache, tmp, folder, name);

	if (rc && errno == EISDIR) {
		if (cachefile_set_aside(cache, path, err))
			return -1;
		rc = renameat(cache, tmp, folder, name);
	}
	return rc ? err_errno(err, "cannot write %s in the cache", path) : 0;
}

int cachefile_replace(int cache, const char *path, const void *data, size_t len,
		      enum cachefile_sync sync, struct err *err)
{
	const char *name;
	autofree char *folder_path = folder_of(path, &name);
	autofree char *tmp = NULL;
	autoclose int fd = -1;
	autoclose int folder =
		cachefile_open_folder(cache, folder_path, true, err);

	if (folder < 0)
		return -1;
	fd = create_named(cache, 0644, &tmp, err);
	if (fd < 0)
		return -1;
	if (write_all(fd, data, len) || (sync == CACHEFILE_SYNC && fsync(fd)) ||
	    close(steal_fd(&fd)))
		err_errno(err, "cannot write %s in the cache", path);
	else if (!rename_over(cache, tmp, path, folder, name, err))
		return 0;
	unlinkat(cache, tmp, 0);
	return -1;
}

void fields_format(struct strbuf *out, const struct field *fields, size_t nr,
		   const void *record)
{
	char str[DIGEST_STR_SIZE];

	for (size_t i = 0; i < nr; i++) {
		const void *p = (const char *)record + fields[i].offset;

		strbuf_addf(out, "%s ", fields[i].key);
		switch (fields[i].kind) {
		case FIELD_DIGEST:
			strbuf_addstr(out, digest_str(p, str));
			break;
		case FIELD_MEDIA_TYPE:
			strbuf_addstr(out, media_type_name(*(
						   const enum media_type *)p));
			break;
		case FIELD_UINT:
			strbuf_addf(out, "%ju",
				    (uintmax_t) * (const uint64_t *)p);
			break;
		case FIELD_INT:
			strbuf_addf(out, "%jd",
				    (intmax_t) * (const int64_t *)p);
			break;
		case FIELD_TEXT:
			strbuf_addstr(out, p);
			break;
		case FIELD_ERR_CODE:
			strbuf_addstr(out,
				      err_code_name(*(const enum err_code *)p));
			break;
		}
		strbuf_addch(out, '\n');
	}
	strbuf_addch(out, '\n');
}

static int parse_number(const char *value, bool negative, intmax_t *out)
{
	char *end;

	if (!*value || (*value == '-' && !negative) ||
	    strspn(value, "-0123456789") != strlen(value))
		return -1;
	errno = 0;
	*out = strtoimax(value, &end, 10);
	return errno || *end ? -1 : 0;
}

static int parse_value(const struct field *field, void *p, const char *value)
{
	struct err err;
	intmax_t number;

	switch (field->kind) {
	case FIELD_DIGEST:
		return digest_parse(p, value, strlen(value), &err);
	case FIELD_MEDIA_TYPE:
		*(enum media_type *)p = media_type_parse(value);
		return *(enum media_type *)p == MEDIA_NONE &&
				       strcmp(value,
					      media_type_name(MEDIA_NONE))
			       ? -1
			       : 0;
	case FIELD_UINT:
		if (parse_number(value, false, &number))
			return -1;
		*(uint64_t *)p = (uint64_t)number;
		return 0;
	case FIELD_INT:
		if (parse_number(value, true, &number))
			return -1;
		*(int64_t *)p = number;
		return 0;
	case FIELD_TEXT:
		if (strlen(value) >= field->size)
			return -1;
		memcpy(p, value, strlen(value) + 1);
		return 0;
	case FIELD_ERR_CODE:
		*(enum err_code *)p = err_code_parse(value);
		return 0;
	}
	return -1;
}

int fields_parse(const struct field *fields, size_t nr, void *record,
		 const char *text, size_t len, size_t *used, const char *name,
		 struct err *err)
{
	const char *p = text, *end = text + len;

	for (size_t i = 0; i < nr; i++) {
		size_t key_len = strlen(fields[i].key);
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		autofree char *value = NULL;

		if (!eol || (size_t)(eol - p) <= key_len ||
		    memcmp(p, fields[i].key, key_len) || p[key_len] != ' ')
			return err_set(err, ERR_MALFORMED,
				       "%s in the cache: line %zu is not %s",
				       name, i + 1, fields[i].key);
		value = xstrndup(p + key_len + 1,
				 (size_t)(eol - p) - key_len - 1);
		if (parse_value(&fields[i], (char *)record + fields[i].offset,
				value))
			return err_set(err, ERR_MALFORMED,
				       "%s in the cache: bad value of %s", name,
				       fields[i].key);
		p = eol + 1;
	}
	if (p == end || *p != '\n')
		return err_set(err, ERR_MALFORMED,
			       "%s in the cache: line %zu should be empty",
			       name, nr + 1);
	if (used)
		*used = (size_t)(p + 1 - text);
	return 0;
}
