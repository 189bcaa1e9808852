// SPDX-License-Identifier: MIT
#ifndef COMMON_TELLER_H
#define COMMON_TELLER_H

#include "common/layer.h"

/*
 * A teller tells a struct layer_progress, or nobody if that is NULL, what the
 * threads that make layers do: one call at a time.
 */
struct teller;

struct teller *teller_new(const struct layer_progress *to);
void teller_free(struct teller *teller);

void teller_bytes(struct teller *teller, uint64_t tar_bytes);
void teller_layer(struct teller *teller, const struct layer_input *input,
		  const struct layer *layer, bool made);
void teller_warn(struct teller *teller, const char *format, ...)
	PRINTF_LIKE(2, 3);

#endif
