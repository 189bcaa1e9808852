// SPDX-License-Identifier: MIT
#include "common/source.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "common/alloc.h"
#include "common/archive.h"
#include "common/json.h"
#include "common/source_kinds.h"
#include "common/store.h"

#include "common/banned.h"

/* Asked in this order; the first that matches has the output. */
static const struct source_kind *const kinds[] = {
	&source_conf,	 &source_script, &source_n2c,
	&source_archive, &source_oci,	 &source_package,
};

/*
 * An output that is a symlink to an image is that image, if its closure has
 * it: from here on path is what it leads to.
 */
static int lead(struct source_output *output, struct strbuf *path,
		struct err *err)
{
	autofree char *in = NULL;
	struct err why = ERR_INIT;
	struct stat st;

	strbuf_addstr(path, output->path);
	if (store_follow(path, &st, &why)) {
		if (why.code == ERR_REFUSED)
			return 0;
		*err = why;
		return -1;
	}
	in = xstrndup(path->buf, store_path_len(path->buf));
	if (closure_find(output->closure, in) >= 0)
		output->path = path->buf;
	return 0;
}

int source_open(struct source *source, const struct source_output *output,
		struct err *err)
{
	struct source_output led = *output;
	autostrbuf path = STRBUF_INIT;

	*source = (struct source)SOURCE_INIT;
	if (lead(&led, &path, err))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct source_output *seen =
			kinds[i]->follows_itself ? output : &led;
		int rc = kinds[i]->matches(seen, err);

		if (rc < 0)
			return -1;
		if (!rc)
			continue;
		source->kind = kinds[i];
		if (!source->kind->open(source, seen, err))
			return 0;
		source_release(source);
		return -1;
	}
	if (archive_check(led.path, err))
		return -1;
	return err_set(err, ERR_REFUSED,
		       "%s is no image and no package: a file that is neither "
		       "a conf, an archive of an image, nor a program",
		       led.path);
}

int source_config(const struct source *source, const struct layer *layers,
		  struct strbuf *out, struct err *err)
{
	return source->kind->config(source, layers, out, err);
}

void source_release(struct source *source)
{
	if (source->kind)
		source->kind->release(source);
	for (size_t i = 0; i < source->nr; i++)
		layer_input_release(&source->inputs[i]);
	free(source->inputs);
	for (size_t i = 0; i < source->nr_members; i++)
		source_release(&source->members[i]);
	free(source->members);
	free(source->known);
	free(source->manifest);
	free(source->repo_tag);
	free(source->warning);
	json_object_put(source->annotations);
	*source = (struct source)SOURCE_INIT;
}
