// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz.h"

#include "tests/fuzz/fakestore.h"

#include "common/banned.h"

/* An output that is nix2container's JSON. */

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	fakestore_write("", data, size);
	fakestore_open(&source_n2c);
	return 0;
}
