// SPDX-License-Identifier: MIT
#include "cli/webserver.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/limits.h"

#include "common/banned.h"

/* The makefile knows of this file, too. */
__asm__(".pushsection .rodata\n"
	"lighttpd_conf_example:\n"
	".incbin \"lighttpd.conf.example\"\n"
	".byte 0\n"
	".popsection\n");
extern const char example[] __asm__("lighttpd_conf_example")
	__attribute__((visibility("hidden")));

/* A line of the example that begins so, and what stands there instead. */
struct row {
	const char *start;
	char *line; /* "" for nothing */
	bool is_found;
};

/* s in the double quotes of lighttpd's strings. */
static char *quoted(const char *s)
{
	autostrbuf out = STRBUF_INIT;

	strbuf_addch(&out, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			strbuf_addch(&out, '\\');
		strbuf_addch(&out, *s);
	}
	strbuf_addch(&out, '"');
	return strbuf_detach(&out, NULL);
}

static struct row *find_row(struct row *rows, size_t nr, const char *line)
{
	line += strspn(line, "\t");
	for (size_t i = 0; i < nr; i++)
		if (!strncmp(line, rows[i].start, strlen(rows[i].start)))
			return &rows[i];
	return NULL;
}

static void substitute(struct strbuf *out, struct row *rows, size_t nr)
{
	const char *line, *next;

	for (line = example; *line; line = next) {
		struct row *row = find_row(rows, nr, line);

		next = strchrnul(line, '\n');
		next += *next == '\n';
		if (*line == '#')
			continue;
		if (!row) {
			strbuf_add(out, line, (size_t)(next - line));
			continue;
		}
		row->is_found = true;
		strbuf_addstr(out, row->line);
	}
}

#define LOG "lighttpd.log"

void webserver_format(struct strbuf *out, const struct webserver *w)
{
	autofree char *blobs_path = xasprintf("%s/blobs", w->cache_dir);
	autofree char *log_path = xasprintf("%s/" LOG, w->directory);
	autofree char *host = quoted(w->host), *blobs = quoted(blobs_path);
	autofree char *socket = quoted(w->socket), *log = quoted(log_path);
	autofree char *directory = quoted(w->directory);
	struct row rows[] = {
		{ "server.port ", xasprintf("server.port = %s\n", w->port),
		  false },
		{ "server.bind ", xasprintf("server.bind = %s\n", host),
		  false },
		/* As whoever runs this, and ended by us. */
		{ "server.username ", xstrdup(""), false },
		{ "server.groupname ", xstrdup(""), false },
		{ "server.pid-file ", xstrdup(""), false },
		{ "server.errorlog ",
		  w->debug ? xstrdup("")
			   : xasprintf("server.errorlog = %s\n", log),
		  false },
		{ "accesslog.filename ",
		  xasprintf("accesslog.filename = \"%s\"\n",
			    w->debug ? "/dev/stderr" : "/dev/null"),
		  false },
		{ "server.document-root ",
		  xasprintf("server.document-root = %s\n"
			    "server.upload-dirs = (%s)\n",
			    blobs, directory),
		  false },
		{ "\"socket\" ", xasprintf("\t\"socket\" => %s,\n", socket),
		  false },
		{ "\"x-sendfile-docroot\" ",
		  xasprintf("\t\"x-sendfile-docroot\" => (%s),\n", blobs),
		  false },
	};

	substitute(out, rows, ARRAY_SIZE(rows));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert(rows[i].is_found);
		free(rows[i].line);
	}
}

int webserver_ended(const char *directory, struct err *err)
{
	autofree char *path = xasprintf("%s/" LOG, directory);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	autostrbuf text = STRBUF_INIT;
	struct err ignored = ERR_INIT;
	const char *line;

	if (fd < 0 ||
	    strbuf_read(&text, fd, WEBSERVER_LOG_MAX, path, &ignored) < 0)
		return err_set(err, ERR_SYSTEM, "lighttpd ended");
	while (text.len && text.buf[text.len - 1] == '\n')
		text.buf[--text.len] = 0;
	line = strrchr(text.buf, '\n');
	return err_set(err, ERR_SYSTEM, "lighttpd ended: %s",
		       line ? line + 1 : text.buf);
}
