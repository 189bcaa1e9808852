// SPDX-License-Identifier: MIT
#ifndef TESTS_UNIT_ARCHIVEFIXTURE_H
#define TESTS_UNIT_ARCHIVEFIXTURE_H

#include <stddef.h>

#include "tests/unit/pack.h"

/*
 * What tests of archives have: the name of one file that each writes anew,
 * below a folder that goes with the program.
 */
extern char archive_file[];

int archivefixture_set_up(void **state);
int archivefixture_tear_down(void **state);

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define MANIFEST(layers)                                                       \
	"[{\"Config\":\"c.json\",\"RepoTags\":null,\"Layers\":" layers "}]"
#define TWO_IDS "[\"sha256:" HEX_A "\",\"sha256:" HEX_B "\"]"
#define CONFIG(ids)                                                            \
	"{\"config\":{\"Env\":[\"A=1\"]},\"rootfs\":{\"diff_ids\":" ids "}}"

/*
 * Write archive_file as `docker save` did it before 25, the second layer a
 * hard link: one/layer.tar is "layer a", two/layer.tar "layer b".
 */
void pack_saved(int filter);

/* Fail unless the archive's member has these bytes. */
void check_member(const char *member, const char *data, size_t len);

#endif
