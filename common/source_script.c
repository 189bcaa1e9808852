// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/limits.h"
#include "common/source_kinds.h"
#include "common/store.h"

#include "common/banned.h"

/*
 * The script that dockerTools.streamLayeredImage builds. Its last line, which
 * is never run, names the conf:
 *
 *	exec "/nix/store/…-stream"  /nix/store/…-NAME-conf.json "$@"
 */

static const char *skip_spaces(const char *p)
{
	return p + strspn(p, " \t");
}

/* The path of a conf in the line, or NULL; the caller frees it. */
static char *parse_line(const char *line)
{
	static const char suffix[] = "-conf.json";
	const size_t suffix_len = sizeof(suffix) - 1;
	const char *program, *end, *p = skip_spaces(line);
	autofree char *path = NULL;
	size_t len;

	if (strncmp(p, "exec", 4) || (p[4] != ' ' && p[4] != '\t'))
		return NULL;
	program = skip_spaces(p + 4);
	if (*program == '"')
		end = strchr(++program, '"');
	else
		end = program + strcspn(program, " \t");
	if (!end || end - program < 7 || strncmp(end - 7, "-stream", 7))
		return NULL;
	p = skip_spaces(end + (*end == '"'));
	len = strcspn(p, " \t");
	path = xstrndup(p, len);
	if (len <= suffix_len || strcmp(path + len - suffix_len, suffix) ||
	    !store_has_path(path) || store_path_len(path) != len ||
	    strncmp(skip_spaces(p + len), "\"$@\"", 4))
		return NULL;
	return steal_ptr(&path);
}

/*
 * The conf that the script at path runs its program with; *conf is NULL if it
 * is no such script.
 */
static int find_conf(const char *path, char **conf, struct err *err)
{
	autoclose int fd = store_open(path, O_RDONLY | O_NONBLOCK, err);
	char text[SCRIPT_LINE_MAX + 1], head[2];
	struct stat st;
	ssize_t n;
	char *line;

	*conf = NULL;
	if (fd < 0)
		return err->code == ERR_REFUSED ? 0 : -1;
	if (fstat(fd, &st))
		return err_errno(err, "%s", path);
	if (!S_ISREG(st.st_mode))
		return 0;
	n = pread_all(fd, head, 2, 0);
	if (n < 0)
		return err_errno(err, "cannot read %s", path);
	if (n != 2 || memcmp(head, "#!", 2))
		return 0;
	n = pread_all(fd, text, SCRIPT_LINE_MAX,
		      st.st_size > SCRIPT_LINE_MAX
			      ? st.st_size - SCRIPT_LINE_MAX
			      : 0);
	if (n < 0)
		return err_errno(err, "cannot read %s", path);
	while (n && strchr(" \t\n", text[n - 1]))
		n--;
	text[n] = 0;
	line = strrchr(text, '\n');
	*conf = parse_line(line ? line + 1 : text);
	return 0;
}

static int matches(const struct source_output *output, struct err *err)
{
	autofree char *conf = NULL;

	if (find_conf(output->path, &conf, err))
		return -1;
	return conf != NULL;
}

static int open_script(struct source *source,
		       const struct source_output *output, struct err *err)
{
	autofree char *conf = NULL;
	struct source_output of_conf = *output;

	if (find_conf(output->path, &conf, err))
		return -1;
	if (!conf || closure_find(output->closure, conf) < 0)
		return err_set(err, ERR_MALFORMED,
			       "%s: its last line: expected a conf in the "
			       "script's closure, not %s",
			       output->path, conf ? conf : "none");
	of_conf.path = conf;
	return source_conf.open(source, &of_conf, err);
}

static int config(const struct source *source, const struct layer *layers,
		  struct strbuf *out, struct err *err)
{
	return source_conf.config(source, layers, out, err);
}

static void release(struct source *source)
{
	if (source->data)
		source_conf.release(source);
}

const struct source_kind source_script = {
	.name = "dockertools-script",
	.matches = matches,
	.open = open_script,
	.config = config,
	.release = release,
};
