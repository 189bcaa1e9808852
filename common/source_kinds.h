// SPDX-License-Identifier: MIT
#ifndef COMMON_SOURCE_KINDS_H
#define COMMON_SOURCE_KINDS_H

#include "common/source.h"

/* The kinds of sources, one file each; source.c has them in its table. */

/* A conf of dockerTools' or flakehubTools' streamLayeredImage (conf.h). */
extern const struct source_kind source_conf;
/* The script that streamLayeredImage builds: its conf is taken instead. */
extern const struct source_kind source_script;
/* nix2container's JSON. */
extern const struct source_kind source_n2c;
/* A docker-archive, of `docker save`, skopeo or dockerTools.buildImage. */
extern const struct source_kind source_archive;
/* An OCI image layout, a directory or a tar. */
extern const struct source_kind source_oci;
/* A plain package: a directory, or a file that can be run. Takes what is left. */
extern const struct source_kind source_package;

#endif
