// SPDX-License-Identifier: MIT
#ifndef CLI_HUMAN_H
#define CLI_HUMAN_H

#include <stdint.h>

/* Numbers as people read them. Each writes to out and returns it. */
#define HUMAN_SIZE 32

/* "12.3 MB", in powers of ten, as docker does. */
const char *human_bytes(uint64_t bytes, char out[HUMAN_SIZE]);

/* "3 minutes" of so many seconds; a negative number is "0 seconds". */
const char *human_duration(int64_t seconds, char out[HUMAN_SIZE]);

#endif
