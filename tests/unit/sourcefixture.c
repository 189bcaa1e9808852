// SPDX-License-Identifier: MIT
#include "tests/unit/sourcefixture.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"
#include "tests/unit/check.h"
#include "tests/unit/closuretext.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

static char *store;

int sourcefixture_set_up(void **state)
{
	store = scratch_make();
	store_set_real_dir(store);
	return 0;
}

int sourcefixture_tear_down(void **state)
{
	scratch_remove(store);
	return 0;
}

char *store_file(const char *path)
{
	return xasprintf("%s%s", store, path + strlen(STORE_DIR));
}

void make_closure(struct closure *closure)
{
	static const struct {
		const char *path;
		unsigned int size;
		const char *edges[6];
	} paths[] = {
		{ CONF, 1, { A, B, TOP, BASE } },
		{ A, 100000000, { A, DEEP } },
		{ B, 200000000, { 0 } },
		{ DEEP, 300000000, { 0 } },
		{ TOP, 400000000, { A, PATH("of-top") } },
		{ PATH("of-top"), 500000000, { 0 } },
		{ BASE, 600000000, { PATH("of-base") } },
		{ PATH("of-base"), 700000000, { 0 } },
	};
	autostrbuf text = STRBUF_INIT;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		size_t nr = 0;

		while (paths[i].edges[nr])
			nr++;
		strbuf_addf(&text, "%s\n%064zx\n%u\n\n%zu\n", paths[i].path,
			    i + 1, paths[i].size, nr);
		for (size_t j = 0; j < nr; j++)
			strbuf_addf(&text, "%s\n", paths[i].edges[j]);
	}
	if (closure_from_text(closure, text.buf, &err))
		fail_msg("%s", err.msg);
}

void put_file(const char *path, const char *text, size_t len)
{
	autofree char *real = store_file(path);
	autofree char *dir =
		xstrndup(real, (size_t)(strrchr(real, '/') - real));

	unlink(real);
	scratch_mkdir(dir);
	scratch_write(real, text, len);
}

int open_output(struct source *source, const char *path, size_t max_layers,
		struct err *err)
{
	autoclosure closure = CLOSURE_INIT;
	struct source_output output = { .path = path,
					.closure = &closure,
					.system = "x86_64-linux",
					.now = 1700000000,
					.max_layers = max_layers };

	make_closure(&closure);
	*err = (struct err)ERR_INIT;
	return source_open(source, &output, err);
}

/* The paths of the input, sorted as they are, with spaces between. */
static char *paths_of(const struct layer_input *input)
{
	autostrbuf out = STRBUF_INIT;

	for (size_t i = 0; i < input->nr_paths; i++)
		strbuf_addf(&out, "%s%s", i ? " " : "", input->paths[i].path);
	return strbuf_detach(&out, NULL);
}

void check_paths(const struct layer_input *input, const char *want)
{
	autofree char *paths = paths_of(input);

	assert_string_equal(paths, want);
}

void check_config(const struct source *source, const char *part)
{
	autofree struct layer *layers = xcalloc(source->nr, sizeof(*layers));
	autostrbuf out = STRBUF_INIT;
	struct err err;

	assert_int_equal(source_config(source, layers, &out, &err), 0);
	if (!strstr(out.buf, part))
		fail_msg("no %s in %s", part, out.buf);
}
