// SPDX-License-Identifier: MIT
#include "tests/unit/layerfixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/store.h"
#include "common/strbuf.h"
#include "tests/unit/check.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

int fixture_set_up(void **state)
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

int fixture_tear_down(void **state)
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

int fixture_make(struct fixture *f, const struct layer_input *inputs, size_t nr,
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
	return layers_make(&f->cache, inputs, nr, c, NULL, &progress, f->layers,
			   &f->err);
}

void fixture_make_ok(struct fixture *f, const struct layer_input *inputs,
		     size_t nr, enum compression c)
{
	if (fixture_make(f, inputs, nr, c))
		fail_msg("%s", f->err.msg);
}

struct layer_input input_of(enum layer_kind kind, const char *const *names)
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

void fixture_put(struct fixture *f, const char *path, const char *data)
{
	autofree char *full = xasprintf("%s/%s", f->store, path);
	char *slash = strrchr(full, '/');

	*slash = 0;
	scratch_mkdir(full);
	*slash = '/';
	scratch_write(full, data, strlen(data));
}

/* The whole blob, the caller's to free. */
char *fixture_read_blob(struct fixture *f, const struct layer *layer)
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

bool same_layer(const struct layer *a, const struct layer *b)
{
	return digest_equal(&a->key, &b->key) &&
	       digest_equal(&a->diff_id, &b->diff_id) &&
	       a->tar_size == b->tar_size &&
	       a->blob.media_type == b->blob.media_type &&
	       digest_equal(&a->blob.digest, &b->blob.digest) &&
	       a->blob.size == b->blob.size;
}

static void forget(struct fixture *f)
{
	cache_release(&f->cache);
	f->cache = (struct cache)CACHE_INIT;
}

void fixture_new_cache(struct fixture *f, const char *name)
{
	autofree char *path = xasprintf("%s/%s", f->dir, name);

	forget(f);
	if (cache_open(&f->cache, path, CACHE_WRITE, &f->err))
		fail_msg("%s", f->err.msg);
}

/* Text that repeats here and there, the same at every run. */
char *some_text(size_t len)
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

void promise(struct layer_input *input, const void *data, size_t len)
{
	input->has_diff_id = true;
	digest_of(data, len, &input->diff_id);
}
