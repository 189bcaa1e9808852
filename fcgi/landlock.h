// SPDX-License-Identifier: MIT
#ifndef FCGI_LANDLOCK_H
#define FCGI_LANDLOCK_H

#include <stdbool.h>

/*
 * From here on this thread, and those that it starts, open files for reading
 * alone, whatever the call: they write, truncate, make, rename, remove and
 * run none. False where the kernel has no Landlock, or one that knows nothing
 * of truncation (before Linux 6.2).
 */
bool landlock_forbid_writing(void);

#endif
