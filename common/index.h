// SPDX-License-Identifier: MIT
#ifndef COMMON_INDEX_H
#define COMMON_INDEX_H

#include <stdbool.h>
#include <stddef.h>

#include "common/descriptor.h"
#include "common/strbuf.h"

/*
 * An OCI image index: manifests of one image for several platforms
 * (image-spec, image-index.md). A platform is what the image config says, not
 * what a Nix system is called.
 */

#define PLATFORM_WORD_SIZE 32

/*
 * Is it what a GOOS, a GOARCH or a variant may be: a word of lowercase letters
 * and digits, shorter than PLATFORM_WORD_SIZE, and not empty?
 */
bool platform_is_word(const char *text);

struct platform {
	char os[PLATFORM_WORD_SIZE];
	char architecture[PLATFORM_WORD_SIZE];
	char variant[PLATFORM_WORD_SIZE]; /* or "" */
};

struct index_member {
	struct descriptor manifest;
	struct platform platform;
};

struct image_index {
	struct index_member *members;
	size_t nr;
};

#define IMAGE_INDEX_INIT                                                       \
	{                                                                      \
		.members = NULL, .nr = 0                                       \
	}

void index_release(struct image_index *index);
#define autoindex __attribute__((cleanup(index_release))) struct image_index

/* The platform of an image config of len bytes. */
MUST_CHECK int platform_parse(struct platform *platform, const char *config,
			      size_t len, struct err *err);
/* What Nix calls a system, as a platform; false if no image is for it. */
bool platform_of_system(struct platform *platform, const char *system);
bool platform_equal(const struct platform *a, const struct platform *b);

/* Append the index: compact JSON, the members in their order. */
void index_format(struct strbuf *out, const struct image_index *index);

/* Parse what index_format() wrote; name is for messages. */
MUST_CHECK int index_parse(struct image_index *index, const char *text,
			   size_t len, const char *name, struct err *err);

#endif
