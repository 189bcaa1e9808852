// SPDX-License-Identifier: MIT
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "common/image.h"

/*
 * The line that tells somebody at a terminal how far a build is: what Nix is
 * doing, then layers done, bytes and rate. Without a terminal nothing is
 * shown but warnings.
 */
struct progress;

struct progress *progress_new(int fd);
/* The line goes with it. */
void progress_free(struct progress *progress);
/* What image_build() is to tell; lives as long as the progress. */
const struct image_progress *progress_calls(struct progress *progress);

#endif
