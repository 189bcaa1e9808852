// SPDX-License-Identifier: MIT
#include "common/descriptor.h"

#include <assert.h>
#include <string.h>

#include "common/banned.h"

#define OCI    "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."

static const char *const names[MEDIA_TYPES] = {
	[MEDIA_NONE] = "application/octet-stream",
	[MEDIA_INDEX] = OCI "index.v1+json",
	[MEDIA_MANIFEST] = OCI "manifest.v1+json",
	[MEDIA_CONFIG] = OCI "config.v1+json",
	[MEDIA_LAYER] = OCI "layer.v1.tar",
	[MEDIA_LAYER_GZIP] = OCI "layer.v1.tar+gzip",
	[MEDIA_LAYER_ZSTD] = OCI "layer.v1.tar+zstd",
	[MEDIA_DOCKER_INDEX] = DOCKER "distribution.manifest.list.v2+json",
	[MEDIA_DOCKER_MANIFEST] = DOCKER "distribution.manifest.v2+json",
	[MEDIA_DOCKER_CONFIG] = DOCKER "container.image.v1+json",
	[MEDIA_DOCKER_LAYER] = DOCKER "image.rootfs.diff.tar",
	[MEDIA_DOCKER_LAYER_GZIP] = DOCKER "image.rootfs.diff.tar.gzip",
	[MEDIA_DOCKER_LAYER_ZSTD] = DOCKER "image.rootfs.diff.tar.zstd",
};

bool descriptor_equal(const struct descriptor *a, const struct descriptor *b)
{
	return a->media_type == b->media_type && a->size == b->size &&
	       digest_equal(&a->digest, &b->digest);
}

const char *media_type_name(enum media_type type)
{
	assert(type < MEDIA_TYPES);
	return names[type];
}

enum media_type media_type_parse(const char *name)
{
	for (enum media_type t = MEDIA_INDEX; t < MEDIA_TYPES; t++)
		if (!strcmp(names[t], name))
			return t;
	return MEDIA_NONE;
}

bool media_type_is_index(enum media_type type)
{
	return type == MEDIA_INDEX || type == MEDIA_DOCKER_INDEX;
}

bool media_type_is_manifest(enum media_type type)
{
	return type == MEDIA_MANIFEST || type == MEDIA_DOCKER_MANIFEST;
}

bool media_type_is_config(enum media_type type)
{
	return type == MEDIA_CONFIG || type == MEDIA_DOCKER_CONFIG;
}
