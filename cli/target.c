// SPDX-License-Identifier: MIT
#include "cli/target.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/flakeref.h"

#include "common/banned.h"

/* RFC 3986, 3.1: a scheme and a colon. A folder may have one after "./". */
static bool has_scheme(const char *text)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz0123456789+";

	return *text != '+' && text[strspn(text, chars)] == ':' && *text != ':';
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
	if (strpbrk(path, "#? \t\n%"))
		return err_set(err, ERR_REFUSED,
			       "Nix takes no flake from a folder with a "
			       "blank, '#', '?' or '%%' in its path: %s",
			       path);
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
