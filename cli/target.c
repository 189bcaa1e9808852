// SPDX-License-Identifier: MIT
#include "cli/target.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/flakeref.h"
#include "common/git.h"
#include "common/limits.h"
#include "common/spawn.h"
#include "common/strbuf.h"

#include "common/banned.h"

#define GIT_TIMEOUT_MS 10000

/* RFC 3986, 3.1: a scheme and a colon. A folder may have one after "./". */
static bool has_scheme(const char *text)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz0123456789+";

	return *text != '+' && text[strspn(text, chars)] == ':' && *text != ':';
}

/* Is a folder, or one above it, a git repository, as Nix looks for one? */
static bool is_in_git(const char *folder)
{
	autofree char *path = xstrdup(folder);

	for (;;) {
		autofree char *git = xasprintf("%s/.git", path);
		char *slash = strrchr(path, '/');

		if (!access(git, F_OK))
			return true;
		if (!slash || slash == path)
			return false;
		*slash = 0;
	}
}

static void keep(void *arg, const char *data, size_t len)
{
	strbuf_add(arg, data, len);
}

/*
 * Does git read it? Nix would only say that git failed, when the repository
 * is another user's, say. The first line of git's error tells why.
 */
static int check_git(const char *folder, struct err *err)
{
	const char *const argv[] = { "git", "-C", folder, "rev-parse", NULL };
	autostrbuf out = STRBUF_INIT, said = STRBUF_INIT;
	const struct spawn_run run = {
		.argv = argv,
		.on_stderr = keep,
		.arg = &said,
		.out_max = SMALL_FILE_MAX,
		.timeout_ms = GIT_TIMEOUT_MS,
	};
	int status;

	if (spawn_run(&run, &out, &status, err) < 0)
		return -1;
	if (status)
		return err_set(err, ERR_REFUSED, "git does not read %s: %.*s",
			       folder, (int)strcspn(said.buf, "\n"), said.buf);
	return 0;
}

/* A work tree as git+file:, where any character can be written. */
static int git_url(const char *path, char **url, struct err *err)
{
	autostrbuf top = STRBUF_INIT, prefix = STRBUF_INIT;
	autostrbuf text = STRBUF_INIT;

	if (git_top_level(path, &top, &prefix, err) < 0)
		return -1;
	strbuf_addstr(&text, "git+file://");
	url_encode(&text, top.buf);
	if (prefix.len) {
		strbuf_addstr(&text, "?dir=");
		url_encode(&text, prefix.buf);
	}
	*url = strbuf_detach(&text, NULL);
	return 0;
}

static int folder_url(const char *text, const char *prefix, char **url,
		      struct err *err)
{
	autofree char *path = realpath(text, NULL), *file = NULL;

	if (!path)
		return err_errno(err, "there is no flake %s", text);
	file = xasprintf("%s/flake.nix", path);
	if (access(file, R_OK))
		return err_errno(err, "there is no flake in %s: flake.nix",
				 path);
	if (!*prefix && is_in_git(path)) {
		if (check_git(path, err) < 0)
			return -1;
		if (!flakeref_is_plain_path(path))
			return git_url(path, url, err);
	} else if (!flakeref_is_plain_path(path)) {
		return err_set(err, ERR_REFUSED,
			       "Nix takes no folder that has blanks or odd "
			       "characters in its path unless it is a git "
			       "repository: %s",
			       path);
	}
	*url = xasprintf("%s%s", prefix, path);
	return 0;
}

int target_url(const char *text, char **url, struct err *err)
{
	autoflakeref ref = FLAKEREF_INIT;

	if (strchr(text, '#'))
		return err_set(err, ERR_MALFORMED,
			       "a whole flake is served: what is after '#' is "
			       "for clients to name");
	if (!has_scheme(text))
		return folder_url(text, "", url, err);
	if (!strncmp(text, "path:", 5) && !strchr(text, '?'))
		return folder_url(text + 5, "path:", url, err);
	if (flakeref_parse(&ref, text, err) < 0)
		return -1;
	*url = xstrdup(text);
	return 0;
}
