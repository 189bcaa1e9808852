// SPDX-License-Identifier: MIT
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/json.h"
#include "tests/unit/check.h"
#include "tests/unit/goldentrees.h"
#include "tests/unit/layerfixture.h"

#include "common/banned.h"

static void golden(struct fixture *f, const char *writer, enum layer_kind kind,
		   enum compression c)
{
	size_t nr;
	struct json_object *list = goldentrees(&nr);

	assert_int_equal(nr, 45);
	for (size_t i = 0; i < nr; i++)
		goldentree_lay_out(list, i, f->store);
	for (size_t i = 0; i < nr; i++) {
		struct layer_input input;
		uint64_t tar_size;

		goldentree_input(list, i, writer, &input, &tar_size);
		input.kind = kind;
		if (fixture_make(f, &input, 1, c))
			fail_msg("%s: %s", goldentree_name(list, i),
				 f->err.msg);
		check(goldentree_name(list, i),
		      f->layers[0].tar_size == tar_size &&
			      f->layers[0].blob.size == tar_size);
		layer_input_release(&input);
	}
}

static void test_golden_dockertools(void **state)
{
	golden(*state, "dockerTools", LAYER_STORE_PATHS, COMPRESSION_NONE);
}

static void test_golden_nix2container(void **state)
{
	golden(*state, "nix2container", LAYER_STORE_PATHS, COMPRESSION_NONE);
}

/* As a tree that is known whole before it is written, and never compressed. */
static void test_golden_tree(void **state)
{
	golden(*state, "nix2container", LAYER_TREE, COMPRESSION_GZIP);
}

/* All golden trees at once, in a way of compression; the diff IDs are checked
 * by layers_make(). */
static void golden_at_once(struct fixture *f, enum compression c,
			   struct layer *layers)
{
	struct layer_input inputs[45];
	size_t nr;
	struct json_object *list = goldentrees(&nr);
	uint64_t size;

	for (size_t i = 0; i < nr; i++)
		goldentree_input(list, i, "dockerTools", &inputs[i], &size);
	fixture_make_ok(f, inputs, nr, c);
	memcpy(layers, f->layers, nr * sizeof(*layers));
	for (size_t i = 0; i < nr; i++)
		layer_input_release(&inputs[i]);
}

static void test_cores_make_no_difference(void **state)
{
	struct fixture *f = *state;
	size_t nr;
	struct json_object *list = goldentrees(&nr);
	struct layer on_all[45], on_one[45];
	cpu_set_t all, one;

	for (size_t i = 0; i < nr; i++)
		goldentree_lay_out(list, i, f->store);
	sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); i++)
		if (CPU_ISSET(i, &all))
			CPU_SET(i, &one);
	for (enum compression c = 0; c < COMPRESSIONS; c++) {
		golden_at_once(f, c, on_all);
		sched_setaffinity(0, sizeof(one), &one);
		fixture_new_cache(f, compression_name(c));
		golden_at_once(f, c, on_one);
		sched_setaffinity(0, sizeof(all), &all);
		assert_int_equal(f->made, 45);
		for (size_t i = 0; i < nr; i++)
			check(goldentree_name(list, i),
			      same_layer(&on_all[i], &on_one[i]));
	}
}

/* Python's tarfile made these. */
#define AB_DIGEST                                                              \
	"38ad875fc924d7cb2bf70e2c51d19505f0a94d8bf63deae7d64be75608072af4"
#define BA_DIGEST                                                              \
	"180622c428c70d82407c3a8c57c6661df24c6489c669689178e86c679ccaa39e"

/* The same store paths in another order are another tar. */
static void test_two_orders(void **state)
{
	struct fixture *f = *state;
	static const char *const ab[] = { "aaa-a", "bbb-b", NULL };
	static const char *const ba[] = { "bbb-b", "aaa-a", NULL };
	struct layer_input inputs[4] = {
		input_of(LAYER_STORE_PATHS, ab),
		input_of(LAYER_STORE_PATHS, ba),
		input_of(LAYER_STORE_PATHS, ab),
		input_of(LAYER_STORE_PATHS, ba),
	};
	struct layer first[2];
	char hex[DIGEST_HEX_SIZE];

	fixture_put(f, "aaa-a/x", "A\n");
	fixture_put(f, "bbb-b", "B\n");
	fixture_make_ok(f, inputs, 4, COMPRESSION_NONE);
	assert_int_equal(f->made, 2);
	check_str("ab", digest_hex(&f->layers[0].diff_id, hex), AB_DIGEST);
	check_str("ba", digest_hex(&f->layers[1].diff_id, hex), BA_DIGEST);
	memcpy(first, f->layers, sizeof(first));
	fixture_make_ok(f, inputs, 4, COMPRESSION_NONE);
	assert_int_equal(f->made, 0);
	assert_int_equal(f->found, 2);
	for (size_t i = 0; i < 4; i++) {
		assert_true(same_layer(&first[i % 2], &f->layers[i]));
		layer_input_release(&inputs[i]);
	}
}

static void test_vanished(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "aaa-a", "bbb-b", NULL };
	struct layer_input input = input_of(LAYER_STORE_PATHS, names);

	fixture_put(f, "aaa-a/x", "");
	assert_int_equal(fixture_make(f, &input, 1, COMPRESSION_GZIP), -1);
	check_str("message", f->err.msg,
		  "layer 1 (/nix/store/aaa-a and 1 more): /nix/store/bbb-b is "
		  "not there");
	layer_input_release(&input);
}

static void remove_blob(struct fixture *f, const struct layer *layer)
{
	char path[CACHE_BLOB_PATH_SIZE];
	autofree char *full =
		xasprintf("%s/blobs/%s", f->cache.path,
			  cache_blob_path(&layer->blob.digest, path));

	assert_int_equal(unlink(full), 0);
}

/* A blob that is gone is made again, and must be what it was. */
static void test_blob_gone(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "aaa-a", NULL };
	struct layer_input input = input_of(LAYER_STORE_PATHS, names);
	struct layer before;

	fixture_put(f, "aaa-a/x", "A");
	fixture_make_ok(f, &input, 1, COMPRESSION_ZSTD);
	before = f->layers[0];
	remove_blob(f, &before);
	fixture_make_ok(f, &input, 1, COMPRESSION_ZSTD);
	assert_int_equal(f->made, 1);
	assert_true(same_layer(&before, f->layers));
	remove_blob(f, &before);
	fixture_put(f, "aaa-a/x", "B");
	assert_int_equal(fixture_make(f, &input, 1, COMPRESSION_ZSTD), -1);
	assert_int_equal(f->err.code, ERR_REFUSED);
	assert_non_null(strstr(f->err.msg, "layer 1 (/nix/store/aaa-a): it was "
					   "made again and is sha256:"));
	layer_input_release(&input);
}

/* More bytes than a crew has cuts, in several layers at once. */
static void put_large(struct fixture *f, struct layer_input *inputs, size_t nr)
{
	autofree char *text = some_text(9 << 20);

	for (size_t i = 0; i < nr; i++) {
		autofree char *name = xasprintf("%03zu-large", i);
		autofree char *file = xasprintf("%s/file", name);
		const char *const names[] = { name, NULL };

		fixture_put(f, file, text + (i << 19));
		inputs[i] = input_of(LAYER_STORE_PATHS, names);
	}
}

static void test_large(void **state)
{
	struct fixture *f = *state;
	struct layer_input inputs[12];
	struct layer plain[12];

	put_large(f, inputs, 12);
	fixture_make_ok(f, inputs, 12, COMPRESSION_NONE);
	memcpy(plain, f->layers, sizeof(plain));
	for (enum compression c = 0; c < COMPRESSION_NONE; c++) {
		fixture_make_ok(f, inputs, 12, c);
		for (size_t i = 0; i < 12; i++)
			check(compression_name(c),
			      digest_equal(&plain[i].diff_id,
					   &f->layers[i].diff_id));
	}
	for (size_t i = 0; i < 12; i++)
		layer_input_release(&inputs[i]);
}

/* One that fails ends the others soon; what they made is whole. */
static void test_failure_among_others(void **state)
{
	struct fixture *f = *state;
	struct layer_input inputs[12];

	put_large(f, inputs, 12);
	for (size_t i = 0; i < 12; i++) {
		char *right = inputs[i].paths[0].path;

		inputs[i].paths[0].path = xstrdup("/nix/store/gone");
		assert_int_equal(fixture_make(f, inputs, 12, i % COMPRESSIONS),
				 -1);
		assert_non_null(strstr(f->err.msg, "/nix/store/gone is not"));
		free(inputs[i].paths[0].path);
		inputs[i].paths[0].path = right;
	}
	for (enum compression c = 0; c < COMPRESSIONS; c++)
		fixture_make_ok(f, inputs, 12, c);
	for (size_t i = 0; i < 12; i++)
		layer_input_release(&inputs[i]);
}

struct holder {
	struct fixture *f;
	int lock;
};

static void *let_go(void *arg)
{
	struct holder *holder = arg;

	usleep(200000);
	/* As another process would: the layer is there when the lock is. */
	assert_int_equal(cache_put_layer(&holder->f->cache, holder->f->layers,
					 &holder->f->err),
			 0);
	close(holder->lock);
	return NULL;
}

/* Made by another meanwhile: it is found once the lock is had. */
static void test_lock(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "aaa-a", NULL };
	struct layer_input input = input_of(LAYER_STORE_PATHS, names);
	struct holder holder = { .f = f };
	char hex[DIGEST_HEX_SIZE];
	autofree char *name = NULL, *path = NULL;
	struct layer made;
	pthread_t thread;

	fixture_put(f, "aaa-a/x", "A");
	fixture_make_ok(f, &input, 1, COMPRESSION_GZIP);
	made = f->layers[0];
	digest_hex(&made.key, hex);
	path = xasprintf("%s/layers/%.2s/%s", f->cache.path, hex, hex);
	assert_int_equal(unlink(path), 0);
	name = xasprintf("layer.%.3s", hex);
	holder.lock = cache_lock(&f->cache, name, -1, &f->err);
	assert_true(holder.lock >= 0);
	pthread_create(&thread, NULL, let_go, &holder);
	{
		struct layer out;
		struct err err;

		assert_int_equal(layers_make(&f->cache, &input, 1,
					     COMPRESSION_GZIP, NULL, NULL, &out,
					     &err),
				 0);
		assert_true(same_layer(&made, &out));
	}
	pthread_join(thread, NULL);
	layer_input_release(&input);
}

/* What is no file, or not there: said, with its name. */
static void test_no_file(void **state)
{
	static const struct {
		const char *file, *says;
	} cases[] = {
		{ "/nix/store/aaa-layer",
		  "/nix/store/aaa-layer is not a regular file" },
		{ "/nix/store/bbb-layer", "/nix/store/bbb-layer is not there" },
	};
	struct fixture *f = *state;
	static const char *const none[] = { NULL };

	fixture_put(f, "aaa-layer/layer.tar", "x");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct layer_input input = input_of(LAYER_FILE, none);

		input.file = xstrdup(cases[i].file);
		assert_int_equal(fixture_make(f, &input, 1, COMPRESSION_NONE),
				 -1);
		if (!strstr(f->err.msg, cases[i].says))
			fail_msg("not '%s': %s", cases[i].says, f->err.msg);
		layer_input_release(&input);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_golden_dockertools),
		FIXTURE_TEST(test_golden_nix2container),
		FIXTURE_TEST(test_golden_tree),
		FIXTURE_TEST(test_cores_make_no_difference),
		FIXTURE_TEST(test_two_orders),
		FIXTURE_TEST(test_vanished),
		FIXTURE_TEST(test_blob_gone),
		FIXTURE_TEST(test_large),
		FIXTURE_TEST(test_failure_among_others),
		FIXTURE_TEST(test_lock),
		FIXTURE_TEST(test_no_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
