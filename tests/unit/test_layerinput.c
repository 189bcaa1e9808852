// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/json.h"
#include "tests/unit/check.h"
#include "tests/unit/layerfixture.h"

#include "common/banned.h"

static void check_json(const struct layer_input *input)
{
	autojson *json = layer_input_to_json(input), *again = NULL;
	struct layer_input back;
	struct digest key, key_back;
	autostrbuf text = STRBUF_INIT, text_back = STRBUF_INIT;
	struct err err;

	if (layer_input_from_json(&back, json, &err))
		fail_msg("%s", err.msg);
	again = layer_input_to_json(&back);
	json_format_compact(&text, json);
	json_format_compact(&text_back, again);
	check_str("JSON", text_back.buf, text.buf);
	layer_input_key(input, COMPRESSION_GZIP, &key);
	layer_input_key(&back, COMPRESSION_GZIP, &key_back);
	assert_true(digest_equal(&key, &key_back));
	layer_input_release(&back);
}

static void test_json(void **state)
{
	static const char *const names[] = { "aaa-a", "bbb-b", NULL };
	static const char *const none[] = { NULL };
	struct layer_input paths = input_of(LAYER_STORE_PATHS, names);
	struct layer_input member = input_of(LAYER_MEMBER, none);
	struct layer_input tree = input_of(LAYER_TREE, names);
	struct json_object *json;
	struct layer_input back;
	struct err err;

	check_json(&paths);
	member.file = xstrdup("/nix/store/ccc-c/image.tar");
	member.member = xstrdup("x/layer.tar");
	member.comment = xstrdup("store paths: []");
	promise(&member, "x", 1);
	check_json(&member);
	tree.blob.size = 1024;
	check_json(&tree);
	json = layer_input_to_json(&paths);
	json_object_object_add(json, "dialect", json_object_new_string("gnu"));
	assert_int_equal(layer_input_from_json(&back, json, &err), -1);
	check_str("message", err.msg,
		  "a layer of a record: gnu is no known dialect");
	json_object_put(json);
	layer_input_release(&paths);
	layer_input_release(&member);
	layer_input_release(&tree);
}

static void check_keys_differ(const char *name, const struct layer_input *input,
			      const struct digest *other)
{
	struct digest key;

	layer_input_key(input, COMPRESSION_GZIP, &key);
	check(name, !digest_equal(&key, other));
}

static void test_keys(void **state)
{
	static const char *const names[] = { "aaa-a", "bbb-b", NULL };
	struct layer_input input = input_of(LAYER_STORE_PATHS, names);
	struct tar_options options = input.options;
	struct digest gzip, zstd;

	layer_input_key(&input, COMPRESSION_GZIP, &gzip);
	layer_input_key(&input, COMPRESSION_ZSTD, &zstd);
	assert_false(digest_equal(&gzip, &zstd));
#define DIFFER(field, value)                                                   \
	do {                                                                   \
		input.options.field = (value);                                 \
		check_keys_differ(#field, &input, &gzip);                      \
		input.options = options;                                       \
	} while (0)
	DIFFER(dialect, TAR_NIX2CONTAINER);
	DIFFER(nix_mode, 0555);
	DIFFER(mtime, 0);
	DIFFER(uid, 1);
	DIFFER(gid, 1);
	DIFFER(uname, "x");
	DIFFER(gname, "x");
	input.nr_paths = 1;
	check_keys_differ("paths", &input, &gzip);
	input.nr_paths = 2;
	input.kind = LAYER_LINKS;
	check_keys_differ("kind", &input, &gzip);
	input.kind = LAYER_STORE_PATHS;
	input.paths[1].nar_hash[7] = 'x';
	check_keys_differ("narHash", &input, &gzip);
	layer_input_release(&input);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
