// SPDX-License-Identifier: MIT
#ifndef TESTS_UNIT_CHECK_H
#define TESTS_UNIT_CHECK_H

/* What cmocka wants to be included before it, and it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Fail with the case's name in the text. */
#define check(name, claim)                                                     \
	do {                                                                   \
		if (!(claim))                                                  \
			fail_msg("%s: not so: %s", (name), #claim);            \
	} while (0)

#define check_str(name, got, want)                                             \
	do {                                                                   \
		const char *got_ = (got), *want_ = (want);                     \
		if (strcmp(got_, want_) != 0)                                  \
			fail_msg("%s: got '%s', want '%s'", (name), got_,      \
				 want_);                                       \
	} while (0)

#endif
