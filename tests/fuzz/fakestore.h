// SPDX-License-Identifier: MIT
#ifndef TESTS_FUZZ_FAKESTORE_H
#define TESTS_FUZZ_FAKESTORE_H

#include "common/source_kinds.h"

/*
 * A store of a few paths, for what reads outputs: an output, which is what is
 * fuzzed, needs three packages, a layer with its checksum, and an archive.
 */
#define STORE_OUTPUT "/nix/store/00000000000000000000000000000000-output"
#define STORE_HELLO  "/nix/store/11111111111111111111111111111111-hello-2.12"
#define STORE_TOP    "/nix/store/22222222222222222222222222222222-top"
#define STORE_CONF   "/nix/store/33333333333333333333333333333333-a-conf.json"

/* Write the output: a file, or with a name a file below it. */
void fakestore_write(const char *name, const void *data, size_t len);

/* The output is a folder, and an empty one. */
void fakestore_empty(void);

/*
 * Is the output of the kind? If so it is opened, and all that a source says
 * of itself is looked at: its inputs go to JSON and back, and have keys. True
 * if it could be opened.
 */
bool fakestore_open(const struct source_kind *kind);

#endif
