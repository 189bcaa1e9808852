// SPDX-License-Identifier: MIT
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "common/alloc.h"
#include "common/cache.h"
#include "common/decompressor.h"
#include "common/json.h"
#include "common/layer.h"
#include "common/store.h"
#include "tests/unit/check.h"
#include "tests/unit/goldentrees.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

/* A store and a cache of a test's own. */
struct fixture {
	char *dir;
	char *store;
	struct cache cache;
	struct layer layers[64];
	unsigned int made, found, warnings;
	uint64_t bytes;
	char warning[1024];
	struct err err;
};

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	autofree char *cache = NULL;

	umask(022);
	f->dir = scratch_make();
	f->store = xasprintf("%s/store", f->dir);
	cache = xasprintf("%s/cache", f->dir);
	scratch_mkdir(f->store);
	store_set_real_dir(f->store);
	if (cache_open(&f->cache, cache, CACHE_WRITE, &f->err))
		fail_msg("%s", f->err.msg);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	cache_release(&f->cache);
	scratch_remove(f->dir);
	free(f->store);
	free(f);
	return 0;
}

static void on_bytes(void *arg, uint64_t bytes)
{
	struct fixture *f = arg;

	f->bytes += bytes;
}

static void on_layer(void *arg, const struct layer_input *input,
		     const struct layer *layer, bool made)
{
	struct fixture *f = arg;

	if (made)
		f->made++;
	else
		f->found++;
}

static void on_warning(void *arg, const char *message)
{
	struct fixture *f = arg;

	f->warnings++;
	snprintf(f->warning, sizeof(f->warning), "%s", message);
}

static int make(struct fixture *f, const struct layer_input *inputs, size_t nr,
		enum compression c)
{
	struct layer_progress progress = {
		.bytes = on_bytes,
		.layer = on_layer,
		.warning = on_warning,
		.arg = f,
	};

	assert_true(nr <= ARRAY_SIZE(f->layers));
	f->made = f->found = f->warnings = 0;
	f->bytes = 0;
	f->err = (struct err)ERR_INIT;
	return layers_make(&f->cache, inputs, nr, c, &progress, f->layers,
			   &f->err);
}

static void make_ok(struct fixture *f, const struct layer_input *inputs,
		    size_t nr, enum compression c)
{
	if (make(f, inputs, nr, c))
		fail_msg("%s", f->err.msg);
}

static struct layer_input input_of(enum layer_kind kind,
				   const char *const *names)
{
	struct layer_input input = { .kind = kind };

	input.options = (struct tar_options){
		.dialect = TAR_DOCKERTOOLS,
		.nix_mode = 0755,
		.mtime = 1,
		.uname = xstrdup("root"),
		.gname = xstrdup("root"),
	};
	for (; *names; names++) {
		input.paths = xreallocarray(input.paths, input.nr_paths + 1,
					    sizeof(*input.paths));
		input.paths[input.nr_paths++] = (struct layer_path){
			.path = xasprintf("/nix/store/%s", *names),
			.nar_hash = xasprintf("sha256:%s", *names),
			.nar_size = 1000,
		};
	}
	return input;
}

static void put(struct fixture *f, const char *path, const char *data)
{
	autofree char *full = xasprintf("%s/%s", f->store, path);
	char *slash = strrchr(full, '/');

	*slash = 0;
	scratch_mkdir(full);
	*slash = '/';
	scratch_write(full, data, strlen(data));
}

/* The whole blob, the caller's to free. */
static char *read_blob(struct fixture *f, const struct layer *layer)
{
	uint64_t size;
	autoclose int fd =
		cache_open_blob(&f->cache, &layer->blob.digest, &size, &f->err);
	struct strbuf out = STRBUF_INIT;

	assert_true(fd >= 0);
	assert_int_equal(size, layer->blob.size);
	assert_int_equal(strbuf_read(&out, fd, 1u << 30, "the blob", &f->err),
			 0);
	assert_int_equal(out.len, size);
	return strbuf_detach(&out, NULL);
}

static bool same_layer(const struct layer *a, const struct layer *b)
{
	return digest_equal(&a->key, &b->key) &&
	       digest_equal(&a->diff_id, &b->diff_id) &&
	       a->tar_size == b->tar_size &&
	       a->blob.media_type == b->blob.media_type &&
	       digest_equal(&a->blob.digest, &b->blob.digest) &&
	       a->blob.size == b->blob.size;
}

static void golden(struct fixture *f, const char *writer)
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
		if (make(f, &input, 1, COMPRESSION_NONE))
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
	golden(*state, "dockerTools");
}

static void test_golden_nix2container(void **state)
{
	golden(*state, "nix2container");
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
	make_ok(f, inputs, nr, c);
	memcpy(layers, f->layers, nr * sizeof(*layers));
	for (size_t i = 0; i < nr; i++)
		layer_input_release(&inputs[i]);
}

static void forget(struct fixture *f)
{
	cache_release(&f->cache);
	f->cache = (struct cache)CACHE_INIT;
}

static void new_cache(struct fixture *f, const char *name)
{
	autofree char *path = xasprintf("%s/%s", f->dir, name);

	forget(f);
	if (cache_open(&f->cache, path, CACHE_WRITE, &f->err))
		fail_msg("%s", f->err.msg);
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
		new_cache(f, compression_name(c));
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

	put(f, "aaa-a/x", "A\n");
	put(f, "bbb-b", "B\n");
	make_ok(f, inputs, 4, COMPRESSION_NONE);
	assert_int_equal(f->made, 2);
	check_str("ab", digest_hex(&f->layers[0].diff_id, hex), AB_DIGEST);
	check_str("ba", digest_hex(&f->layers[1].diff_id, hex), BA_DIGEST);
	memcpy(first, f->layers, sizeof(first));
	make_ok(f, inputs, 4, COMPRESSION_NONE);
	assert_int_equal(f->made, 0);
	assert_int_equal(f->found, 2);
	for (size_t i = 0; i < 4; i++) {
		assert_true(same_layer(&first[i % 2], &f->layers[i]));
		layer_input_release(&inputs[i]);
	}
}

/* The headers of a plain layer as lines "NAME MODE TARGET". */
static char *list_tar(struct fixture *f, const struct layer *layer)
{
	autofree char *tar = read_blob(f, layer);
	struct strbuf out = STRBUF_INIT;

	for (const char *p = tar; *p;) {
		strbuf_addf(&out, "%.100s %.7s %.100s\n", p, p + 100, p + 157);
		p += 512 + (strtoul(p + 124, NULL, 8) + 511) / 512 * 512;
	}
	return strbuf_detach(&out, NULL);
}

static void test_links(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "aaa-a", "bbb-b", "aaa-a", "ccc-c",
					     NULL };
	struct layer_input input = input_of(LAYER_LINKS, names);
	autofree char *list = NULL;

	put(f, "aaa-a/bin/a", "");
	put(f, "aaa-a/bin/both", "");
	put(f, "aaa-a/bin-extra", "");
	put(f, "aaa-a/share", "");
	put(f, "bbb-b/bin/both", "");
	put(f, "bbb-b/bin/b", "");
	put(f, "bbb-b/lib/deep/x", "");
	put(f, "bbb-b/share/man/b", "");
	put(f, "ccc-c/lib/deep", "");
	put(f, "ccc-c/lib/deeper", "");
	make_ok(f, &input, 1, COMPRESSION_NONE);
	list = list_tar(f, &f->layers[0]);
#define LINK(path, target) path " 0000777 /nix/store/" target path "\n"
	check_str(
		"list", list,
		"/bin/ 0000755 \n" LINK("/bin/a", "aaa-a") LINK(
			"/bin/b", "bbb-b") LINK("/bin/both", "aaa-a")
			LINK("/bin-extra",
			     "aaa-a") "/lib/ 0000755 \n"
				      "/lib/deep/ 0000755 \n" LINK(
					      "/lib/deep/x", "bbb-b")
					      LINK("/lib/deeper", "ccc-c")
						      LINK("/share", "aaa-a"));
	assert_int_equal(f->warnings, 3);
	check_str("warning", f->warning,
		  "/share is in /nix/store/aaa-a and in /nix/store/bbb-b: "
		  "the first is taken");
	layer_input_release(&input);
}

static void test_links_need_directories(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "aaa-a", "bbb-b", NULL };
	struct layer_input input = input_of(LAYER_LINKS, names);

	put(f, "aaa-a/x", "");
	put(f, "bbb-b", "a file");
	assert_int_equal(make(f, &input, 1, COMPRESSION_NONE), -1);
	check_str("message", f->err.msg,
		  "layer 1 (/nix/store/aaa-a and 1 more): /nix/store/bbb-b is "
		  "among the image's contents but is not a directory");
	layer_input_release(&input);
}

static void test_vanished(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "aaa-a", "bbb-b", NULL };
	struct layer_input input = input_of(LAYER_STORE_PATHS, names);

	put(f, "aaa-a/x", "");
	assert_int_equal(make(f, &input, 1, COMPRESSION_GZIP), -1);
	check_str("message", f->err.msg,
		  "layer 1 (/nix/store/aaa-a and 1 more): /nix/store/bbb-b is "
		  "not there");
	layer_input_release(&input);
}

static void truncate_file(void *arg, uint64_t bytes)
{
	autofree char *path =
		xasprintf("%s/aaa-a/large", ((struct fixture *)arg)->store);

	assert_int_equal(truncate(path, 2 << 20), 0);
}

static void test_shrinking_file(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "aaa-a", NULL };
	struct layer_input input = input_of(LAYER_STORE_PATHS, names);
	autofree char *large = xmalloc((5 << 20) + 1);
	struct layer_progress progress = { .bytes = truncate_file, .arg = f };

	memset(large, 'x', 5 << 20);
	large[5 << 20] = 0;
	put(f, "aaa-a/large", large);
	assert_int_equal(layers_make(&f->cache, &input, 1, COMPRESSION_NONE,
				     &progress, f->layers, &f->err),
			 -1);
	check_str("message", f->err.msg,
		  "layer 1 (/nix/store/aaa-a): /nix/store/aaa-a/large changed "
		  "its size while it was read");
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

	put(f, "aaa-a/x", "A");
	make_ok(f, &input, 1, COMPRESSION_ZSTD);
	before = f->layers[0];
	remove_blob(f, &before);
	make_ok(f, &input, 1, COMPRESSION_ZSTD);
	assert_int_equal(f->made, 1);
	assert_true(same_layer(&before, f->layers));
	remove_blob(f, &before);
	put(f, "aaa-a/x", "B");
	assert_int_equal(make(f, &input, 1, COMPRESSION_ZSTD), -1);
	assert_int_equal(f->err.code, ERR_REFUSED);
	assert_non_null(strstr(f->err.msg, "layer 1 (/nix/store/aaa-a): it was "
					   "made again and is sha256:"));
	layer_input_release(&input);
}

static int append(void *arg, const void *data, size_t len, struct err *err)
{
	strbuf_add(arg, data, len);
	return 0;
}

/* Text that repeats here and there, the same at every run. */
static char *some_text(size_t len)
{
	char *text = xmalloc(len + 1);
	uint32_t x = 1;

	for (size_t i = 0; i < len; i++) {
		x = x * 1664525 + 1013904223;
		text[i] = (char)('a' + (x >> 28) * (i >> 16 & 1));
	}
	text[len] = 0;
	return text;
}

static void test_compressed(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "aaa-a", NULL };
	struct layer_input input = input_of(LAYER_STORE_PATHS, names);
	autofree char *text = some_text((5 << 20) + 77), *plain = NULL;
	struct layer none;

	put(f, "aaa-a/text", text);
	make_ok(f, &input, 1, COMPRESSION_NONE);
	none = f->layers[0];
	plain = read_blob(f, &none);
	assert_int_equal(f->bytes, none.tar_size);
	for (enum compression c = 0; c < COMPRESSION_NONE; c++) {
		autofree char *blob = NULL;
		autostrbuf out = STRBUF_INIT;
		autodecompressor *d = decompressor_new(c, append, &out);

		make_ok(f, &input, 1, c);
		check(compression_name(c),
		      digest_equal(&none.diff_id, &f->layers[0].diff_id));
		assert_int_equal(f->layers[0].blob.media_type,
				 compression_media_type(c));
		assert_true(f->layers[0].blob.size < none.blob.size / 2 + 1000);
		blob = read_blob(f, &f->layers[0]);
		assert_int_equal(decompressor_add(d, blob,
						  f->layers[0].blob.size,
						  &f->err),
				 0);
		assert_int_equal(decompressor_end(d, &f->err), 0);
		assert_int_equal(out.len, none.blob.size);
		assert_memory_equal(out.buf, plain, out.len);
	}
	layer_input_release(&input);
}

static void promise(struct layer_input *input, const void *data, size_t len)
{
	input->has_diff_id = true;
	digest_of(data, len, &input->diff_id);
}

static void test_file(void **state)
{
	struct fixture *f = *state;
	static const char *const none[] = { NULL };
	struct layer_input input = input_of(LAYER_FILE, none);
	autofree char *text = some_text((2 << 20) + 1), *blob = NULL;

	put(f, "aaa-layer/layer.tar", text);
	input.file = xstrdup("/nix/store/aaa-layer/layer.tar");
	promise(&input, text, strlen(text));
	make_ok(f, &input, 1, COMPRESSION_NONE);
	blob = read_blob(f, &f->layers[0]);
	check_str("blob", blob, text);
	assert_true(digest_equal(&f->layers[0].diff_id, &input.diff_id));
	promise(&input, "else", 4);
	assert_int_equal(make(f, &input, 1, COMPRESSION_NONE), -1);
	assert_non_null(strstr(f->err.msg,
			       "layer 1 (/nix/store/aaa-layer/layer.tar): "
			       "/nix/store/aaa-layer/layer.tar has the diff "
			       "ID sha256:"));
	layer_input_release(&input);
}

static void pack(const char *path, const char *name, const void *data,
		 size_t len)
{
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();

	archive_write_set_format_ustar(a);
	assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
	archive_entry_set_pathname(e, name);
	archive_entry_set_mode(e, S_IFREG | 0644);
	archive_entry_set_size(e, (int64_t)len);
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	assert_int_equal(archive_write_data(a, data, len), len);
	archive_entry_free(e);
	archive_write_free(a);
}

/* Compress in two pieces, so that there are two members or frames. */
static char *compress_text(enum compression c, const char *text, size_t *len)
{
	struct compressor *compressor = compressor_new(c);
	size_t half = strlen(text) / 2, size = compression_bound(c, half + 1);
	char *out = xmalloc(2 * size);

	*len = compressor_run(compressor, text, half, out, size);
	*len += compressor_run(compressor, text + half, strlen(text) - half,
			       out + *len, size);
	compressor_free(compressor);
	return out;
}

static void test_member(void **state)
{
	struct fixture *f = *state;
	static const char *const none[] = { NULL };
	struct layer_input input = input_of(LAYER_MEMBER, none);
	autofree char *text = some_text((2 << 20) + 1);

	input.file = xasprintf("%s/image.tar", f->dir);
	input.member = xstrdup("abc/layer.tar");
	promise(&input, text, strlen(text));
	for (enum compression c = 0; c < COMPRESSION_NONE; c++) {
		/* Not in the cache yet. */
		enum compression other =
			c ? COMPRESSION_GZIP : COMPRESSION_ZSTD;
		autofree char *data = NULL, *blob = NULL;
		size_t len;

		new_cache(f, compression_name(c));
		data = compress_text(c, text, &len);
		pack(input.file, input.member, data, len);
		make_ok(f, &input, 1, c);
		blob = read_blob(f, &f->layers[0]);
		assert_int_equal(f->layers[0].blob.media_type,
				 compression_media_type(c));
		assert_int_equal(f->layers[0].blob.size, len);
		assert_int_equal(f->layers[0].tar_size, strlen(text));
		assert_memory_equal(blob, data, len);
		pack(input.file, input.member, data, len - 1);
		assert_int_equal(make(f, &input, 1, other), -1);
		assert_non_null(strstr(f->err.msg, "data ends too early"));
		data[len / 2] ^= 0x55;
		pack(input.file, input.member, data, len);
		assert_int_equal(make(f, &input, 1, other), -1);
		assert_int_equal(f->err.code, ERR_MALFORMED);
	}
	pack(input.file, input.member, text, strlen(text));
	make_ok(f, &input, 1, COMPRESSION_GZIP);
	assert_int_equal(f->layers[0].blob.media_type, MEDIA_LAYER_GZIP);
	assert_true(digest_equal(&f->layers[0].diff_id, &input.diff_id));
	layer_input_release(&input);
}

/* Which of a member's compressions stay, for each that is asked for. */
static void test_member_compression(void **state)
{
	struct fixture *f = *state;
	static const char *const none[] = { NULL };
	static const struct {
		enum compression member, asked, served;
	} cases[] = {
		{ COMPRESSION_GZIP, COMPRESSION_GZIP, COMPRESSION_GZIP },
		{ COMPRESSION_GZIP, COMPRESSION_ZSTD, COMPRESSION_GZIP },
		{ COMPRESSION_GZIP, COMPRESSION_NONE, COMPRESSION_GZIP },
		{ COMPRESSION_ZSTD, COMPRESSION_GZIP, COMPRESSION_GZIP },
		{ COMPRESSION_ZSTD, COMPRESSION_ZSTD, COMPRESSION_ZSTD },
		{ COMPRESSION_ZSTD, COMPRESSION_NONE, COMPRESSION_NONE },
	};
	struct layer_input input = input_of(LAYER_MEMBER, none);
	autofree char *text = some_text((2 << 20) + 1);

	input.file = xasprintf("%s/image.tar", f->dir);
	input.member = xstrdup("abc/layer.tar");
	promise(&input, text, strlen(text));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autofree char *data = NULL, *name = NULL;
		size_t len;

		name = xasprintf("case%zu", i);
		new_cache(f, name);
		data = compress_text(cases[i].member, text, &len);
		pack(input.file, input.member, data, len);
		make_ok(f, &input, 1, cases[i].asked);
		assert_int_equal(f->layers[0].blob.media_type,
				 compression_media_type(cases[i].served));
		assert_int_equal(f->layers[0].tar_size, strlen(text));
		assert_true(
			digest_equal(&f->layers[0].diff_id, &input.diff_id));
	}
	layer_input_release(&input);
}

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
	struct json_object *json;
	struct layer_input back;
	struct err err;

	check_json(&paths);
	member.file = xstrdup("/nix/store/ccc-c/image.tar");
	member.member = xstrdup("x/layer.tar");
	member.comment = xstrdup("store paths: []");
	promise(&member, "x", 1);
	check_json(&member);
	json = layer_input_to_json(&paths);
	json_object_object_add(json, "dialect", json_object_new_string("gnu"));
	assert_int_equal(layer_input_from_json(&back, json, &err), -1);
	check_str("message", err.msg,
		  "a layer of a record: gnu is no known dialect");
	json_object_put(json);
	layer_input_release(&paths);
	layer_input_release(&member);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_golden_dockertools),
		TEST(test_golden_nix2container),
		TEST(test_cores_make_no_difference),
		TEST(test_two_orders),
		TEST(test_links),
		TEST(test_links_need_directories),
		TEST(test_vanished),
		TEST(test_shrinking_file),
		TEST(test_blob_gone),
		TEST(test_compressed),
		TEST(test_file),
		TEST(test_member),
		TEST(test_member_compression),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
