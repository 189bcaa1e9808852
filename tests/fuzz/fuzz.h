// SPDX-License-Identifier: MIT
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/json.h"

/*
 * A fuzz target is a function that is given any bytes and ends the process
 * where something is not as it must be. Linked with libFuzzer it is given
 * what reaches new code (`make fuzz`); linked with run.c it is a test
 * of the files in tests/fuzz/corpus/ and of what is near them.
 */
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* End the process, and say why, unless it is so. */
#define need(claim)                                                            \
	do {                                                                   \
		if (!(claim))                                                  \
			fuzz_fail(__FILE__, __LINE__, #claim);                 \
	} while (0)
void fuzz_fail(const char *file, int line, const char *claim)
	__attribute__((noreturn));

/* The same text, or the process ends and both are shown. */
void fuzz_need_same(const char *got, const char *want);

/* An error has a code, and a message that ends within its array. */
void fuzz_need_error(const struct err *err);

/* Bytes that stand in inputs in a secret's place, and must not be in s. */
#define FUZZ_SECRET "SECRET"
void fuzz_need_no_secret(const char *s);

/* A copy with a NUL behind it, and nothing behind that; up to a NUL in it. */
char *fuzz_string(const unsigned char *data, size_t size);

/*
 * The next part of an input of several, which end in a line "%%" each: *part
 * has *len bytes, and data and size are of what is left. False at the end.
 */
bool fuzz_part(const unsigned char **data, size_t *size,
	       const unsigned char **part, size_t *len);

/* A folder of this process's own, gone when it ends. */
const char *fuzz_folder(void);

/*
 * Write a file in that folder, of a time of its own, so that nobody takes it
 * for the one before. Returns its path, which is valid until the next call.
 */
const char *fuzz_file(const char *name, const void *data, size_t len);

/* The JSON of these bytes; NULL, after a look at the error, if it is none. */
struct json_object *fuzz_json(const unsigned char *data, size_t size);

#endif
