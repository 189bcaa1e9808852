// SPDX-License-Identifier: MIT
#ifndef COMMON_ARCHIVE_H
#define COMMON_ARCHIVE_H

#include <stddef.h>

#include "common/digest.h"
#include "common/strbuf.h"

struct json_object;

/*
 * A docker-archive: a tar, or a tar in gzip, zstd, xz or bzip2, with a
 * manifest.json that names an image config and its layers, as `docker save`,
 * skopeo and dockerTools write it. Its members are named without a leading
 * "./"; links among them are followed. An archive with an absolute name, a ".."
 * or two members of one name is refused.
 *
 * A compressed one is unpacked once, to a file without a name, and one that
 * expands as only a bomb does is refused; so members can be read in any order,
 * and from any thread, in pieces.
 */

/*
 * The folder for such files, /tmp if none was set; once, before any thread.
 * The descriptor stays the caller's.
 */
void archive_set_spool(int folder);

/*
 * What takes the bytes of a member, piece by piece and in order; one that
 * returns other than 0 has set err and ends it.
 */
typedef int archive_sink(void *arg, const void *data, size_t len,
			 struct err *err);

/*
 * Is the file an archive that has a member of that name? 1, 0, or -1 and an
 * error if it is an archive that cannot be read as one. A path in the store
 * is read by store_open(), here and below.
 */
MUST_CHECK int archive_has(const char *file, const char *member,
			   struct err *err);

/*
 * Why a file is no archive: ERR_MALFORMED if it begins as a compressed one and
 * nothing comes out of it, else 0. For what is nothing else either.
 */
MUST_CHECK int archive_check(const char *file, struct err *err);

/*
 * The name of the member that has the bytes: member, or where its links lead.
 * The caller frees it. ERR_UNKNOWN if it is not there, ERR_MALFORMED if its
 * links lead nowhere or around.
 */
MUST_CHECK int archive_resolve(const char *file, const char *member,
			       char **name, struct err *err);

/* Give the bytes of a member, as they are stored, to sink. */
MUST_CHECK int archive_stream(const char *file, const char *member,
			      archive_sink *sink, void *arg, struct err *err);

/* All of a member of at most max bytes; name is for messages. */
MUST_CHECK int archive_read(const char *file, const char *member, size_t max,
			    struct strbuf *text, const char *name,
			    struct err *err);

/* A layer of an image in an archive, from the bottom up. */
struct archive_layer {
	char *name;   /* as manifest.json has it */
	char *member; /* the member of the bytes: name with links followed */
	struct digest diff_id;
};

/* The first image of an archive: a base image is that, as in nixpkgs. */
struct archive_image {
	struct json_object *config; /* the image config, an object */
	char *config_text;	    /* its bytes */
	char *repo_tag;		    /* the first, or NULL */
	/* What all images of an archive of several are called; or NULL. */
	char *several;
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
