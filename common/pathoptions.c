// SPDX-License-Identifier: MIT
#include "common/pathoptions.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/pattern.h"

#include "common/banned.h"

struct perm {
	struct pattern *pattern;
	const char *mode, *or_mode; /* octal, or "" */
	mode_t mode_bits, or_bits;
	int64_t uid, gid;
	const char *uname, *gname; /* or "" */
};

struct path_options {
	struct json_object *perms_json; /* NULL for none */
	struct pattern *rewrite;	/* NULL: names stay */
	const char *replacement;
	struct perm *perms;
	size_t nr;
};

void path_options_free(struct path_options *options)
{
	if (!options)
		return;
	pattern_free(options->rewrite);
	for (size_t i = 0; i < options->nr; i++)
		pattern_free(options->perms[i].pattern);
	free(options->perms);
	free(options);
}

/* A key that is not known may change the bytes in a way that is not known. */
static int check_keys(struct json_object *json, const char *const *keys,
		      const char *name, struct err *err)
{
	json_object_object_foreach(json, key, value)
	{
		const char *const *k = keys;

		(void)value;
		while (*k && strcmp(*k, key))
			k++;
		if (!*k)
			return err_set(err, ERR_REFUSED,
				       "%s: the option '%s' is not known", name,
				       key);
	}
	return 0;
}

static int read_mode(const char *text, mode_t *bits, const char *name,
		     struct err *err)
{
	*bits = 0;
	if (!*text)
		return 0;
	if (strspn(text, "01234567") != strlen(text) || strlen(text) > 6 ||
	    strtoul(text, NULL, 8) > 07777)
		return err_set(err, ERR_MALFORMED,
			       "%s: mode '%s': expected octal digits", name,
			       text);
	*bits = (mode_t)strtoul(text, NULL, 8);
	return 0;
}

static int read_owner(struct json_object *json, const char *key, int64_t *id,
		      const char *name, struct err *err)
{
	if (json_want_int(json, key, id, name, err))
		return -1;
	if (*id >= 0 && *id < UINT32_MAX)
		return 0;
	return err_set(err, ERR_MALFORMED, "%s: %s: expected a user's number",
		       name, key);
}

static int read_perm(struct perm *perm, struct json_object *json,
		     struct pattern_budget *budget, const char *name,
		     struct err *err)
{
	static const char *const keys[] = { "regex", "mode",  "orMode", "uid",
					    "gid",   "uname", "gname",	NULL };
	const char *regex;

	perm->mode = perm->or_mode = perm->uname = perm->gname = "";
	if (json_need_string(json, "regex", &regex, name, err) ||
	    check_keys(json, keys, name, err) ||
	    json_want_string(json, "mode", &perm->mode, name, err) ||
	    json_want_string(json, "orMode", &perm->or_mode, name, err) ||
	    read_owner(json, "uid", &perm->uid, name, err) ||
	    read_owner(json, "gid", &perm->gid, name, err) ||
	    json_want_string(json, "uname", &perm->uname, name, err) ||
	    json_want_string(json, "gname", &perm->gname, name, err) ||
	    read_mode(perm->mode, &perm->mode_bits, name, err) ||
	    read_mode(perm->or_mode, &perm->or_bits, name, err))
		return -1;
	return pattern_new(&perm->pattern, regex, budget, err);
}

static int read_rewrite(struct path_options *o, struct json_object *json,
			struct pattern_budget *budget, const char *name,
			struct err *err)
{
	static const char *const keys[] = { "regex", "repl", NULL };
	const char *regex = "";

	o->replacement = "";
	if (check_keys(json, keys, name, err) ||
	    json_want_string(json, "regex", &regex, name, err) ||
	    json_want_string(json, "repl", &o->replacement, name, err))
		return -1;
	return *regex ? pattern_new(&o->rewrite, regex, budget, err) : 0;
}

static int read_options(struct path_options *o, struct json_object *json,
			struct pattern_budget *budget, const char *name,
			struct err *err)
{
	static const char *const keys[] = { "rewrite", "perms", NULL };
	struct json_object *rewrite = NULL;

	if (check_keys(json, keys, name, err) ||
	    json_want_object(json, "rewrite", &rewrite, name, err) ||
	    json_want_array(json, "perms", &o->perms_json, name, err) ||
	    (rewrite && read_rewrite(o, rewrite, budget, name, err)))
		return -1;
	if (!o->perms_json)
		return 0;
	o->perms = xcalloc(json_object_array_length(o->perms_json) + 1,
			   sizeof(*o->perms));
	while (o->nr < json_object_array_length(o->perms_json)) {
		struct json_object *perm =
			json_object_array_get_idx(o->perms_json, o->nr);

		if (read_perm(&o->perms[o->nr++], perm, budget, name, err))
			return -1;
	}
	return 0;
}

int path_options_new(struct path_options **options, struct json_object *json,
		     struct pattern_budget *budget, const char *name,
		     struct err *err)
{
	struct path_options *o = xcalloc(1, sizeof(*o));

	if (!read_options(o, json, budget, name, err)) {
		*options = o;
		return 0;
	}
	path_options_free(o);
	*options = NULL;
	return err_wrap(err, "%s", name);
}

bool path_options_same_perms(const struct path_options *a,
			     const struct path_options *b)
{
	struct json_object *x = a && a->nr ? a->perms_json : NULL;
	struct json_object *y = b && b->nr ? b->perms_json : NULL;

	return x == y || (x && y && json_object_equal(x, y));
}

int path_options_rewrite(const struct path_options *options, const char *path,
			 struct strbuf *name, struct err *err)
{
	if (options && options->rewrite)
		return pattern_replace(options->rewrite, path,
				       options->replacement, name, err);
	strbuf_addstr(name, path);
	return 0;
}

int path_options_apply(const struct path_options *options, const char *path,
		       struct tar_options *owner, mode_t *mode, struct err *err)
{
	for (size_t i = 0; options && i < options->nr; i++) {
		const struct perm *perm = &options->perms[i];
		int rc = pattern_matches(perm->pattern, path, err);

		if (rc < 0)
			return -1;
		if (!rc)
			continue;
		owner->uid = (uint64_t)perm->uid;
		owner->gid = (uint64_t)perm->gid;
		if (*perm->uname)
			owner->uname = perm->uname;
		if (*perm->gname)
			owner->gname = perm->gname;
		if (*perm->mode)
			*mode = perm->mode_bits;
		*mode |= perm->or_bits;
	}
	return 0;
}
