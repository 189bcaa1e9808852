// SPDX-License-Identifier: MIT
#ifndef COMMON_SOURCE_KINDS_H
#define COMMON_SOURCE_KINDS_H

#include "common/source.h"

/* The kinds of sources, one file each; source.c has them in its table. */

/* A conf of dockerTools' or flakehubTools' streamLayeredImage (conf.h). */
extern const struct source_kind source_conf;

#endif
