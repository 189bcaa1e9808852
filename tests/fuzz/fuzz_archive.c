// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/archive.h"
#include "tests/fuzz/fakestore.h"

#include "common/banned.h"

/*
 * An output that is a tar: a docker-archive, or an OCI image layout. The
 * checksums of its headers are put right first, else hardly any would be
 * looked at; what is compressed stays as it is.
 */

#define BLOCK	    512
#define SIZE_AT	    124
#define CHECKSUM_AT 148

static void put_checksum(unsigned char *header)
{
	unsigned int sum = 0;
	char text[8];

	memset(header + CHECKSUM_AT, ' ', 8);
	for (size_t i = 0; i < BLOCK; i++)
		sum += header[i];
	snprintf(text, sizeof(text), "%06o", sum & 0777777);
	memcpy(header + CHECKSUM_AT, text, 7);
}

static void put_checksums(unsigned char *tar, size_t len)
{
	size_t at = 0;

	while (len - at >= BLOCK) {
		unsigned char *header = tar + at;
		char text[13] = "";
		size_t size;

		if (!header[0] && !memcmp(header, header + 1, BLOCK - 1)) {
			at += BLOCK;
			continue;
		}
		put_checksum(header);
		memcpy(text, header + SIZE_AT, 12);
		size = strtoull(text, NULL, 8);
		at += BLOCK;
		if (size > len - at)
			return;
		size = (size + BLOCK - 1) / BLOCK * BLOCK;
		at = size > len - at ? len : at + size;
	}
}

static int count(void *arg, const void *data, size_t len, struct err *err)
{
	*(size_t *)arg += len;
	return 0;
}

/* Whatever is a member's name: it is resolved to one that has bytes. */
static void check_layer(const struct archive_layer *layer, size_t size)
{
	autofree char *name = NULL;
	struct err err = ERR_INIT;
	size_t len = 0;

	need(!archive_resolve(STORE_OUTPUT, layer->member, &name, &err));
	fuzz_need_same(name, layer->member);
	need(!archive_stream(STORE_OUTPUT, name, count, &len, &err));
	need(len <= size);
}

static void check_archive(size_t size, bool compressed)
{
	autoarchiveimage image = ARCHIVE_IMAGE_INIT;
	struct err err = ERR_INIT;

	if (archive_image_read(&image, STORE_OUTPUT, &err)) {
		fuzz_need_error(&err);
		return;
	}
	for (size_t i = 0; i < image.nr; i++)
		check_layer(&image.layers[i], compressed ? SIZE_MAX : size);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	autofree unsigned char *tar = xmalloc(size + 1);
	bool compressed = size > 6 && (!memcmp(data, "\x1f\x8b", 2) ||
				       !memcmp(data, "\x28\xb5\x2f\xfd", 4) ||
				       !memcmp(data, "\xfd\x37zXZ", 6) ||
				       !memcmp(data, "BZh", 3));

	if (size)
		memcpy(tar, data, size);
	if (!compressed)
		put_checksums(tar, size);
	fakestore_write("", tar, size);
	check_archive(size, compressed);
	fakestore_open(&source_archive);
	fakestore_open(&source_oci);
	return 0;
}
