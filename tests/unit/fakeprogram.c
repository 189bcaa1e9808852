// SPDX-License-Identifier: MIT
#include "tests/unit/fakeprogram.h"

#include "tests/unit/check.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "common/alloc.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

void fakeprogram_write(const char *folder, const char *name, const char *script)
{
	autofree char *path = xasprintf("%s/%s", folder, name);
	autofree char *text = xasprintf("#!/bin/sh\n%s\n", script);

	scratch_write(path, text, strlen(text));
	assert_int_equal(chmod(path, 0755), 0);
}

void fakeprogram_use(const char *folder)
{
	/* putenv(3) keeps the string. */
	static char *path;
	char *before = path;

	path = xasprintf("PATH=%s:/usr/bin:/bin", folder);
	assert_int_equal(putenv(path), 0);
	free(before);
}
