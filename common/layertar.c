// SPDX-License-Identifier: MIT
#include "common/layertar.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/store.h"
#include "common/strbuf.h"
#include "common/tree.h"

#include "common/banned.h"

int layertar_entry(struct stream *stream, const struct tar_options *options,
		   const struct tar_entry *entry, struct err *err)
{
	autostrbuf header = STRBUF_INIT;

	tar_header(&header, options, entry);
	return stream_write(stream, header.buf, header.len, err);
}

int layertar_end(struct stream *stream, const struct tar_options *options,
		 struct err *err)
{
	return stream_zeros(
		stream, tar_end(options->dialect, stream_size(stream)), err);
}

/* A file is read straight into the stream. */
int layertar_data(struct stream *stream, int fd, uint64_t size,
		  const char *path, struct err *err)
{
	uint64_t left = size;
	struct stat st;

	while (left) {
		void *room;
		size_t len;
		ssize_t n;

		if (stream_room(stream, &room, &len, err))
			return -1;
		n = read(fd, room, left < len ? (size_t)left : len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, "cannot read %s", path);
		if (!n)
			break;
		if (stream_added(stream, (size_t)n, err))
			return -1;
		left -= (uint64_t)n;
	}
	if (fstat(fd, &st))
		return err_errno(err, "cannot read %s", path);
	if (left || (uint64_t)st.st_size != size)
		return err_set(err, ERR_SYSTEM,
			       "%s changed its size while it was read", path);
	return 0;
}

static int add_tree_entry(struct stream *stream,
			  const struct tar_options *options,
			  const struct tree_entry *found, struct err *err)
{
	static const enum tar_type types[] = {
		[TREE_FILE] = TAR_FILE,
		[TREE_SYMLINK] = TAR_SYMLINK,
		[TREE_DIRECTORY] = TAR_DIRECTORY,
	};
	struct tar_entry entry = {
		.type = types[found->type],
		.mode = found->mode,
		.size = found->size,
		.name = found->path,
		.target = found->target,
	};

	if (layertar_entry(stream, options, &entry, err))
		return -1;
	if (found->type != TREE_FILE)
		return 0;
	if (layertar_data(stream, found->fd, found->size, found->path, err))
		return -1;
	return stream_zeros(stream, tar_padding(found->size), err);
}

static int add_store_path(struct stream *stream,
			  const struct tar_options *options, const char *path,
			  struct err *err)
{
	autotree *tree = tree_new(path,
				  options->dialect == TAR_DOCKERTOOLS
					  ? TREE_BY_CHARACTERS
					  : TREE_BY_BYTES,
				  TREE_WHOLE);
	const struct tree_entry *entry;
	int rc;

	while ((rc = tree_next(tree, &entry, err)) > 0)
		if (add_tree_entry(stream, options, entry, err))
			return -1;
	return rc;
}

/* The directories above the store paths. */
static int add_store_dirs(struct stream *stream,
			  const struct tar_options *options, struct err *err)
{
	static const char *const names[] = { "/", "/nix", STORE_DIR };
	struct tar_options implied = *options;
	struct tar_entry entry = { .type = TAR_DIRECTORY };
	size_t i = 1;

	entry.mode = options->nix_mode;
	if (options->dialect == TAR_NIX2CONTAINER) {
		i = 0;
		entry.mode = 0755;
		implied.mtime = 1;
		implied.uid = implied.gid = 0;
		implied.uname = implied.gname = "root";
	}
	for (; i < ARRAY_SIZE(names); i++) {
		entry.name = names[i];
		if (layertar_entry(stream, &implied, &entry, err))
			return -1;
	}
	return 0;
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int layertar_store_paths(struct stream *stream, struct teller *teller,
			 const struct layer_input *input, struct layer *layer,
			 struct err *err)
{
	const struct tar_options *options = &input->options;
	autofree const char **paths = NULL;

	paths = xreallocarray(NULL, input->nr_paths, sizeof(*paths));
	for (size_t i = 0; i < input->nr_paths; i++)
		paths[i] = input->paths[i].path;
	/* nix2container makes one tree of them all. */
	if (options->dialect == TAR_NIX2CONTAINER)
		qsort(paths, input->nr_paths, sizeof(*paths), compare_paths);
	if (add_store_dirs(stream, options, err))
		return -1;
	for (size_t i = 0; i < input->nr_paths; i++)
		if (add_store_path(stream, options, paths[i], err))
			return -1;
	return layertar_end(stream, options, err);
}

int layertar_file(struct stream *stream, struct teller *teller,
		  const struct layer_input *input, struct layer *layer,
		  struct err *err)
{
	autoclose int fd = store_open(input->file, O_RDONLY, err);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st))
		return err_errno(err, "cannot read %s", input->file);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_MALFORMED, "%s is not a regular file",
			       input->file);
	return layertar_data(stream, fd, (uint64_t)st.st_size, input->file,
			     err);
}
