// SPDX-License-Identifier: MIT
#include "common/archivereader.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/decompressor.h"
#include "common/limits.h"
#include "common/strbuf.h"
#include "common/xz.h"

#include "common/banned.h"

/* Bytes that are read at a time. */
#define PIECE_SIZE (256u << 10)

void archive_reader_release(struct archive_reader *r)
{
	if (r->a)
		archive_read_free(r->a);
	xz_free(r->xz);
	free(r->piece);
}

void archive_member_release(struct archive_member *m)
{
	free(m->name);
	free(m->target);
	*m = (struct archive_member){ .name = NULL };
}

int archive_reader_error(const struct archive_reader *r, struct err *err)
{
	const char *message = archive_error_string(r->a);

	if (r->header_too_long)
		return err_set(err, ERR_MALFORMED,
			       "%s: a member's header of more than %u bytes",
			       r->file, ARCHIVE_HEADER_MAX);
	if (archive_errno(r->a) == ENOMEM)
		abort();
	/* The disk's, and not the archive's. */
	if (archive_errno(r->a) == EIO)
		return err_set(err, ERR_SYSTEM, "cannot read %s: %s", r->file,
			       message ? message : "input/output error");
	return err_set(err, ERR_MALFORMED, "%s: %s", r->file,
		       message ? message : "cannot be read as an archive");
}

/*
 * What fd is compressed in, by its magic; -1 if that cannot be read. Frames of
 * zstd that hold nothing, which pzstd begins with, have sixteen magics.
 */
static int filter_of(int fd)
{
	static const struct {
		const char *magic;
		size_t len;
		int filter;
	} rows[] = {
		{ "\x1f\x8b", 2, ARCHIVE_FILTER_GZIP },
		{ "\xfd\x37zXZ", 6, ARCHIVE_FILTER_XZ },
		{ "BZh", 3, ARCHIVE_FILTER_BZIP2 },
	};
	char magic[6] = "";
	ssize_t n = pread_all(fd, magic, sizeof(magic), 0);

	if (n < 0)
		return -1;
	if (compression_of_magic(magic, (size_t)n) == COMPRESSION_ZSTD)
		return ARCHIVE_FILTER_ZSTD;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (n >= (ssize_t)rows[i].len &&
		    !memcmp(magic, rows[i].magic, rows[i].len))
			return rows[i].filter;
	return ARCHIVE_FILTER_NONE;
}

static ssize_t read_xz(struct archive *a, struct archive_reader *r,
		       const void **data)
{
	struct err err = ERR_INIT;
	ssize_t n =
		xz_read(r->xz, r->fd, r->piece, PIECE_SIZE, &r->nr_in, &err);

	r->too_much = n < 0 && err.code == ERR_REFUSED;
	if (n < 0)
		archive_set_error(a, err.code == ERR_SYSTEM ? EIO : EINVAL,
				  "%s", err.msg);
	*data = r->piece;
	return n;
}

/* For libarchive, which would read a header of any length. */
static ssize_t read_piece(struct archive *a, void *reader, const void **data)
{
	struct archive_reader *r = reader;
	ssize_t n;

	if (r->xz)
		return read_xz(a, r, data);
	do
		n = read(r->fd, r->piece, PIECE_SIZE);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		archive_set_error(a, EIO, "%s", strerror(errno));
		return -1;
	}
	if ((size_t)n > r->left) {
		r->header_too_long = true;
		archive_set_error(a, EINVAL, "a header is too long");
		return -1;
	}
	r->left -= (size_t)n;
	r->nr_in += (uint64_t)n;
	*data = r->piece;
	return n;
}

static int64_t skip(struct archive *a, void *reader, int64_t len)
{
	const struct archive_reader *r = reader;

	return r->xz || lseek(r->fd, len, SEEK_CUR) < 0 ? 0 : len;
}

/*
 * It has one filter, which libarchive is told and does not look for: some
 * run programs, and it would put one on another, of which a second may take
 * many GB from the first and give nothing, so that no count of what comes out
 * ends it. A tar that is looked for members has none, whatever its first
 * member is called.
 */
int archive_reader_open(struct archive_reader *r, const char *file, int fd,
			bool raw, struct err *err)
{
	int filter = raw ? filter_of(fd) : ARCHIVE_FILTER_NONE;

	r->file = file;
	r->fd = fd;
	r->piece = xmalloc(PIECE_SIZE);
	r->left = SIZE_MAX;
	r->a = archive_read_new();
	if (!r->a)
		abort();
	if (filter < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(err, "%s", file);
	r->compressed = filter != ARCHIVE_FILTER_NONE;
	if (filter == ARCHIVE_FILTER_XZ)
		r->xz = xz_new();
	if ((r->compressed && !r->xz &&
	     archive_read_append_filter(r->a, filter) != ARCHIVE_OK) ||
	    (raw ? archive_read_support_format_raw(r->a)
		 : archive_read_support_format_tar(r->a)) != ARCHIVE_OK)
		return err_set(err, ERR_SYSTEM,
			       "libarchive cannot read gzip, zstd or bzip2 by "
			       "itself");
	if (archive_read_open2(r->a, r, NULL, read_piece, skip, NULL) !=
	    ARCHIVE_OK)
		return archive_reader_error(r, err);
	return 0;
}

char *archive_name(const char *dir, const char *name)
{
	autostrbuf out = STRBUF_INIT;

	if (*name == '/')
		return NULL;
	if (dir)
		strbuf_addstr(&out, dir);
	for (const char *p = name; *p;) {
		size_t len = strcspn(p, "/");

		if (len == 2 && p[0] == '.' && p[1] == '.') {
			char *slash = strrchr(out.buf, '/');

			if (!dir || !out.len)
				return NULL;
			out.len = slash ? (size_t)(slash - out.buf) : 0;
			out.buf[out.len] = 0;
		} else if (len && !(len == 1 && *p == '.')) {
			if (out.len)
				strbuf_addch(&out, '/');
			strbuf_add(&out, p, len);
		}
		p += len + (p[len] == '/');
	}
	return out.len ? strbuf_detach(&out, NULL) : NULL;
}

/* Where a link leads, NULL if out of the archive. */
static char *link_target(const struct archive_member *m,
			 struct archive_entry *entry)
{
	const char *target, *slash;
	autofree char *dir = NULL;

	if (m->type == MEMBER_HARDLINK) {
		target = archive_entry_hardlink(entry);
		return target ? archive_name(NULL, target) : NULL;
	}
	target = archive_entry_symlink(entry);
	if (!target)
		return NULL;
	slash = strrchr(m->name, '/');
	dir = xstrndup(m->name, slash ? (size_t)(slash - m->name) : 0);
	return archive_name(dir, target);
}

int archive_reader_next(struct archive_reader *r, struct archive_member *m,
			struct err *err)
{
	struct archive_entry *entry;
	const char *name;
	int rc;

	archive_member_release(m);
	do {
		r->left = ARCHIVE_HEADER_MAX;
		rc = archive_read_next_header(r->a, &entry);
		if (rc == ARCHIVE_EOF)
			return 0;
		if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
			return archive_reader_error(r, err);
		name = archive_entry_pathname(entry);
		if (!name)
			name = archive_entry_pathname_utf8(entry);
		if (!name)
			return err_set(err, ERR_MALFORMED,
				       "%s: a member whose name cannot be read",
				       r->file);
	} while (!strcmp(name, ".") || !strcmp(name, "./"));
	m->name = archive_name(NULL, name);
	if (!m->name)
		return err_set(err, ERR_MALFORMED,
			       "%s: member '%s': expected a relative name "
			       "without \"..\"",
			       r->file, name);
	if (archive_entry_hardlink(entry))
		m->type = MEMBER_HARDLINK;
	else if (archive_entry_sparse_count(entry) > 0)
		m->type = MEMBER_SPARSE;
	else if (archive_entry_filetype(entry) == AE_IFREG)
		m->type = MEMBER_FILE;
	else if (archive_entry_filetype(entry) == AE_IFLNK)
		m->type = MEMBER_SYMLINK;
	else
		m->type = MEMBER_OTHER;
	if (m->type == MEMBER_SYMLINK || m->type == MEMBER_HARDLINK)
		m->target = link_target(m, entry);
	m->offset = (uint64_t)archive_filter_bytes(r->a, 0);
	m->size = archive_entry_size(entry) > 0
			  ? (uint64_t)archive_entry_size(entry)
			  : 0;
	return 1;
}
