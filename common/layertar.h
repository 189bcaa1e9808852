// SPDX-License-Identifier: MIT
#ifndef COMMON_LAYERTAR_H
#define COMMON_LAYERTAR_H

#include "common/layer.h"
#include "common/stream.h"

struct teller;

/*
 * How the tar of each kind of layer is written to a stream, a function for
 * each enum layer_kind. They return 0, or -1 and an error that names the file.
 * For layer.c.
 */

/* As dockerTools: /nix, /nix/store, and each path in the order given. */
MUST_CHECK int layertar_store_paths(struct stream *stream,
				    struct teller *teller,
				    const struct layer_input *input,
				    struct layer *layer, struct err *err);

/*
 * A tree that makes what is in the paths visible at /: their directories as
 * directories of mode 0755, all else as symlinks to it. Of two paths with the
 * same file, or one with a file where the other has a directory, the first
 * given wins, with a warning. A path that is no directory is refused. A
 * LAYER_ROOT also has /root (0700), /tmp (1777), and an /etc/passwd and an /etc/group
 * of root and nobody unless one of the paths has the file.
 */
MUST_CHECK int layertar_links(struct stream *stream, struct teller *teller,
			      const struct layer_input *input,
			      struct layer *layer, struct err *err);

/*
 * As nix2container: all paths as one tree, each file where its path's options
 * put it. The blob is not compressed, since its digest is known beforehand.
 */
MUST_CHECK int layertar_tree(struct stream *stream, struct teller *teller,
			     const struct layer_input *input,
			     struct layer *layer, struct err *err);

/* input->file, byte for byte. */
MUST_CHECK int layertar_file(struct stream *stream, struct teller *teller,
			     const struct layer_input *input,
			     struct layer *layer, struct err *err);

/*
 * input->member of input->file. One that is compressed stays as it is, and
 * its diff ID and tar_size are set here.
 */
MUST_CHECK int layertar_member(struct stream *stream, struct teller *teller,
			       const struct layer_input *input,
			       struct layer *layer, struct err *err);

/*
 * input->file, or its member, as it is. Its diff ID is looked at, and set,
 * only where one is promised.
 */
MUST_CHECK int layertar_blob(struct stream *stream, struct teller *teller,
			     const struct layer_input *input,
			     struct layer *layer, struct err *err);

/* A file's bytes; its size must not change meanwhile. path is for messages. */
MUST_CHECK int layertar_data(struct stream *stream, int fd, uint64_t size,
			     const char *path, struct err *err);

/* For these files: an entry's header, and the end of the tar. */
MUST_CHECK int layertar_entry(struct stream *stream,
			      const struct tar_options *options,
			      const struct tar_entry *entry, struct err *err);
MUST_CHECK int layertar_end(struct stream *stream,
			    const struct tar_options *options, struct err *err);

#endif
