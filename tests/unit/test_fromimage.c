// SPDX-License-Identifier: MIT
/* Confs with a from_image: its layers come first, whatever they are in. */
#include "tests/unit/check.h"

#include <archive.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cache.h"
#include "common/expansion.h"
#include "common/json.h"
#include "common/source.h"
#include "common/store.h"
#include "tests/unit/pack.h"
#include "tests/unit/scratch.h"
#include "tests/unit/closuretext.h"

#include "common/banned.h"

#define HASH	   "00000000000000000000000000000000"
#define PATH(name) STORE_DIR "/" HASH "-" name

#define A    PATH("a")
#define BASE PATH("base.tar")
#define CONF PATH("web-conf.json")

#define LAYERS 3

/* A docker-archive in a store, as `docker save` made it until 25. */
struct world {
	char *dir, *store, *base;
	struct cache cache;
	struct strbuf tars[LAYERS], blobs[LAYERS];
	struct digest diff_ids[LAYERS];
};

static void read_file(struct strbuf *out, const char *file)
{
	autoclose int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct err err;

	if (fd < 0 || strbuf_read(out, fd, 64u << 20, file, &err))
		fail_msg("cannot read %s", file);
}

/* Where the file of a path in the store is; the caller frees it. */
static char *real_path(const char *store, const char *path)
{
	return xasprintf("%s%s", store, path + strlen(STORE_DIR));
}

/* A tar with a file, once plain and once in a filter. */
static void make_layer(struct world *w, size_t i, int filter)
{
	autofree char *file = xasprintf("%s/layer", w->dir);
	autofree char *name = xasprintf("file-%zu", i);
	autofree char *data = xmalloc(300000);
	const struct pack_entry entry = { .name = name,
					  .data = data,
					  .len = 300000 };

	for (size_t j = 0; j < 300000; j++)
		data[j] = (char)(j * j >> (7 + i));
	pack(file, &entry, 1, ARCHIVE_FILTER_NONE);
	read_file(&w->tars[i], file);
	pack(file, &entry, 1, filter);
	read_file(&w->blobs[i], file);
	digest_of(w->tars[i].buf, w->tars[i].len, &w->diff_ids[i]);
}

static char *config_of(const struct world *w, const char *env)
{
	char a[DIGEST_STR_SIZE], b[DIGEST_STR_SIZE], c[DIGEST_STR_SIZE];

	return xasprintf("{\"config\":{\"Env\":%s,\"User\":\"7\"},\"rootfs\":"
			 "{\"diff_ids\":[\"%s\",\"%s\",\"%s\"]}}",
			 env, digest_str(&w->diff_ids[0], a),
			 digest_str(&w->diff_ids[1], b),
			 digest_str(&w->diff_ids[2], c));
}

/* The archive; the last layer's name is a link to its bytes. */
static void make_base(const struct world *w, const char *env, int filter)
{
	autofree char *config = config_of(w, env);
	const struct pack_entry entries[] = {
		{ .name = "one/layer.tar",
		  .data = w->blobs[0].buf,
		  .len = w->blobs[0].len },
		{ .name = "two/layer.tar",
		  .data = w->blobs[1].buf,
		  .len = w->blobs[1].len },
		{ .name = "three/layer.tar", .symlink = "../3.tar" },
		{ .name = "3.tar",
		  .data = w->blobs[2].buf,
		  .len = w->blobs[2].len },
		{ .name = "c.json", .data = config },
		{ .name = "manifest.json",
		  .data = "[{\"Config\":\"c.json\",\"Layers\":["
			  "\"one/layer.tar\",\"two/layer.tar\","
			  "\"three/layer.tar\"]}]" },
	};

	pack(w->base, entries, ARRAY_SIZE(entries), filter);
}

/* A conf on that archive, whose one root is a. */
static int open_conf(const struct world *w, struct source *source,
		     int max_layers, struct err *err)
{
	static const char db[] = CONF "\n" HASH HASH "\n1\n\n2\n" A "\n" BASE
				      "\n" A "\n" HASH HASH "\n1000\n\n0\n" BASE
				      "\n" HASH HASH "\n1\n\n0\n";
	autofree char *conf = xasprintf(
		"{\"architecture\":\"amd64\",\"config\":{\"Cmd\":[\"x\"],"
		"\"Env\":[\"B=own\",\"C=3\"]},\"store_dir\":\"/nix/store\","
		"\"from_image\":\"" BASE "\",\"roots\":[\"" A "\"],"
		"\"maxLayers\":%d,\"created\":\"1970-01-01T00:00:01Z\"}",
		max_layers);
	autofree char *real = real_path(w->store, CONF);
	autoclosure closure = CLOSURE_INIT;
	const struct source_output output = {
		.path = CONF, .closure = &closure, .now = 1, .max_layers = 100
	};

	unlink(real);
	scratch_write(real, conf, strlen(conf));
	if (closure_from_text(&closure, db, err))
		fail_msg("%s", err->msg);
	return source_open(source, &output, err);
}

static void test_layers(void **state)
{
	static const int filters[] = { ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP,
				       ARCHIVE_FILTER_ZSTD, ARCHIVE_FILTER_XZ };
	static const char *const comments[] = {
		"store paths: ['one/layer.tar']",
		"store paths: ['two/layer.tar']",
		"store paths: ['three/layer.tar']",
		"store paths: ['" A "']",
		"links into store paths: ['" A "']",
	};
	const struct world *w = *state;

	for (size_t f = 0; f < ARRAY_SIZE(filters); f++) {
		autosource source = SOURCE_INIT;
		struct layer layers[ARRAY_SIZE(comments)];
		autostrbuf config = STRBUF_INIT;
		struct err err = ERR_INIT;

		make_base(w, "[\"A=1\",\"B=2\"]", filters[f]);
		if (open_conf(w, &source, 10, &err))
			fail_msg("%s", err.msg);
		assert_int_equal(source.nr, ARRAY_SIZE(layers));
		for (size_t i = 0; i < source.nr; i++)
			assert_string_equal(source.inputs[i].comment,
					    comments[i]);
		if (layers_make(&w->cache, source.inputs, source.nr,
				COMPRESSION_ZSTD, NULL, NULL, layers, &err) ||
		    source_config(&source, layers, &config, &err))
			fail_msg("filter %d: %s", filters[f], err.msg);
		for (size_t i = 0; i < LAYERS; i++)
			assert_true(digest_equal(&layers[i].diff_id,
						 &w->diff_ids[i]));
		assert_non_null(strstr(config.buf, "\"Env\": [\n"
						   "            \"A=1\",\n"
						   "            \"B=own\",\n"
						   "            \"C=3\"\n"
						   "        ]"));
		assert_null(strstr(config.buf, "User"));
	}
}

static void test_limit(void **state)
{
	/* maxLayers, and the layers that come of three in the archive. */
	static const size_t cases[][2] = { { 1, 5 }, { 5, 5 }, { 9, 5 } };
	const struct world *w = *state;

	make_base(w, "null", ARCHIVE_FILTER_NONE);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autosource source = SOURCE_INIT;
		struct err err = ERR_INIT;

		if (open_conf(w, &source, (int)cases[i][0], &err))
			fail_msg("%s", err.msg);
		assert_int_equal(source.nr, cases[i][1]);
		/* Neither the archive nor the conf is in the image. */
		assert_int_equal(source.inputs[3].nr_paths, 1);
	}
}

/* The archive promises other bytes than it has. */
static void test_wrong_diff_id(void **state)
{
	struct world *w = *state;
	struct digest right = w->diff_ids[2];
	autosource source = SOURCE_INIT;
	struct layer layers[5];
	struct err err = ERR_INIT;

	memset(&w->diff_ids[2], 7, sizeof(right));
	make_base(w, "[]", ARCHIVE_FILTER_NONE);
	w->diff_ids[2] = right;
	if (open_conf(w, &source, 10, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(layers_make(&w->cache, source.inputs, source.nr,
				     COMPRESSION_NONE, NULL, NULL, layers,
				     &err),
			 -1);
	assert_non_null(strstr(err.msg, BASE));
}

/*
 * Two layers of 300 KB, each within its bounds, become more than both may;
 * nothing is allowed for twice.
 */
static void test_bomb_of_several(void **state)
{
	const struct world *w = *state;
	struct expansion all = { .max = 0 };
	autosource source = SOURCE_INIT;
	struct layer layers[5];
	struct err err = ERR_INIT;
	struct stat st;

	make_base(w, "[]", ARCHIVE_FILTER_NONE);
	if (open_conf(w, &source, 10, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(stat(w->base, &st), 0);
	expansion_allow(&all, source.inputs, source.nr);
	expansion_allow(&all, source.inputs, LAYERS);
	assert_int_equal(all.max, (uint64_t)st.st_size * EXPANSION_MAX);
	all.max = 500000;
	assert_int_equal(layers_make(&w->cache, source.inputs, source.nr,
				     COMPRESSION_GZIP, &all, NULL, layers,
				     &err),
			 -1);
	assert_int_equal(err.code, ERR_MALFORMED);
	assert_non_null(strstr(err.msg, BASE));
	assert_non_null(strstr(err.msg, "all together"));
	expansion_release(&all);
}

static void check_refused(const struct world *w, const char *message)
{
	autosource source = SOURCE_INIT;
	struct err err = ERR_INIT;

	if (!open_conf(w, &source, 10, &err))
		fail_msg("accepted: %s", message);
	if (strncmp(err.msg, message, strlen(message)) != 0)
		fail_msg("%s, not %s", err.msg, message);
}

static void test_refuses(void **state)
{
	const struct world *w = *state;

	make_base(w, "{}", ARCHIVE_FILTER_NONE);
	check_refused(w, CONF ": key 'from_image': " BASE
			      ": key 'Env': expected an array, not an object");
	make_base(w, "[1]", ARCHIVE_FILTER_NONE);
	check_refused(w, CONF ": key 'from_image': " BASE
			      ": key 'Env[0]': expected a string");
	unlink(w->base);
	scratch_write(w->base, "{}", 2);
	check_refused(w, CONF ": key 'from_image': " BASE ": ");
	unlink(w->base);
	check_refused(w, CONF ": key 'from_image': " BASE " is not there");
	assert_int_equal(symlink("/etc/passwd", w->base), 0);
	check_refused(w, CONF ": key 'from_image': " BASE
			      " is a symlink, which is not followed");
	unlink(w->base);
	scratch_mkdir(w->base);
	check_refused(w, CONF ": key 'from_image': " BASE ": ");
	rmdir(w->base);
}

static int setup(void **state)
{
	static struct world w;
	autofree char *cache = NULL, *a = NULL;
	struct err err = ERR_INIT;

	w = (struct world){ .dir = scratch_make(), .cache = CACHE_INIT };
	w.store = xasprintf("%s/store", w.dir);
	scratch_mkdir(w.store);
	store_set_real_dir(w.store);
	w.base = real_path(w.store, BASE);
	a = real_path(w.store, A "/bin");
	scratch_mkdir(a);
	for (size_t i = 0; i < LAYERS; i++) {
		w.tars[i] = (struct strbuf)STRBUF_INIT;
		w.blobs[i] = (struct strbuf)STRBUF_INIT;
	}
	make_layer(&w, 0, ARCHIVE_FILTER_NONE);
	make_layer(&w, 1, ARCHIVE_FILTER_GZIP);
	make_layer(&w, 2, ARCHIVE_FILTER_ZSTD);
	cache = xasprintf("%s/cache", w.dir);
	if (cache_open(&w.cache, cache, CACHE_WRITE, &err))
		fail_msg("%s", err.msg);
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	cache_release(&w->cache);
	scratch_remove(w->dir);
	cleanup_free(&w->store);
	cleanup_free(&w->base);
	for (size_t i = 0; i < LAYERS; i++) {
		strbuf_release(&w->tars[i]);
		strbuf_release(&w->blobs[i]);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layers),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_wrong_diff_id),
		cmocka_unit_test(test_bomb_of_several),
		cmocka_unit_test(test_refuses),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
