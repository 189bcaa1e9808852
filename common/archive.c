// SPDX-License-Identifier: MIT
#include "common/archive.h"

#include <archive.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/archivereader.h"
#include "common/limits.h"
#include "common/store.h"
#include "common/tarstart.h"

#include "common/banned.h"

/* Bytes that go through at a time. */
#define PIECE_SIZE (256u << 10)

/*
 * An archive laid open: a tar, without what it was compressed in, and where
 * its members lie. Which file it is of is told by more than its path, since
 * outside the store files change.
 */
struct open_archive {
	struct open_archive *next;
	size_t users;
	struct stat st;
	int fd; /* of the tar */
	uint64_t size;
	struct archive_member *members; /* sorted by name */
	size_t nr, alloc;
	size_t names_len; /* of all names and targets */
};

/* How many stay open that nobody uses: an image has one, or a base besides. */
#define KEPT 2

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct open_archive *archives; /* the last used first */
static int spool_folder = -1;

void archive_set_spool(int folder)
{
	spool_folder = folder;
}

static int compare_members(const void *a, const void *b)
{
	return strcmp(((const struct archive_member *)a)->name,
		      ((const struct archive_member *)b)->name);
}

static int add_member(struct open_archive *o, const char *file,
		      struct archive_member *m, struct err *err)
{
	if (o->nr == ARCHIVE_MEMBERS_MAX)
		return err_set(err, ERR_MALFORMED, "%s: more than %u members",
			       file, ARCHIVE_MEMBERS_MAX);
	o->names_len += strlen(m->name) + (m->target ? strlen(m->target) : 0);
	if (o->names_len > ARCHIVE_NAMES_MAX)
		return err_set(err, ERR_MALFORMED,
			       "%s: its members' names have more than %u bytes",
			       file, ARCHIVE_NAMES_MAX);
	if (m->type == MEMBER_FILE &&
	    (m->offset > o->size || m->size > o->size - m->offset))
		return err_set(err, ERR_MALFORMED,
			       "%s: member '%s' has more bytes than the "
			       "archive: it is cut off",
			       file, m->name);
	ALLOC_GROW(o->members, o->nr, o->alloc);
	o->members[o->nr++] = *m;
	*m = (struct archive_member){ .name = NULL };
	return 0;
}

static int list(struct open_archive *o, const char *file, struct err *err)
{
	autoarchivereader r = ARCHIVE_READER_INIT;
	autoarchivemember m = { .name = NULL };
	int more;

	if (archive_reader_open(&r, file, o->fd, false, err))
		return -1;
	while ((more = archive_reader_next(&r, &m, err)) > 0)
		if (add_member(o, file, &m, err))
			return -1;
	if (more < 0)
		return -1;
	if (o->nr)
		qsort(o->members, o->nr, sizeof(*o->members), compare_members);
	for (size_t i = 1; i < o->nr; i++) {
		const struct archive_member *a = &o->members[i - 1], *b = a + 1;

		if (!strcmp(a->name, b->name) &&
		    (a->type != MEMBER_OTHER || b->type != MEMBER_OTHER))
			return err_set(err, ERR_MALFORMED,
				       "%s: two members named '%s'", file,
				       a->name);
	}
	return 0;
}

/*
 * Is it a tar at all, in whatever compression? 1, 0, or -1. It is told by its
 * first 512 bytes: libarchive would read all of a header, which may be as long
 * as a bomb.
 */
static int is_tar(const char *file, int fd, bool *compressed, struct err *err)
{
	autoarchivereader r = ARCHIVE_READER_INIT;
	char header[TAR_BLOCK];
	struct archive_entry *entry;
	struct err none = ERR_INIT;

	if (archive_reader_open(&r, file, fd, true, &none)) {
		if (none.code == ERR_MALFORMED && !r.too_much)
			return 0;
		*err = none;
		return -1;
	}
	*compressed = r.compressed;
	if (archive_read_next_header(r.a, &entry) == ARCHIVE_OK &&
	    archive_read_data(r.a, header, sizeof(header)) == sizeof(header))
		return tar_is_header(header);
	return r.too_much ? archive_reader_error(&r, err) : 0;
}

/* A file without a name to put the tar into. */
static int spool_create(struct err *err)
{
	int fd = spool_folder < 0
			 ? open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)
			 : openat(spool_folder, ".",
				  O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char name[] = ".spool";

	if (fd >= 0)
		return fd;
	/* As on NFS. The lock is held, so the name is free. */
	fd = openat(spool_folder < 0 ? AT_FDCWD : spool_folder, name,
		    O_CREAT | O_TRUNC | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(err, "cannot make a file to unpack to");
	unlinkat(spool_folder < 0 ? AT_FDCWD : spool_folder, name, 0);
	return fd;
}

/* Does len bytes become more than an honest archive does? */
static int check_expansion(const struct archive_reader *r, uint64_t len,
			   struct err *err)
{
	if (len <= EXPANSION_FREE || len / EXPANSION_MAX <= r->nr_in)
		return 0;
	return err_set(err, ERR_MALFORMED,
		       "%s expands to more than %u times its size", r->file,
		       EXPANSION_MAX);
}

/* Decompress all of fd into a file of its own, which is returned. */
static int spool(const char *file, int fd, struct err *err)
{
	autofree char *piece = xmalloc(PIECE_SIZE);
	autoarchivereader r = ARCHIVE_READER_INIT;
	struct archive_entry *entry;
	uint64_t len = 0;
	autoclose int out = spool_create(err);

	if (out < 0 || archive_reader_open(&r, file, fd, true, err))
		return -1;
	if (archive_read_next_header(r.a, &entry) != ARCHIVE_OK)
		return archive_reader_error(&r, err);
	for (;;) {
		ssize_t n = archive_read_data(r.a, piece, PIECE_SIZE);

		if (!n)
			return steal_fd(&out);
		if (n < 0)
			return archive_reader_error(&r, err);
		len += (uint64_t)n;
		if (check_expansion(&r, len, err))
			return -1;
		if (write_all(out, piece, (size_t)n))
			return err_errno(err, "cannot unpack %s", file);
	}
}

static void open_archive_free(struct open_archive *o)
{
	if (o->fd >= 0)
		close(o->fd);
	for (size_t i = 0; i < o->nr; i++)
		archive_member_release(&o->members[i]);
	free(o->members);
	free(o);
}

/* Lay it open. 1, 0 if it is no archive, -1 and err. */
static int lay_open(struct open_archive **out, const char *file, int *fd,
		    const struct stat *st, struct err *err)
{
	struct open_archive *o;
	bool compressed = false;
	struct stat tar;
	int rc = is_tar(file, *fd, &compressed, err);

	if (rc <= 0)
		return rc;
	o = xcalloc(1, sizeof(*o));
	o->st = *st;
	o->fd = compressed ? spool(file, *fd, err) : steal_fd(fd);
	if (o->fd >= 0 && fstat(o->fd, &tar))
		err_errno(err, "%s", file);
	else if (o->fd >= 0) {
		o->size = (uint64_t)tar.st_size;
		if (!list(o, file, err)) {
			*out = o;
			return 1;
		}
	}
	open_archive_free(o);
	return -1;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	       a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Close those that were used the longest ago. */
static void forget_locked(void)
{
	struct open_archive **p = &archives;
	size_t unused = 0;

	while (*p) {
		struct open_archive *o = *p;

		if (o->users || unused++ < KEPT) {
			p = &o->next;
			continue;
		}
		*p = o->next;
		open_archive_free(o);
	}
}

static void archive_put(struct open_archive **o)
{
	if (!*o)
		return;
	pthread_mutex_lock(&lock);
	(*o)->users--;
	forget_locked();
	pthread_mutex_unlock(&lock);
}
#define autoopenarchive                                                        \
	__attribute__((cleanup(archive_put))) struct open_archive

static int get_locked(struct open_archive **out, const char *file,
		      struct err *err)
{
	autoclose int fd = store_open(file, O_RDONLY | O_NONBLOCK, err);
	struct stat st;
	int rc = 1;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st))
		return err_errno(err, "%s", file);
	if (!S_ISREG(st.st_mode))
		return 0;
	for (struct open_archive **p = &archives; *p; p = &(*p)->next) {
		if (!is_same(&(*p)->st, &st))
			continue;
		*out = *p;
		*p = (*p)->next;
		break;
	}
	if (!*out)
		rc = lay_open(out, file, &fd, &st, err);
	if (rc <= 0)
		return rc;
	(*out)->next = archives;
	archives = *out;
	(*out)->users++;
	return 1;
}

/* Find or lay open; 1, 0 if it is no archive, or -1. */
static int archive_get(struct open_archive **out, const char *file,
		       struct err *err)
{
	int rc;

	*out = NULL;
	pthread_mutex_lock(&lock);
	rc = get_locked(out, file, err);
	pthread_mutex_unlock(&lock);
	return rc;
}

int archive_check(const char *file, struct err *err)
{
	autoarchivereader r = ARCHIVE_READER_INIT;
	struct err why = ERR_INIT;
	autoclose int fd = store_open(file, O_RDONLY | O_NONBLOCK, &why);
	struct archive_entry *entry;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return 0;
	if (!archive_reader_open(&r, file, fd, true, &why) &&
	    archive_read_next_header(r.a, &entry) == ARCHIVE_OK)
		return 0;
	if (!r.compressed || why.code == ERR_SYSTEM)
		return 0;
	/* In libarchive's words it is an archive of an unknown format. */
	return err_set(err, ERR_MALFORMED,
		       "%s begins as gzip, zstd, xz or bzip2 does, but nothing "
		       "can be unpacked from it: it is cut off, broken or "
		       "empty, or takes too much memory",
		       file);
}

static int archive_need(struct open_archive **out, const char *file,
			struct err *err)
{
	int rc = archive_get(out, file, err);

	if (rc)
		return rc < 0 ? -1 : 0;
	if (archive_check(file, err))
		return -1;
	return err_set(err, ERR_MALFORMED,
		       "%s: expected a tar, or one in gzip, zstd, xz or bzip2",
		       file);
}

static const struct archive_member *find(const struct open_archive *o,
					 char *name)
{
	const struct archive_member key = { .name = name };

	return o->nr ? bsearch(&key, o->members, o->nr, sizeof(key),
			       compare_members)
		     : NULL;
}

/*
 * The member that has the bytes of name, found through links. ERR_UNKNOWN if
 * there is none of that name.
 */
static const struct archive_member *resolve(const struct open_archive *o,
					    const char *file, const char *name,
					    struct err *err)
{
	autofree char *wanted = archive_name(NULL, name);
	char *next = wanted;

	for (int i = 0; next && i <= ARCHIVE_LINKS_MAX; i++) {
		const struct archive_member *m = find(o, next);

		if (m && m->type == MEMBER_FILE)
			return m;
		if (m && m->type == MEMBER_SPARSE) {
			err_set(err, ERR_MALFORMED,
				"%s: member '%s' is a sparse file", file, next);
			return NULL;
		}
		if (!m || m->type == MEMBER_OTHER) {
			err_set(err, i ? ERR_MALFORMED : ERR_UNKNOWN,
				i ? "%s: member '%s' is a link to '%s', which "
				    "is not there"
				  : "%s has no member '%s'",
				file, name, next);
			return NULL;
		}
		next = m->target;
	}
	err_set(err, ERR_MALFORMED,
		next	 ? "%s: member '%s': links in a loop"
		: wanted ? "%s: member '%s' is a link out of the archive"
			 : "%s: member '%s': expected a relative name "
			   "without \"..\"",
		file, name);
	return NULL;
}

static int stream_data(const struct open_archive *o, const char *file,
		       const struct archive_member *m, archive_sink *sink,
		       void *arg, struct err *err)
{
	autofree char *piece = xmalloc(PIECE_SIZE);

	for (uint64_t done = 0; done < m->size;) {
		uint64_t left = m->size - done;
		ssize_t n = pread(o->fd, piece,
				  left < PIECE_SIZE ? left : PIECE_SIZE,
				  (off_t)(m->offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_errno(err, "cannot read %s", file);
		if (sink(arg, piece, (size_t)n, err))
			return -1;
		done += (uint64_t)n;
	}
	return 0;
}

int archive_has(const char *file, const char *member, struct err *err)
{
	autoopenarchive *o = NULL;
	autofree char *name = archive_name(NULL, member);
	int rc = archive_get(&o, file, err);

	return rc <= 0 ? rc : name && find(o, name);
}

int archive_resolve(const char *file, const char *member, char **name,
		    struct err *err)
{
	autoopenarchive *o = NULL;
	const struct archive_member *m;

	if (archive_need(&o, file, err))
		return -1;
	m = resolve(o, file, member, err);
	if (!m)
		return -1;
	*name = xstrdup(m->name);
	return 0;
}

int archive_stream(const char *file, const char *member, archive_sink *sink,
		   void *arg, struct err *err)
{
	autoopenarchive *o = NULL;
	const struct archive_member *m;

	if (archive_need(&o, file, err))
		return -1;
	m = resolve(o, file, member, err);
	return m ? stream_data(o, file, m, sink, arg, err) : -1;
}

struct text_sink {
	struct strbuf *text;
	size_t max;
	const char *name;
};

static int add_text(void *arg, const void *data, size_t len, struct err *err)
{
	struct text_sink *sink = arg;

	if (len > sink->max - sink->text->len)
		return err_set(err, ERR_MALFORMED, "%s has more than %zu bytes",
			       sink->name, sink->max);
	strbuf_add(sink->text, data, len);
	return 0;
}

int archive_read(const char *file, const char *member, size_t max,
		 struct strbuf *text, const char *name, struct err *err)
{
	struct text_sink sink = { .text = text, .max = max, .name = name };

	strbuf_reset(text);
	return archive_stream(file, member, add_text, &sink, err);
}
