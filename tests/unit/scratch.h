// SPDX-License-Identifier: MIT
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

/*
 * A folder of a test's own below /tmp, gone when the test ends. What fails
 * here ends the test.
 */

/* Make one; the caller passes it to scratch_remove(). */
char *scratch_make(void);
/* Remove it with all that is in it, whatever the modes, and free path. */
void scratch_remove(char *path);

/* Make a folder, and those above it. */
void scratch_mkdir(const char *path);
/* Write a file of that content. */
void scratch_write(const char *path, const void *data, unsigned long len);

#endif
