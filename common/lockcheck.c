// SPDX-License-Identifier: MIT
#include "common/lockcheck.h"

#include <stdbool.h>
#include <string.h>

#include "common/json.h"
#include "common/log.h"

#include "common/banned.h"

#define LOCK "flake.lock"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* Of a name or a path in the message: it is the flake's own text. */
#define SHOWN_MAX 200

static int refuse(const char *input, const char *what, const char *path,
		  struct err *err)
{
	autostrbuf name = STRBUF_INIT, where = STRBUF_INIT;

	text_clean(&name, input, strnlen(input, SHOWN_MAX));
	text_clean(&where, path, strnlen(path, SHOWN_MAX));
	return err_set(err, ERR_REFUSED,
		       "the flake's input %s is %s (%s): flakes may not name "
		       "what this host has, unless sandbox-eval = no in "
		       "flakehub.conf trusts them",
		       name.buf, what, where.buf);
}

/* "sub/dir", and not "../dir": in the flake's own source. */
static bool is_inside(const char *path)
{
	if (*path == '/')
		return false;
	for (const char *p = path; *p; p += strcspn(p, "/")) {
		p += strspn(p, "/");
		if (!strncmp(p, "..", 2) && (!p[2] || p[2] == '/'))
			return false;
	}
	return true;
}

/* "file:///a", "git+file:/a", "/a", "./a": no host is asked for it. */
static bool is_file_url(const char *url)
{
	size_t scheme = strspn(url, LETTERS "0123456789+-.");

	if (!scheme || !strchr(LETTERS, *url) || url[scheme] != ':')
		return true;
	return (scheme == 4 && !strncasecmp(url, "file", 4)) ||
	       (scheme >= 5 && !strncasecmp(url + scheme - 5, "+file", 5));
}

static int check_locked(const char *input, struct json_object *locked,
			struct err *err)
{
	const char *type, *url = NULL, *path = NULL;

	if (json_need_string(locked, "type", &type, LOCK, err))
		return -1;
	if (!strcmp(type, "indirect"))
		return refuse(input, "a name of a registry", type, err);
	if (!strcmp(type, "path")) {
		if (json_need_string(locked, "path", &path, LOCK, err))
			return -1;
		return is_inside(path) ? 0
				       : refuse(input, "a folder of this host",
						path, err);
	}
	if (json_want_string(locked, "url", &url, LOCK, err))
		return -1;
	if (url && is_file_url(url))
		return refuse(input, "a file of this host", url, err);
	return 0;
}

int lockcheck_inputs(struct json_object *locks, struct err *err)
{
	struct json_object *nodes;

	if (!json_object_object_get_ex(locks, "nodes", &nodes))
		return 0;
	if (!json_object_is_type(nodes, json_type_object))
		return err_set(err, ERR_MALFORMED, LOCK ": nodes is no object");
	json_object_object_foreach(nodes, name, node)
	{
		struct json_object *locked;

		if (!json_object_is_type(node, json_type_object))
			return err_set(err, ERR_MALFORMED,
				       LOCK ": a node is no object");
		if (!json_object_object_get_ex(node, "locked", &locked))
			continue;
		if (!json_object_is_type(locked, json_type_object))
			return err_set(err, ERR_MALFORMED,
				       LOCK ": locked is no object");
		if (check_locked(name, locked, err))
			return -1;
	}
	return 0;
}
