// SPDX-License-Identifier: MIT
/*
 * tests/golden/images.json: confs of nixpkgs' dockerTools, and the image
 * config that its own script made of each, byte for byte. Here the layers are
 * really made, from the trees that the confs name.
 */
#include "tests/unit/check.h"

#include <fcntl.h>
#include <openssl/evp.h>

#include "common/alloc.h"
#include "common/cache.h"
#include "common/json.h"
#include "common/source.h"
#include "common/store.h"
#include "tests/unit/goldentrees.h"
#include "tests/unit/scratch.h"
#include "tests/unit/closuretext.h"

#include "common/banned.h"

#define FILE_NAME "tests/golden/images.json"

static struct json_object *golden, *cases;

static const char *get(struct json_object *json, const char *key)
{
	const char *s = NULL;
	struct err err = ERR_INIT;

	if (json_want_string(json, key, &s, FILE_NAME, &err))
		fail_msg("%s", err.msg);
	return s;
}

/* A store laid out for one case, a cache, and what is known of the conf. */
struct world {
	char *dir, *store;
	struct cache cache;
	struct strbuf db; /* as nix-store --dump-db prints it */
	char *conf;
};

static void add_to_db(struct world *w, const char *path, const char *edges,
		      size_t nr)
{
	strbuf_addf(&w->db, "%s\n%064d\n1000\n\n%zu\n%s", path, 0, nr, edges);
}

static void write_base64(const char *path, const char *text)
{
	size_t len = strlen(text);
	autofree unsigned char *data = xmalloc(len + 1);
	int n = EVP_DecodeBlock(data, (const unsigned char *)text, (int)len);

	assert_true(n > 0);
	while (len && text[--len] == '=')
		n--;
	scratch_write(path, data, (unsigned long)n);
}

/* The customisation layer: its tar, and the digest of that. */
static void lay_out_top(const struct world *w, struct json_object *c,
			const char *path)
{
	autofree char *dir =
		xasprintf("%s%s", w->store, path + strlen(STORE_DIR));
	autofree char *tar = xasprintf("%s/layer.tar", dir);
	autofree char *checksum = xasprintf("%s/checksum", dir);
	autoclose int fd = -1;
	autostrbuf data = STRBUF_INIT;
	struct digest digest;
	struct err err;
	char hex[DIGEST_HEX_SIZE];

	scratch_mkdir(dir);
	write_base64(tar, get(c, "customisation_layer_tar_base64"));
	fd = open(tar, O_RDONLY | O_CLOEXEC);
	assert_int_equal(strbuf_read(&data, fd, 1u << 20, tar, &err), 0);
	digest_of(data.buf, data.len, &digest);
	scratch_write(checksum, digest_hex(&digest, hex), 64);
}

static void lay_out_conf(struct world *w, struct json_object *c,
			 const char *edges, size_t nr)
{
	const char *text = get(c, "conf_text");
	autofree char *real = NULL;

	w->conf = xasprintf(STORE_DIR "/00000000000000000000000000000000-"
				      "%s-conf.json",
			    get(c, "case"));
	real = xasprintf("%s%s", w->store, w->conf + strlen(STORE_DIR));
	scratch_write(real, text, strlen(text));
	add_to_db(w, w->conf, edges, nr);
}

static void make_world(struct world *w, size_t i)
{
	struct json_object *c = json_object_array_get_idx(cases, i), *paths;
	const char *top, *base, *text = get(c, "conf_text");
	autojson *conf = NULL;
	autostrbuf edges = STRBUF_INIT;
	struct err err = ERR_INIT;
	autofree char *cache = NULL;
	size_t nr;

	*w = (struct world){ .dir = scratch_make(),
			     .cache = CACHE_INIT,
			     .db = STRBUF_INIT };
	w->store = xasprintf("%s/store", w->dir);
	scratch_mkdir(w->store);
	store_set_real_dir(w->store);
	goldentree_lay_out(cases, i, w->store);
	if (json_parse(&conf, text, strlen(text), get(c, "case"), &err) ||
	    json_need_array(c, "paths", &paths, FILE_NAME, &err))
		fail_msg("%s", err.msg);
	nr = json_object_array_length(paths);
	for (size_t j = 0; j < nr; j++) {
		const char *name =
			get(json_object_array_get_idx(paths, j), "name");
		autofree char *path = xasprintf(STORE_DIR "/%s", name);

		add_to_db(w, path, "", 0);
		strbuf_addf(&edges, "%s\n", path);
	}
	top = get(conf, "customisation_layer");
	lay_out_top(w, c, top);
	add_to_db(w, top, "", 0);
	strbuf_addf(&edges, "%s\n", top);
	base = get(conf, "from_image");
	if (base) {
		autofree char *real =
			xasprintf("%s%s", w->store, base + strlen(STORE_DIR));

		write_base64(real, get(c, "from_image_tar_base64"));
		add_to_db(w, base, "", 0);
		strbuf_addf(&edges, "%s\n", base);
	}
	lay_out_conf(w, c, edges.buf, nr + 1 + !!base);
	cache = xasprintf("%s/cache", w->dir);
	if (cache_open(&w->cache, cache, CACHE_WRITE, &err))
		fail_msg("%s", err.msg);
}

static void end_world(struct world *w)
{
	cache_release(&w->cache);
	scratch_remove(w->dir);
	cleanup_free(&w->store);
	cleanup_free(&w->conf);
	strbuf_release(&w->db);
}

static void check_diff_ids(const char *name, struct json_object *expect,
			   const struct layer *layers, size_t nr)
{
	struct json_object *ids;
	struct err err = ERR_INIT;

	if (json_need_array(expect, "diff_ids", &ids, FILE_NAME, &err))
		fail_msg("%s", err.msg);
	check(name, json_object_array_length(ids) == nr);
	for (size_t i = 0; i < nr; i++) {
		char str[DIGEST_STR_SIZE];

		check_str(name, digest_str(&layers[i].diff_id, str),
			  json_string_at(ids, i));
	}
}

static void check_case(size_t i, enum compression compression)
{
	struct json_object *c = json_object_array_get_idx(cases, i);
	struct json_object *expect = json_object_object_get(c, "expect");
	const char *name = get(c, "case");
	struct world w;
	autoclosure closure = CLOSURE_INIT;
	autosource source = SOURCE_INIT;
	struct source_output output = { .closure = &closure,
					.now = 1,
					.max_layers = 100 };
	autofree struct layer *layers = NULL;
	autostrbuf config = STRBUF_INIT;
	struct err err = ERR_INIT;
	struct digest id;
	char str[DIGEST_STR_SIZE];

	make_world(&w, i);
	output.path = w.conf;
	if (closure_from_text(&closure, w.db.buf, &err) ||
	    source_open(&source, &output, &err))
		fail_msg("%s: %s", name, err.msg);
	layers = xcalloc(source.nr, sizeof(*layers));
	if (layers_make(&w.cache, source.inputs, source.nr, compression, NULL,
			NULL, layers, &err) ||
	    source_config(&source, layers, &config, &err))
		fail_msg("%s: %s", name, err.msg);
	check_diff_ids(name, expect, layers, source.nr);
	check_str(name, config.buf, get(expect, "image_config"));
	digest_of(config.buf, config.len, &id);
	check_str(name, digest_str(&id, str), get(expect, "image_id"));
	end_world(&w);
}

/* Diff IDs, and so image IDs, are the same in each compression. */
static void test_images(void **state)
{
	size_t nr = json_object_array_length(cases);

	assert_int_equal(nr, 9);
	for (size_t i = 0; i < nr; i++)
		for (int c = 0; c < COMPRESSIONS; c++)
			check_case(i, (enum compression)c);
}

static int setup(void **state)
{
	autoclose int fd = open(FILE_NAME, O_RDONLY | O_CLOEXEC);
	struct err err = ERR_INIT;

	if (json_read(&golden, fd, 1u << 20, FILE_NAME, &err) ||
	    json_need_array(golden, "cases", &cases, FILE_NAME, &err))
		fail_msg("%s", err.msg);
	return 0;
}

static int teardown(void **state)
{
	json_object_put(golden);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_images) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
