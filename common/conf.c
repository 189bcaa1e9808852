// SPDX-License-Identifier: MIT
#include "common/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/index.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/store.h"

#include "common/banned.h"

/* No user has the number 2^32 - 1: it stands for "unchanged" in chown(2). */
#define OWNER_MAX (UINT32_MAX - 1)

static int expected(const struct conf *conf, const char *key, const char *what,
		    struct err *err)
{
	struct json_object *value;

	if (!json_object_object_get_ex(conf->json, key, &value))
		return err_set(err, ERR_MALFORMED,
			       "%s: key '%s': expected %s, but it is missing",
			       conf->file, key, what);
	if (json_object_is_type(value, json_type_string) ||
	    json_object_is_type(value, json_type_int))
		return err_set(err, ERR_MALFORMED,
			       "%s: key '%s': expected %s, not '%.100s'",
			       conf->file, key, what,
			       json_object_get_string(value));
	return err_set(err, ERR_MALFORMED, "%s: key '%s': expected %s, not %s",
		       conf->file, key, what, json_kind(value));
}

static bool has(const struct conf *conf, const char *key)
{
	return json_object_object_get_ex(conf->json, key, NULL);
}

/* A path in the store, or null. */
static int want_path(const struct conf *conf, const char *key, const char **out,
		     struct err *err)
{
	if (json_want_string(conf->json, key, out, conf->file, err))
		return -1;
	if (*out && !store_has_path(*out))
		return expected(conf, key, "a path in " STORE_DIR, err);
	return 0;
}

/* Every element of the array at key[i] or, for ours, key is a store path. */
static int check_paths(const struct conf *conf, struct json_object *array,
		       const char *key, struct err *err)
{
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		const char *path = json_string_at(array, i);

		if (!path || !store_has_path(path))
			return err_set(
				err, ERR_MALFORMED,
				"%s: key '%s[%zu]': expected a path in "
				"%s, not %s",
				conf->file, key, i, STORE_DIR,
				path ? path
				     : json_kind(json_object_array_get_idx(
					       array, i)));
	}
	return 0;
}

static int read_store_layers(struct conf *conf, struct err *err)
{
	if (json_need_array(conf->json, "store_layers", &conf->store_layers,
			    conf->file, err))
		return -1;
	if (json_object_array_length(conf->store_layers) > IMAGE_LAYERS_MAX)
		return err_set(err, ERR_MALFORMED,
			       "%s: key 'store_layers': more than %u layers",
			       conf->file, IMAGE_LAYERS_MAX);
	for (size_t i = 0; i < json_object_array_length(conf->store_layers);
	     i++) {
		struct json_object *layer =
			json_object_array_get_idx(conf->store_layers, i);
		autofree char *key = xasprintf("store_layers[%zu]", i);

		if (!json_object_is_type(layer, json_type_array) ||
		    !json_object_array_length(layer))
			return err_set(
				err, ERR_MALFORMED,
				"%s: key '%s': expected an array of "
				"store paths, not %s",
				conf->file, key,
				json_object_is_type(layer, json_type_array)
					? "an empty one"
					: json_kind(layer));
		if (check_paths(conf, layer, key, err))
			return -1;
	}
	return 0;
}

/* What only ours has. */
static int read_roots(struct conf *conf, struct err *err)
{
	if (json_need_array(conf->json, "roots", &conf->roots, conf->file,
			    err) ||
	    check_paths(conf, conf->roots, "roots", err) ||
	    json_need_int(conf->json, "maxLayers", &conf->max_layers,
			  conf->file, err) ||
	    json_want_bool(conf->json, "includeStorePaths",
			   &conf->include_store_paths, conf->file, err))
		return -1;
	if (conf->max_layers < 1)
		return expected(conf, "maxLayers", "a number of at least 1",
				err);
	return 0;
}

static int read_layers(struct conf *conf, struct err *err)
{
	if (want_path(conf, "from_image", &conf->from_image, err) ||
	    want_path(conf, "customisation_layer", &conf->customisation_layer,
		      err))
		return -1;
	if (!has(conf, "store_layers"))
		return read_roots(conf, err);
	if (!conf->customisation_layer)
		return expected(conf, "customisation_layer",
				"a path in " STORE_DIR, err);
	return read_store_layers(conf, err);
}

/* ISO 8601, or now. */
static int want_time(const struct conf *conf, const char *key, int64_t now,
		     struct isotime *out, struct err *err)
{
	const char *text = NULL;
	struct err why = ERR_INIT;

	if (json_want_string(conf->json, key, &text, conf->file, err))
		return -1;
	if (!text)
		return 0;
	if (!strcmp(text, "now")) {
		isotime_from_seconds(out, now);
		return 0;
	}
	if (isotime_parse(out, text, &why))
		return expected(conf, key,
				"\"now\" or a time like "
				"2024-02-29T12:34:56+02:00",
				err);
	return 0;
}

static int read_times(struct conf *conf, int64_t now, struct err *err)
{
	struct isotime mtime;
	const char *created;

	if (json_need_string(conf->json, "created", &created, conf->file,
			     err) ||
	    want_time(conf, "created", now, &conf->created, err))
		return -1;
	mtime = conf->created;
	if (want_time(conf, "mtime", now, &mtime, err))
		return -1;
	conf->options.mtime = isotime_seconds(&mtime);
	if (conf->options.mtime < 0)
		return expected(conf, has(conf, "mtime") ? "mtime" : "created",
				"a time since 1970", err);
	return 0;
}

/* A number, or a string of digits. */
static int want_owner(const struct conf *conf, const char *key, uint64_t *out,
		      struct err *err)
{
	static const char what[] = "a user's or group's number";
	struct json_object *value;
	const char *text;
	char *end;

	if (!json_object_object_get_ex(conf->json, key, &value) || !value)
		return 0;
	if (!json_object_is_type(value, json_type_int) &&
	    !json_object_is_type(value, json_type_string))
		return expected(conf, key, what, err);
	text = json_object_get_string(value);
	errno = 0;
	*out = strtoull(text, &end, 10);
	if (errno || *text < '0' || *text > '9' || *end || *out > OWNER_MAX ||
	    (json_object_is_type(value, json_type_string) &&
	     strlen(text) != (size_t)json_object_get_string_len(value)))
		return expected(conf, key, what, err);
	return 0;
}

static int read_options(struct conf *conf, struct err *err)
{
	struct tar_options *o = &conf->options;
	/* The first generation has none of the keys that came later. */
	bool first = conf->store_layers && !has(conf, "uid") &&
		     !has(conf, "gid") && !has(conf, "uname") &&
		     !has(conf, "gname") && !has(conf, "mtime");

	o->dialect = TAR_DOCKERTOOLS;
	o->nix_mode = first ? 0555 : 0755;
	o->uname = "root";
	o->gname = "root";
	if (want_owner(conf, "uid", &o->uid, err) ||
	    want_owner(conf, "gid", &o->gid, err) ||
	    json_want_string(conf->json, "uname", &o->uname, conf->file, err) ||
	    json_want_string(conf->json, "gname", &o->gname, conf->file, err))
		return -1;
	return 0;
}

static int read_image(struct conf *conf, struct err *err)
{
	const char *store_dir = NULL;

	conf->os = "linux";
	if (json_need_string(conf->json, "architecture", &conf->architecture,
			     conf->file, err) ||
	    json_want_string(conf->json, "os", &conf->os, conf->file, err) ||
	    json_want_object(conf->json, "config", &conf->config, conf->file,
			     err) ||
	    json_want_string(conf->json, "repo_tag", &conf->repo_tag,
			     conf->file, err) ||
	    json_need_string(conf->json, "store_dir", &store_dir, conf->file,
			     err))
		return -1;
	if (!platform_is_word(conf->architecture))
		return expected(conf, "architecture", "a GOARCH such as amd64",
				err);
	if (!platform_is_word(conf->os))
		return expected(conf, "os", "a GOOS such as linux", err);
	if (!has(conf, "config"))
		return expected(conf, "config", "an object or null", err);
	if (strcmp(store_dir, STORE_DIR) != 0)
		return expected(conf, "store_dir", STORE_DIR, err);
	return 0;
}

int conf_read(struct conf *conf, const char *file, int64_t now, struct err *err)
{
	autoclose int fd = -1;

	*conf = (struct conf){ .file = file, .include_store_paths = true };
	fd = store_open(file, O_RDONLY, err);
	if (fd < 0 || json_read(&conf->json, fd, CONF_MAX, file, err))
		return -1;
	if (read_image(conf, err) || read_layers(conf, err) ||
	    read_times(conf, now, err) || read_options(conf, err)) {
		conf_release(conf);
		return -1;
	}
	return 0;
}

void conf_release(struct conf *conf)
{
	json_object_put(conf->json);
	conf->json = NULL;
}

/* Does the file begin as an object does? 1, 0, or -1 and err. */
static int begins_object(int fd, const char *file, struct err *err)
{
	char head[64];
	ssize_t n = pread_all(fd, head, sizeof(head), 0);

	if (n < 0)
		return err_errno(err, "cannot read %s", file);
	for (ssize_t i = 0; i < n; i++)
		if (!strchr(" \t\r\n", head[i]) || !head[i])
			return head[i] == '{';
	return 0;
}

int conf_matches(const char *file, struct err *err)
{
	autoclose int fd = store_open(file, O_RDONLY | O_NONBLOCK, err);
	const char *dot = strrchr(file, '-');
	struct err why = ERR_INIT;
	struct conf conf = CONF_INIT;
	struct stat st;
	int rc;

	if (fd < 0)
		return err->code == ERR_REFUSED ? 0 : -1;
	if (fstat(fd, &st))
		return err_errno(err, "%s", file);
	if (!S_ISREG(st.st_mode))
		return 0;
	if (dot && !strcmp(dot, "-conf.json"))
		return 1;
	if (st.st_size > CONF_MAX)
		return 0;
	rc = begins_object(fd, file, err);
	if (rc <= 0)
		return rc;
	if (json_read(&conf.json, fd, CONF_MAX, file, &why))
		return why.code == ERR_MALFORMED ? 0 : (*err = why, -1);
	rc = has(&conf, "store_layers") || has(&conf, "customisation_layer") ||
	     (has(&conf, "roots") && has(&conf, "maxLayers"));
	conf_release(&conf);
	return rc;
}
