// SPDX-License-Identifier: MIT
#ifndef COMMON_DESCRIPTOR_H
#define COMMON_DESCRIPTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/digest.h"

/*
 * What names a blob wherever one is named: its media type, digest and size
 * (image-spec, descriptor.md). Always the three together.
 */

enum media_type {
	MEDIA_NONE, /* any other: "application/octet-stream" */
	MEDIA_INDEX,
	MEDIA_MANIFEST,
	MEDIA_CONFIG,
	MEDIA_LAYER,
	MEDIA_LAYER_GZIP,
	MEDIA_LAYER_ZSTD,
	/* Docker's own for the same, which clients take as well. */
	MEDIA_DOCKER_INDEX,
	MEDIA_DOCKER_MANIFEST,
	MEDIA_DOCKER_CONFIG,
	MEDIA_DOCKER_LAYER,
	MEDIA_DOCKER_LAYER_GZIP,
	MEDIA_DOCKER_LAYER_ZSTD,
	MEDIA_TYPES, /* how many there are */
};

struct descriptor {
	enum media_type media_type;
	struct digest digest;
	uint64_t size; /* bytes */
};

bool descriptor_equal(const struct descriptor *a, const struct descriptor *b);

/* "application/vnd.oci.image.manifest.v1+json" and so on; static. */
const char *media_type_name(enum media_type type);

/* The type of that name, or MEDIA_NONE. */
enum media_type media_type_parse(const char *name);

/* OCI's or Docker's. */
bool media_type_is_index(enum media_type type);
bool media_type_is_manifest(enum media_type type);
bool media_type_is_config(enum media_type type);

#endif
