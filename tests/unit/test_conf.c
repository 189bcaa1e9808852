// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/conf.h"
#include "common/json.h"
#include "common/store.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

#define HASH "00000000000000000000000000000000"
#define CONF STORE_DIR "/" HASH "-web-conf.json"
#define TOP  STORE_DIR "/" HASH "-top-customisation-layer"

static char *store;

/* Read a text as a conf that lies in the store. */
static int read_text(struct conf *conf, const struct strbuf *text,
		     struct err *err)
{
	const char *name = &CONF[strlen(STORE_DIR)];
	autofree char *real = xasprintf("%s%s", store, name);

	unlink(real);
	scratch_write(real, text->buf, text->len);
	*err = (struct err)ERR_INIT;
	return conf_read(conf, CONF, 1700000000, err);
}

static void read_reject(const char *name, struct strbuf *text)
{
	autofree char *file = xasprintf("tests/reject/%s", name);
	autoclose int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct err err;

	if (fd < 0 || strbuf_read(text, fd, 65536, file, &err))
		fail_msg("cannot read %s", file);
}

#define A_TIME "\"now\" or a time like 2024-02-29T12:34:56+02:00"

/* tests/reject/conf-NAME.json, and the message. */
static const char *const rejects[][2] = {
	{ "architecture-empty",
	  "key 'architecture': expected a GOARCH such as amd64, not ''" },
	{ "architecture-missing",
	  "key 'architecture': expected a string, but it is missing" },
	{ "architecture-of-nix",
	  "key 'architecture': expected a GOARCH such as amd64, not "
	  "'x86_64'" },
	{ "architecture-too-long",
	  "key 'architecture': expected a GOARCH such as amd64, not "
	  "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'" },
	{ "architecture-with-a-path",
	  "key 'architecture': expected a GOARCH such as amd64, not "
	  "'../..'" },
	{ "architecture-with-nul",
	  "key 'architecture': expected a string without NUL" },
	{ "config-is-a-string",
	  "key 'config': expected an object, not a string" },
	{ "config-missing",
	  "key 'config': expected an object or null, but it is missing" },
	{ "created-is-a-number",
	  "key 'created': expected a string, not a whole number" },
	{ "created-is-null", "key 'created': expected a string, not null" },
	{ "created-missing",
	  "key 'created': expected a string, but it is missing" },
	{ "created-no-such-day",
	  "key 'created': expected " A_TIME ", not '2023-02-29T00:00:00Z'" },
	{ "created-not-a-time",
	  "key 'created': expected " A_TIME ", not 'yesterday'" },
	{ "customisation-layer-is-a-list",
	  "key 'customisation_layer': expected a string, not an array" },
	{ "customisation-layer-missing",
	  "key 'customisation_layer': expected a path in /nix/store, but it is "
	  "missing" },
	{ "customisation-layer-not-in-store",
	  "key 'customisation_layer': expected a path in /nix/store, not "
	  "'/tmp/x'" },
	{ "cut-off", "line 1: expected " },
	{ "empty", "line 1: expected a value" },
	{ "from-image-goes-up", "key 'from_image': expected a path in "
				"/nix/store, not "
				"'/nix/store/../../etc/passwd'" },
	{ "from-image-not-in-store", "key 'from_image': expected a path in "
				     "/nix/store, not '/etc/passwd'" },
	{ "gid-too-large", "key 'gid': expected a user's or group's number, "
			   "not '4294967295'" },
	{ "gid-with-space",
	  "key 'gid': expected a user's or group's number, not ' 1'" },
	{ "gname-is-a-list", "key 'gname': expected a string, not an array" },
	{ "include-store-paths-is-a-number",
	  "key 'includeStorePaths': expected true or false, not a whole "
	  "number" },
	{ "integer-beyond-64-bits",
	  "key 'config.Labels.n': an integer beyond 64 bits" },
	{ "key-twice", "key 'architecture': the same key a second time" },
	{ "lone-surrogate", "key 'config.User': a lone surrogate" },
	{ "max-layers-is-a-fraction",
	  "key 'maxLayers': expected a whole number, not a fraction" },
	{ "max-layers-is-a-string",
	  "key 'maxLayers': expected a whole number, not a string" },
	{ "max-layers-missing",
	  "key 'maxLayers': expected a whole number, but it is missing" },
	{ "max-layers-zero",
	  "key 'maxLayers': expected a number of at least 1, not '0'" },
	{ "mtime-before-1970", "key 'mtime': expected a time since 1970, not "
			       "'1969-12-31T23:59:59Z'" },
	{ "mtime-not-a-time", "key 'mtime': expected " A_TIME ", not '1970'" },
	{ "not-an-object", "expected an object, not an array" },
	{ "not-json", "line 1: expected a value" },
	{ "nul-in-key", "key 'config.a': a NUL in a key" },
	{ "os-empty", "key 'os': expected a GOOS such as linux, not ''" },
	{ "os-is-a-number", "key 'os': expected a string, not a whole number" },
	{ "os-with-a-path",
	  "key 'os': expected a GOOS such as linux, not '../..'" },
	{ "repo-tag-is-a-list",
	  "key 'repo_tag': expected a string, not an array" },
	{ "roots-is-a-string", "key 'roots': expected an array, not a string" },
	{ "roots-missing",
	  "key 'roots': expected an array, but it is missing" },
	{ "roots-not-in-store",
	  "key 'roots[0]': expected a path in /nix/store, not /etc" },
	{ "roots-of-numbers",
	  "key 'roots[1]': expected a path in /nix/store, not a whole number" },
	{ "roots-relative",
	  "key 'roots[0]': expected a path in /nix/store, not a" },
	{ "roots-store-itself",
	  "key 'roots[0]': expected a path in /nix/store, not /nix/store/" },
	{ "store-dir-elsewhere",
	  "key 'store_dir': expected /nix/store, not '/gnu/store'" },
	{ "store-dir-missing",
	  "key 'store_dir': expected a string, but it is missing" },
	{ "store-layers-empty-layer",
	  "key 'store_layers[1]': expected an array of store paths, not an "
	  "empty one" },
	{ "store-layers-is-an-object",
	  "key 'store_layers': expected an array, not an object" },
	{ "store-layers-not-in-store",
	  "key 'store_layers[0][0]': expected a path in /nix/store, not "
	  "/etc/passwd" },
	{ "store-layers-of-numbers",
	  "key 'store_layers[1][1]': expected a path in /nix/store, not a "
	  "whole number" },
	{ "store-layers-of-strings",
	  "key 'store_layers[0]': expected an array of store paths, not a "
	  "string" },
	{ "store-layers-too-many",
	  "key 'store_layers': more than 1000 layers" },
	{ "two-values", "line 1: expected nothing after the value" },
	{ "uid-empty",
	  "key 'uid': expected a user's or group's number, not ''" },
	{ "uid-is-a-fraction",
	  "key 'uid': expected a user's or group's number, not a fraction" },
	{ "uid-is-a-name",
	  "key 'uid': expected a user's or group's number, not 'root'" },
	{ "uid-negative",
	  "key 'uid': expected a user's or group's number, not '-1'" },
	{ "uname-is-a-number",
	  "key 'uname': expected a string, not a whole number" },
};

static void test_rejects(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rejects); i++) {
		autoconf conf = CONF_INIT;
		autofree char *name = xasprintf("conf-%s.json", rejects[i][0]);
		autofree char *want = xasprintf("%s: %s", CONF, rejects[i][1]);
		autostrbuf text = STRBUF_INIT;
		struct err err;

		read_reject(name, &text);
		if (!read_text(&conf, &text, &err))
			fail_msg("%s: accepted", name);
		check(name, err.code == ERR_MALFORMED);
		/* Where a cut text ends is not what is tested. */
		if (!strcmp(rejects[i][0], "cut-off"))
			err.msg[strlen(want)] = 0;
		check_str(name, err.msg, want);
	}
}

static void test_rejects_are_all(void **state)
{
	DIR *dir = opendir("tests/reject");
	const struct dirent *entry;
	size_t nr = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		nr += !strncmp(entry->d_name, "conf-", 5);
	closedir(dir);
	assert_int_equal(nr, ARRAY_SIZE(rejects));
}

/* Each key with a value of each type that it may not have. */
static void test_wrong_types(void **state)
{
	static const char *const values[] = { "null",  "true", "7", "1.5",
					      "\"x\"", "[7]",  "{}" };
	/* Which of the values are right for a key. */
	static const struct {
		const char *key, *right;
	} keys[] = {
		{ "architecture", "\"x\"" },
		{ "os", "null \"x\"" },
		{ "config", "null {}" },
		{ "store_dir", "" },
		{ "from_image", "null" },
		{ "roots", "" },
		{ "maxLayers", "7" },
		{ "includeStorePaths", "null true" },
		{ "customisation_layer", "null" },
		{ "repo_tag", "null \"x\"" },
		{ "created", "" },
		{ "mtime", "null" },
		{ "uid", "null 7" },
		{ "gid", "null 7" },
		{ "uname", "null \"x\"" },
		{ "gname", "null \"x\"" },
		{ "store_layers", "" },
	};
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(keys) * ARRAY_SIZE(values); i++) {
		const char *key = keys[i / ARRAY_SIZE(values)].key;
		const char *value = values[i % ARRAY_SIZE(values)];
		bool right = strstr(keys[i / ARRAY_SIZE(values)].right, value);
		const char *text = "{\"architecture\":\"amd64\",\"config\":{},"
				   "\"store_dir\":\"/nix/"
				   "store\",\"roots\":[],\"maxLayers\":9,"
				   "\"created\":\"now\"}";
		autojson *json = NULL, *json_value = NULL;
		autofree char *name = xasprintf("%s = %s", key, value);
		autofree char *part = xasprintf("key '%s", key);
		autoconf conf = CONF_INIT;
		autostrbuf json_text = STRBUF_INIT;

		if (json_parse(&json, text, strlen(text), "t", &err) ||
		    json_parse(&json_value, value, strlen(value), "t", &err))
			fail_msg("%s", err.msg);
		json_object_object_add(json, key, json_object_get(json_value));
		if (!strcmp(key, "store_layers"))
			json_object_object_add(json, "customisation_layer",
					       json_object_new_string(TOP));
		json_format_compact(&json_text, json);
		check(name,
		      read_text(&conf, &json_text, &err) == (right ? 0 : -1));
		check(name, right || err.code == ERR_MALFORMED);
		check(name, right || strstr(err.msg, part));
	}
}

static int setup(void **state)
{
	store = scratch_make();
	store_set_real_dir(store);
	return 0;
}

static int teardown(void **state)
{
	scratch_remove(store);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rejects),
		cmocka_unit_test(test_rejects_are_all),
		cmocka_unit_test(test_wrong_types),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
