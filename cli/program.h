// SPDX-License-Identifier: MIT
#ifndef CLI_PROGRAM_H
#define CLI_PROGRAM_H

#include "common/err.h"

/* A program is looked for on PATH, and then where servers are installed. */

/*
 * The absolute path of a program; the caller frees it. ERR_REFUSED if there
 * is none of that name.
 */
MUST_CHECK int program_find(const char *name, char **path, struct err *err);

/*
 * A program of ours, which is beside this one or on PATH; "flakehub" is this
 * one itself. Likewise.
 */
MUST_CHECK int program_find_own(const char *name, char **path, struct err *err);

#endif
