// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/archive.h"
#include "common/source_kinds.h"
#include "common/sourceinput.h"

#include "common/banned.h"

/*
 * A docker-archive. Its image config is served as it is; its layers are as
 * their own inputs say.
 */

static int matches(const struct source_output *output, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = archive_has(output->path, "manifest.json", &why);

	/* A symlink is not followed, so it is no archive. */
	if (rc < 0 && why.code == ERR_REFUSED)
		return 0;
	if (rc < 0)
		*err = why;
	return rc;
}

static void add_layer(struct source *source, const char *file,
		      const struct archive_layer *layer)
{
	static const struct tar_options none = { .uname = "", .gname = "" };
	struct layer_input *input =
		source_add_input(source, LAYER_MEMBER, &none);

	input->file = xstrdup(file);
	input->member = xstrdup(layer->member);
	input->has_diff_id = true;
	input->diff_id = layer->diff_id;
}

static int open_archive(struct source *source,
			const struct source_output *output, struct err *err)
{
	autoarchiveimage image = ARCHIVE_IMAGE_INIT;

	if (archive_image_read(&image, output->path, err))
		return -1;
	if (image.several)
		return err_set(err, ERR_REFUSED,
			       "%s has several images (%s), and an output is "
			       "one: an archive of each is wanted",
			       output->path, image.several);
	for (size_t i = 0; i < image.nr; i++)
		add_layer(source, output->path, &image.layers[i]);
	source->repo_tag = steal_ptr(&image.repo_tag);
	source->data = steal_ptr(&image.config_text);
	return 0;
}

const struct source_kind source_archive = {
	.name = "docker-archive",
	.matches = matches,
	.open = open_archive,
	.config = source_own_config,
	.release = source_free_own_config,
};
