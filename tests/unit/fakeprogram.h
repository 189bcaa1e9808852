// SPDX-License-Identifier: MIT
#ifndef TESTS_UNIT_FAKEPROGRAM_H
#define TESTS_UNIT_FAKEPROGRAM_H

/*
 * Programs that stand in for nix and git on PATH, for what the real ones here
 * do not say: other versions' output, and failures. That the real ones are
 * understood is for the system tests.
 */

/* Make the shell script the program of that name in folder. */
void fakeprogram_write(const char *folder, const char *name,
		       const char *script);

/* Look for programs in folder first. */
void fakeprogram_use(const char *folder);

#endif
