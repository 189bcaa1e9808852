// SPDX-License-Identifier: MIT
#include "common/descriptor.h"

#include <assert.h>
#include <string.h>

#include "common/banned.h"

#define OCI "application/vnd.oci.image."

static const char *const names[MEDIA_TYPES] = {
	[MEDIA_NONE] = "application/octet-stream",
	[MEDIA_INDEX] = OCI "index.v1+json",
	[MEDIA_MANIFEST] = OCI "manifest.v1+json",
	[MEDIA_CONFIG] = OCI "config.v1+json",
	[MEDIA_LAYER] = OCI "layer.v1.tar",
	[MEDIA_LAYER_GZIP] = OCI "layer.v1.tar+gzip",
	[MEDIA_LAYER_ZSTD] = OCI "layer.v1.tar+zstd",
};

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
