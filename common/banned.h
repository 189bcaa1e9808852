// SPDX-License-Identifier: MIT
#ifndef COMMON_BANNED_H
#define COMMON_BANNED_H

/*
 * Functions that are not used here, as compile errors. Included last in each
 * .c file: the C library's own headers must have been read before.
 */

#define BANNED(func) sorry_##func##_is_a_banned_function

#undef strcpy
#define strcpy(x, y) BANNED(strcpy)
#undef strcat
#define strcat(x, y) BANNED(strcat)
#undef strncpy
#define strncpy(x, y, n) BANNED(strncpy)
#undef sprintf
#define sprintf(...) BANNED(sprintf)
#undef strtok
#define strtok(x, y) BANNED(strtok)
#undef atoi
#define atoi(x) BANNED(atoi)
#undef gmtime
#define gmtime(t) BANNED(gmtime)
#undef system
#define system(x) BANNED(system)
#undef popen
#define popen(x, y) BANNED(popen)
#undef setenv
#define setenv(x, y, z) BANNED(setenv)

#endif
