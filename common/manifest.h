// SPDX-License-Identifier: MIT
#ifndef COMMON_MANIFEST_H
#define COMMON_MANIFEST_H

#include <stddef.h>

#include "common/descriptor.h"
#include "common/strbuf.h"

struct json_object;

/*
 * An OCI image manifest (image-spec, manifest.md): compact JSON with the keys
 * schemaVersion, mediaType, config, layers, annotations in this order. The
 * same descriptors and annotations give the same bytes.
 */

/*
 * Append the manifest's bytes. annotations is an object of strings or NULL.
 */
void manifest_format(struct strbuf *out, const struct descriptor *config,
		     const struct descriptor *layers, size_t nr,
		     struct json_object *annotations);

#endif
