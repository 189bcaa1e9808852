// SPDX-License-Identifier: MIT
#include "common/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/store.h"

#include "common/banned.h"

/* Bytes of a member that go through at a time. */
#define PIECE_SIZE (256u << 10)

/* An archive that is being read from its start. */
struct reader {
	struct archive *a;
	int fd;
	const char *file;
};

enum member_type { MEMBER_FILE, MEMBER_SYMLINK, MEMBER_HARDLINK, MEMBER_OTHER };

/* What an archive's header says of a member. */
struct member {
	char *name;
	char *target; /* of a link: the member it leads to, or NULL */
	enum member_type type;
};

static void reader_release(struct reader *r)
{
	if (r->a)
		archive_read_free(r->a);
	cleanup_close(&r->fd);
}
#define autoreader __attribute__((cleanup(reader_release))) struct reader
#define READER_INIT                                                            \
	{                                                                      \
		.a = NULL, .fd = -1, .file = NULL                              \
	}

static void member_release(struct member *m)
{
	free(m->name);
	free(m->target);
	*m = (struct member){ .name = NULL };
}
#define automember __attribute__((cleanup(member_release))) struct member

static int libarchive_error(const struct reader *r, struct err *err)
{
	const char *message = archive_error_string(r->a);

	if (archive_errno(r->a) == ENOMEM)
		abort();
	return err_set(err, ERR_MALFORMED, "%s: %s", r->file,
		       message ? message : "cannot be read as an archive");
}

/* The filters are named one by one: some of the others run programs. */
static int reader_open(struct reader *r, const char *file, struct err *err)
{
	r->file = file;
	r->fd = store_open(file, O_RDONLY, err);
	if (r->fd < 0)
		return -1;
	r->a = archive_read_new();
	if (!r->a)
		abort();
	if (archive_read_support_filter_gzip(r->a) != ARCHIVE_OK ||
	    archive_read_support_filter_zstd(r->a) != ARCHIVE_OK ||
	    archive_read_support_filter_xz(r->a) != ARCHIVE_OK ||
	    archive_read_support_filter_bzip2(r->a) != ARCHIVE_OK ||
	    archive_read_support_format_tar(r->a) != ARCHIVE_OK)
		return err_set(err, ERR_SYSTEM,
			       "libarchive cannot read gzip, zstd, xz or bzip2 "
			       "by itself");
	if (archive_read_open_fd(r->a, r->fd, PIECE_SIZE) != ARCHIVE_OK)
		return libarchive_error(r, err);
	return 0;
}

/*
 * A name as it is compared: without "." components, double and trailing
 * slashes. NULL if it is absolute, has a "..", or nothing is left; the folder
 * that a symlink is in may be put before it, and ".." then goes up from there.
 */
static char *normalise(const char *dir, const char *name)
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
static char *link_target(const struct member *m, struct archive_entry *entry)
{
	const char *target, *slash;
	autofree char *dir = NULL;

	if (m->type == MEMBER_HARDLINK) {
		target = archive_entry_hardlink(entry);
		return target ? normalise(NULL, target) : NULL;
	}
	target = archive_entry_symlink(entry);
	if (!target)
		return NULL;
	slash = strrchr(m->name, '/');
	dir = xstrndup(m->name, slash ? (size_t)(slash - m->name) : 0);
	return normalise(dir, target);
}

/*
 * The next member; the folder that all others are in is passed over. 1 if
 * there is one, 0 at the end, -1 and err.
 */
static int reader_next(struct reader *r, struct member *m, struct err *err)
{
	struct archive_entry *entry;
	const char *name;
	int rc;

	member_release(m);
	do {
		rc = archive_read_next_header(r->a, &entry);
		if (rc == ARCHIVE_EOF)
			return 0;
		if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
			return libarchive_error(r, err);
		name = archive_entry_pathname(entry);
		if (!name)
			name = archive_entry_pathname_utf8(entry);
		if (!name)
			return err_set(err, ERR_MALFORMED,
				       "%s: a member whose name cannot be read",
				       r->file);
	} while (!strcmp(name, ".") || !strcmp(name, "./"));
	m->name = normalise(NULL, name);
	if (!m->name)
		return err_set(err, ERR_MALFORMED,
			       "%s: member '%s': expected a relative name "
			       "without \"..\"",
			       r->file, name);
	if (archive_entry_hardlink(entry))
		m->type = MEMBER_HARDLINK;
	else if (archive_entry_filetype(entry) == AE_IFREG)
		m->type = MEMBER_FILE;
	else if (archive_entry_filetype(entry) == AE_IFLNK)
		m->type = MEMBER_SYMLINK;
	else
		m->type = MEMBER_OTHER;
	if (m->type == MEMBER_SYMLINK || m->type == MEMBER_HARDLINK)
		m->target = link_target(m, entry);
	return 1;
}

static int stream_data(struct reader *r, const char *member,
		       int (*sink)(void *, const void *, size_t, struct err *),
		       void *arg, struct err *err)
{
	autofree char *piece = xmalloc(PIECE_SIZE);

	for (;;) {
		ssize_t n = archive_read_data(r->a, piece, PIECE_SIZE);

		if (!n)
			return 0;
		if (n < 0) {
			libarchive_error(r, err);
			return err_wrap(err, "member '%s'", member);
		}
		if (sink(arg, piece, (size_t)n, err))
			return -1;
	}
}

/*
 * One pass: 0 if *wanted went to sink, 1 if it is a link, and *wanted is then
 * where it leads.
 */
static int stream_pass(const char *file, char **wanted,
		       int (*sink)(void *, const void *, size_t, struct err *),
		       void *arg, struct err *err)
{
	autoreader r = READER_INIT;
	automember m = { .name = NULL };
	int more;

	if (reader_open(&r, file, err))
		return -1;
	while ((more = reader_next(&r, &m, err)) > 0)
		if (!strcmp(m.name, *wanted) && m.type != MEMBER_OTHER)
			break;
	if (more < 0)
		return -1;
	if (!more)
		return err_set(err, ERR_UNKNOWN, "%s has no member '%s'", file,
			       *wanted);
	if (m.type == MEMBER_FILE)
		return stream_data(&r, m.name, sink, arg, err);
	if (!m.target)
		return err_set(err, ERR_MALFORMED,
			       "%s: member '%s' is a link out of the archive",
			       file, m.name);
	free(*wanted);
	*wanted = steal_ptr(&m.target);
	return 1;
}

int archive_stream(const char *file, const char *member,
		   int (*sink)(void *arg, const void *data, size_t len,
			       struct err *err),
		   void *arg, struct err *err)
{
	autofree char *wanted = normalise(NULL, member);

	if (!wanted)
		return err_set(err, ERR_MALFORMED,
			       "%s: member '%s': expected a relative name "
			       "without \"..\"",
			       file, member);
	for (int i = 0; i <= ARCHIVE_LINKS_MAX; i++) {
		int rc = stream_pass(file, &wanted, sink, arg, err);

		if (rc < 0 && i && err->code == ERR_UNKNOWN) {
			err->code = ERR_MALFORMED;
			return err_wrap(err, "member '%s' is a link", member);
		}
		if (rc <= 0)
			return rc;
	}
	return err_set(err, ERR_MALFORMED, "%s: member '%s': links in a loop",
		       file, member);
}

/* All members of an archive, sorted by name. */
struct listing {
	struct member *members;
	size_t nr, alloc;
};

static void listing_release(struct listing *l)
{
	for (size_t i = 0; i < l->nr; i++)
		member_release(&l->members[i]);
	free(l->members);
}
#define autolisting __attribute__((cleanup(listing_release))) struct listing

static int compare_members(const void *a, const void *b)
{
	return strcmp(((const struct member *)a)->name,
		      ((const struct member *)b)->name);
}

static int list(struct listing *l, const char *file, struct err *err)
{
	autoreader r = READER_INIT;
	automember m = { .name = NULL };
	int more;

	if (reader_open(&r, file, err))
		return -1;
	while ((more = reader_next(&r, &m, err)) > 0) {
		if (l->nr == ARCHIVE_MEMBERS_MAX)
			return err_set(err, ERR_MALFORMED,
				       "%s: more than %u members", file,
				       ARCHIVE_MEMBERS_MAX);
		ALLOC_GROW(l->members, l->nr, l->alloc);
		l->members[l->nr++] = m;
		m = (struct member){ .name = NULL };
	}
	if (more < 0)
		return -1;
	if (l->nr)
		qsort(l->members, l->nr, sizeof(*l->members), compare_members);
	for (size_t i = 1; i < l->nr; i++) {
		const struct member *a = &l->members[i - 1], *b = a + 1;

		if (!strcmp(a->name, b->name) &&
		    (a->type != MEMBER_OTHER || b->type != MEMBER_OTHER))
			return err_set(err, ERR_MALFORMED,
				       "%s: two members named '%s'", file,
				       a->name);
	}
	return 0;
}

/* The member that has the bytes of name, found through links. */
static const struct member *resolve(const struct listing *l, const char *file,
				    const char *name, struct err *err)
{
	autofree char *wanted = normalise(NULL, name);
	struct member key = { .name = wanted };

	for (int i = 0; key.name && i <= ARCHIVE_LINKS_MAX; i++) {
		const struct member *m =
			l->nr ? bsearch(&key, l->members, l->nr, sizeof(key),
					compare_members)
			      : NULL;

		if (m && m->type == MEMBER_FILE)
			return m;
		if (!m || m->type == MEMBER_OTHER) {
			err_set(err, ERR_MALFORMED,
				i ? "%s: member '%s' is a link to '%s', which "
				    "is not there"
				  : "%s has no member '%s'",
				file, name, key.name);
			return NULL;
		}
		key.name = m->target;
	}
	err_set(err, ERR_MALFORMED,
		key.name ? "%s: member '%s': links in a loop"
			 : "%s: member '%s': expected a name in the archive",
		file, name);
	return NULL;
}

struct text_sink {
	struct strbuf text;
	size_t max;
	const char *name;
};

static int add_text(void *arg, const void *data, size_t len, struct err *err)
{
	struct text_sink *sink = arg;

	if (len > sink->max - sink->text.len)
		return err_set(err, ERR_MALFORMED, "%s has more than %zu bytes",
			       sink->name, sink->max);
	strbuf_add(&sink->text, data, len);
	return 0;
}

/* Parse a member of at most max bytes; name is for messages. */
static int read_json(struct json_object **json, const char *file,
		     const struct member *m, size_t max, const char *name,
		     struct err *err)
{
	struct text_sink sink = { .text = STRBUF_INIT,
				  .max = max,
				  .name = name };
	int rc = archive_stream(file, m->name, add_text, &sink, err);

	if (!rc)
		rc = json_parse(json, sink.text.buf, sink.text.len, name, err);
	strbuf_release(&sink.text);
	return rc;
}

/* The layers' names, and the members that they lead to. */
static int read_layers(struct archive_image *image, const struct listing *l,
		       const char *file, struct json_object *layers,
		       const char *name, struct err *err)
{
	size_t nr = json_object_array_length(layers);

	image->layers = xcalloc(nr ? nr : 1, sizeof(*image->layers));
	for (; image->nr < nr; image->nr++) {
		struct archive_layer *layer = &image->layers[image->nr];
		const char *s = json_string_at(layers, image->nr);
		const struct member *m;

		if (!s)
			return err_set(err, ERR_MALFORMED,
				       "%s: key 'Layers[%zu]': expected a "
				       "member's name",
				       name, image->nr);
		m = resolve(l, file, s, err);
		if (!m)
			return err_wrap(err, "key 'Layers[%zu]'", image->nr);
		layer->name = xstrdup(s);
		layer->member = xstrdup(m->name);
	}
	return 0;
}

static int read_diff_ids(struct archive_image *image, const char *name,
			 struct err *err)
{
	struct json_object *rootfs, *ids;
	size_t nr;

	if (json_need_object(image->config, "rootfs", &rootfs, name, err) ||
	    json_need_array(rootfs, "diff_ids", &ids, name, err))
		return -1;
	nr = json_object_array_length(ids);
	if (nr != image->nr)
		return err_set(err, ERR_MALFORMED,
			       "%s: key 'diff_ids': expected one for each of "
			       "the %zu layers, not %zu",
			       name, image->nr, nr);
	for (size_t i = 0; i < nr; i++) {
		const char *s = json_string_at(ids, i);
		struct err why = ERR_INIT;

		if (!s ||
		    digest_parse(&image->layers[i].diff_id, s, strlen(s), &why))
			return err_set(err, ERR_MALFORMED,
				       "%s: key 'diff_ids[%zu]': expected "
				       "\"sha256:\" and 64 hex digits",
				       name, i);
	}
	return 0;
}

static int read_config(struct archive_image *image, const struct listing *l,
		       const char *file, const char *config, struct err *err)
{
	autofree char *name = xasprintf("%s: %s", file, config);
	const struct member *m = resolve(l, file, config, err);

	if (!m)
		return err_wrap(err, "key 'Config'");
	if (read_json(&image->config, file, m, IMAGE_CONFIG_MAX, name, err))
		return -1;
	return read_diff_ids(image, name, err);
}

int archive_image_read(struct archive_image *image, const char *file,
		       struct err *err)
{
	autolisting l = { .members = NULL };
	autofree char *name = xasprintf("%s: manifest.json", file);
	autojson *manifest = NULL;
	struct json_object *first, *layers;
	const struct member *m;
	const char *config;

	*image = (struct archive_image)ARCHIVE_IMAGE_INIT;
	if (list(&l, file, err))
		return -1;
	m = resolve(&l, file, "manifest.json", err);
	if (!m ||
	    read_json(&manifest, file, m, ARCHIVE_MANIFEST_MAX, name, err))
		return -1;
	if (!json_object_is_type(manifest, json_type_array) ||
	    !json_object_array_length(manifest))
		return err_set(err, ERR_MALFORMED,
			       "%s: expected an array of one image or more",
			       name);
	first = json_object_array_get_idx(manifest, 0);
	if (json_need_string(first, "Config", &config, name, err) ||
	    json_need_array(first, "Layers", &layers, name, err) ||
	    read_layers(image, &l, file, layers, name, err) ||
	    read_config(image, &l, file, config, err)) {
		archive_image_release(image);
		return -1;
	}
	return 0;
}

void archive_image_release(struct archive_image *image)
{
	for (size_t i = 0; image->layers && i < image->nr; i++) {
		free(image->layers[i].name);
		free(image->layers[i].member);
	}
	free(image->layers);
	json_object_put(image->config);
	*image = (struct archive_image)ARCHIVE_IMAGE_INIT;
}
