// SPDX-License-Identifier: MIT
#ifndef COMMON_ARCHIVE_H
#define COMMON_ARCHIVE_H

#include <stddef.h>

#include "common/digest.h"

struct json_object;

/*
 * A docker-archive: a tar, or a tar in gzip, zstd, xz or bzip2, with a
 * manifest.json that names an image config and its layers, as `docker save`,
 * skopeo and dockerTools write it (FORMATS.md §5). Its members are named
 * without a leading "./"; links among them are followed. An archive with an
 * absolute name, a ".." or two members of one name is refused.
 *
 * Nothing is unpacked: members go through in pieces.
 */

/*
 * Give the bytes of a member, as they are stored, to sink, piece by piece
 * and in order; a sink that returns other than 0 has set err and ends it.
 * file: the archive; a path in the store is read by store_open(). member may
 * be a link. ERR_UNKNOWN if it is not there, ERR_MALFORMED if its links lead
 * nowhere or around.
 */
MUST_CHECK int archive_stream(const char *file, const char *member,
			      int (*sink)(void *arg, const void *data,
					  size_t len, struct err *err),
			      void *arg, struct err *err);

/* A layer of an image in an archive, from the bottom up. */
struct archive_layer {
	char *name;   /* as manifest.json has it */
	char *member; /* the member of the bytes: name with links followed */
	struct digest diff_id;
};

/* The first image of an archive. */
struct archive_image {
	struct json_object *config; /* the image config, an object */
	struct archive_layer *layers;
	size_t nr;
};

#define ARCHIVE_IMAGE_INIT                                                     \
	{                                                                      \
		.config = NULL, .layers = NULL, .nr = 0                        \
	}

/*
 * Read what an archive says of its first image. The whole archive is looked
 * through, so every link and every name is known to be right. ERR_MALFORMED
 * names the file, and the key where there is one.
 */
MUST_CHECK int archive_image_read(struct archive_image *image, const char *file,
				  struct err *err);
void archive_image_release(struct archive_image *image);
#define autoarchiveimage                                                       \
	__attribute__((cleanup(archive_image_release))) struct archive_image

#endif
