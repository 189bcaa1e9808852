// SPDX-License-Identifier: MIT
#include "common/tar.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/utf8.h"

#include "common/banned.h"

/* POSIX.1-2017, pax, ustar Interchange Format. */
struct header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char linkname[100];
	char magic[6];
	char version[2];
	char uname[32];
	char gname[32];
	char devmajor[8];
	char devminor[8];
	char prefix[155];
	char padding[12];
};
_Static_assert(sizeof(struct header) == TAR_BLOCK, "a header is one block");

/* The first number that a field of 7 or 11 octal digits cannot hold. */
#define ID_LIMIT   ((uint64_t)1 << 21)
#define SIZE_LIMIT ((uint64_t)1 << 33)

/* Python's tarfile counts its end in records of 20 blocks. */
#define RECORD (20 * TAR_BLOCK)

struct text {
	const char *s;
	size_t len;
	bool ascii;
};

static struct text text_of(const char *s, size_t len)
{
	return (struct text){ s, len, utf8_is_ascii(s, len) };
}

static bool text_fits(const struct text *text, size_t size)
{
	return text->ascii && text->len <= size;
}

static void put_octal(char *field, size_t size, uint64_t value)
{
	field[size - 1] = 0;
	for (size_t i = size - 1; i-- > 0; value >>= 3)
		field[i] = (char)('0' + (value & 7));
}
#define OCTAL(field, value) put_octal((field), sizeof(field), (value))

static void seal(struct header *h)
{
	const unsigned char *p = (const unsigned char *)h;
	unsigned int sum = 0;

	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	memset(h->checksum, ' ', sizeof(h->checksum));
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += p[i];
	put_octal(h->checksum, 7, sum);
}

static void add_zeros(struct strbuf *out, size_t len)
{
	strbuf_grow(out, len);
	memset(out->buf + out->len, 0, len + 1);
	out->len += len;
}

static size_t decimals(size_t n)
{
	size_t digits = 1;

	while (n /= 10)
		digits++;
	return digits;
}

/* "LEN key=value\n", where LEN counts itself too. */
static void add_record(struct strbuf *body, const char *key, const char *value,
		       size_t len)
{
	size_t rest = strlen(key) + len + 3;
	size_t total = rest + decimals(rest);

	if (decimals(total) != decimals(rest))
		total = rest + decimals(total);
	strbuf_addf(body, "%zu %s=", total, key);
	strbuf_add(body, value, len);
	strbuf_addch(body, '\n');
}

static void add_text_record(struct strbuf *body, const char *key,
			    const struct text *text)
{
	add_record(body, key, text->s, text->len);
}

static void add_number_record(struct strbuf *body, const char *key, bool minus,
			      uint64_t value)
{
	char s[32];
	int n = snprintf(s, sizeof(s), "%s%ju", minus ? "-" : "",
			 (uintmax_t)value);

	add_record(body, key, s, (size_t)n);
}

/* The pax header: a header of its own, and a body of records. */
static void add_pax(struct strbuf *out, struct header *h,
		    const struct strbuf *body)
{
	OCTAL(h->mode, 0);
	OCTAL(h->uid, 0);
	OCTAL(h->gid, 0);
	OCTAL(h->size, body->len);
	OCTAL(h->mtime, 0);
	h->type = 'x';
	seal(h);
	strbuf_add(out, h, sizeof(*h));
	strbuf_add(out, body->buf, body->len);
	add_zeros(out, tar_padding(body->len));
}

/* An entry as its header and records see it. */
struct fields {
	struct text name, target, uname, gname;
	uint64_t uid, gid, size;
	uint64_t mtime; /* without its sign */
	bool mtime_minus;
	mode_t mode;
	char type;
};

static void set_fields(struct fields *f, const struct tar_options *options,
		       const struct tar_entry *entry, const struct strbuf *name)
{
	static const char types[] = { '0', '2', '5' };
	const char *target = entry->type == TAR_SYMLINK ? entry->target : "";

	f->name = text_of(name->buf, name->len);
	f->target = text_of(target, strlen(target));
	f->uname = text_of(options->uname, strlen(options->uname));
	f->gname = text_of(options->gname, strlen(options->gname));
	f->uid = options->uid;
	f->gid = options->gid;
	f->size = entry->type == TAR_FILE ? entry->size : 0;
	f->mtime_minus = options->mtime < 0;
	f->mtime = f->mtime_minus ? -(uint64_t)options->mtime
				  : (uint64_t)options->mtime;
	f->mode = entry->type != TAR_SYMLINK ? entry->mode & 07777
		  : entry->link_mode	     ? entry->link_mode & 07777
					     : 0777;
	f->type = types[entry->type];
}

static bool mtime_fits(const struct fields *f)
{
	return !f->mtime_minus && f->mtime < SIZE_LIMIT;
}

/* The numbers, as both dialects write them: 0 where one is too large. */
static void put_numbers(struct header *h, const struct fields *f)
{
	OCTAL(h->mode, f->mode);
	OCTAL(h->uid, f->uid < ID_LIMIT ? f->uid : 0);
	OCTAL(h->gid, f->gid < ID_LIMIT ? f->gid : 0);
	OCTAL(h->size, f->size < SIZE_LIMIT ? f->size : 0);
	OCTAL(h->mtime, mtime_fits(f) ? f->mtime : 0);
	h->type = f->type;
}

/* Python's tarfile, PAX_FORMAT */

/* Each character that is not ASCII is a '?', then it is cut. */
static void put_python(char *field, size_t size, const struct text *text)
{
	const char *s = text->s, *end = s + text->len;

	if (text->ascii) {
		memcpy(field, s, text->len < size ? text->len : size);
		return;
	}
	for (size_t i = 0; i < size && s < end; i++) {
		uint32_t c = utf8_next(&s, end);

		field[i] = c < 0x80 ? (char)c : '?';
	}
}
#define PYTHON(field, text) put_python((field), sizeof(field), (text))

static void python_texts(struct strbuf *body, const struct fields *f)
{
	const struct {
		const char *key;
		const struct text *text;
		size_t size;
	} rows[] = {
		{ "path", &f->name, 100 },
		{ "linkpath", &f->target, 100 },
		{ "uname", &f->uname, 32 },
		{ "gname", &f->gname, 32 },
	};
	bool binary = false;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		binary |= !rows[i].text->ascii &&
			  !utf8_is_valid(rows[i].text->s, rows[i].text->len);
	if (binary)
		strbuf_addstr(body, "21 hdrcharset=BINARY\n");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (!text_fits(rows[i].text, rows[i].size))
			add_text_record(body, rows[i].key, rows[i].text);
}

static void python_numbers(struct strbuf *body, const struct fields *f)
{
	if (f->uid >= ID_LIMIT)
		add_number_record(body, "uid", false, f->uid);
	if (f->gid >= ID_LIMIT)
		add_number_record(body, "gid", false, f->gid);
	if (f->size >= SIZE_LIMIT)
		add_number_record(body, "size", false, f->size);
	if (!mtime_fits(f))
		add_number_record(body, "mtime", f->mtime_minus, f->mtime);
}

static void python_header(struct strbuf *out, const struct fields *f)
{
	struct header h = { .name = "././@PaxHeader" };
	autostrbuf body = STRBUF_INIT;

	python_texts(&body, f);
	python_numbers(&body, f);
	if (body.len)
		add_pax(out, &h, &body);
	memset(&h, 0, sizeof(h));
	put_numbers(&h, f);
	PYTHON(h.name, &f->name);
	PYTHON(h.linkname, &f->target);
	PYTHON(h.uname, &f->uname);
	PYTHON(h.gname, &f->gname);
	seal(&h);
	strbuf_add(out, &h, sizeof(h));
}

/* Go's archive/tar, format unspecified */

/* Bytes that are not ASCII are dropped, then it is cut. */
static void put_go(char *field, size_t size, const struct text *text)
{
	size_t len = 0, total = 0;

	for (size_t i = 0; i < text->len; i++) {
		if (text->s[i] & 0x80)
			continue;
		if (len < size)
			field[len++] = text->s[i];
		total++;
	}
	/* Some readers take a name that ends in '/' for a directory. */
	if (total > size && field[size - 1] == '/') {
		len = size - 1;
		while (len && field[len - 1] == '/')
			len--;
		field[len] = 0;
	}
}
#define GO(field, text) put_go((field), sizeof(field), (text))

/*
 * The length of the prefix if a name over 100 splits into prefix, '/' and a
 * name of 1 to 100; else 0.
 */
static size_t go_split(const struct text *name)
{
	size_t i = name->len;

	if (!name->ascii || name->len <= 100)
		return 0;
	if (i > 156)
		i = 156;
	while (i && name->s[i - 1] != '/')
		i--;
	/* name->s[i - 1] is the slash, and the prefix i - 1 long. */
	if (i < 2 || name->len - i > 100 || name->len == i)
		return 0;
	return i - 1;
}

/* Records are sorted by key. */
static void go_records(struct strbuf *body, const struct fields *f)
{
	if (f->gid >= ID_LIMIT)
		add_number_record(body, "gid", false, f->gid);
	if (!text_fits(&f->gname, 32))
		add_text_record(body, "gname", &f->gname);
	if (!text_fits(&f->target, 100))
		add_text_record(body, "linkpath", &f->target);
	if (!mtime_fits(f))
		add_number_record(body, "mtime", f->mtime_minus, f->mtime);
	if (!text_fits(&f->name, 100))
		add_text_record(body, "path", &f->name);
	if (f->size >= SIZE_LIMIT)
		add_number_record(body, "size", false, f->size);
	if (f->uid >= ID_LIMIT)
		add_number_record(body, "uid", false, f->uid);
	if (!text_fits(&f->uname, 32))
		add_text_record(body, "uname", &f->uname);
}

/* "DIR/PaxHeaders.0/BASE" */
static void go_pax(struct strbuf *out, const struct fields *f,
		   const struct strbuf *body)
{
	struct header h = { .name = "" };
	autostrbuf path = STRBUF_INIT;
	size_t base = f->name.len, len = 0;

	while (base && f->name.s[base - 1] != '/')
		base--;
	strbuf_add(&path, f->name.s, base);
	strbuf_addstr(&path, "PaxHeaders.0/");
	strbuf_add(&path, f->name.s + base, f->name.len - base);
	for (size_t i = 0; i < path.len && len < sizeof(h.name); i++)
		if (!(path.buf[i] & 0x80))
			h.name[len++] = path.buf[i];
	while (len && h.name[len - 1] == '/')
		h.name[--len] = 0;
	add_pax(out, &h, body);
}

static void go_header(struct strbuf *out, const struct fields *f)
{
	size_t prefix = go_split(&f->name);
	struct header h = { .name = "" };
	autostrbuf body = STRBUF_INIT;
	struct fields rest = *f;

	/* A name that splits needs no record unless another field does. */
	if (prefix)
		rest.name = text_of("", 0);
	go_records(&body, &rest);
	if (prefix && body.len) {
		strbuf_reset(&body);
		go_records(&body, f);
		prefix = 0;
	}
	if (body.len)
		go_pax(out, f, &body);
	put_numbers(&h, f);
	if (prefix) {
		memcpy(h.prefix, f->name.s, prefix);
		memcpy(h.name, f->name.s + prefix + 1,
		       f->name.len - prefix - 1);
	} else {
		GO(h.name, &f->name);
	}
	GO(h.linkname, &f->target);
	GO(h.uname, &f->uname);
	GO(h.gname, &f->gname);
	OCTAL(h.devmajor, 0);
	OCTAL(h.devminor, 0);
	seal(&h);
	strbuf_add(out, &h, sizeof(h));
}

void tar_header(struct strbuf *out, const struct tar_options *options,
		const struct tar_entry *entry)
{
	autostrbuf name = STRBUF_INIT;
	struct fields f;

	strbuf_addstr(&name, entry->name);
	if (options->dialect == TAR_DOCKERTOOLS && entry->type == TAR_DIRECTORY)
		strbuf_addch(&name, '/');
	set_fields(&f, options, entry, &name);
	if (options->dialect == TAR_DOCKERTOOLS)
		python_header(out, &f);
	else
		go_header(out, &f);
}

size_t tar_padding(uint64_t size)
{
	return (size_t)(-size & (TAR_BLOCK - 1));
}

size_t tar_end(enum tar_dialect dialect, uint64_t size)
{
	size_t zeros = 2 * TAR_BLOCK;

	if (dialect == TAR_DOCKERTOOLS)
		zeros += (RECORD - (size + zeros) % RECORD) % RECORD;
	return zeros;
}
