// SPDX-License-Identifier: MIT
#ifndef COMMON_EXPANSION_H
#define COMMON_EXPANSION_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/layer.h"
#include "common/limits.h"

/*
 * How much the compressed layers of one image become, all together: a bomb in
 * a thousand pieces is one, too. What they may become is a function of the
 * sizes of the files that they lie in, so that it does not matter which of
 * them is unpacked first. Threads may share one.
 *
 * A slow expression in each of a thousand layers is a bomb as well, so their
 * steps are counted here, too (pattern.h).
 */
struct expansion {
	_Atomic uint64_t bytes; /* that came out by now */
	uint64_t max;
	char *file;		/* the last that was counted */
	_Atomic uint64_t steps; /* that the image's expressions took */
};

#define EXPANSION_INIT                                                         \
	{                                                                      \
		.bytes = 0, .max = EXPANSION_FREE, .file = NULL                \
	}

/*
 * These layers, too, are of the image: raise max by what honest ones become
 * that are in files of these sizes. Not while threads use it.
 */
void expansion_allow(struct expansion *expansion,
		     const struct layer_input *inputs, size_t nr);

/* So many bytes more came out; ERR_MALFORMED if that is too much. */
MUST_CHECK int expansion_add(struct expansion *expansion, size_t len,
			     struct err *err);

void expansion_release(struct expansion *expansion);
#define autoexpansion                                                          \
	__attribute__((cleanup(expansion_release))) struct expansion

#endif
