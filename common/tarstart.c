// SPDX-License-Identifier: MIT
#include "common/tarstart.h"

#include <string.h>

#include "common/banned.h"

void tar_start_add(struct tar_start *start, const void *data, size_t len)
{
	size_t left = TAR_BLOCK - start->nr;

	if (len > left)
		len = left;
	memcpy(start->block + start->nr, data, len);
	start->nr += len;
}

bool tar_is_header(const char block[TAR_BLOCK])
{
	const size_t at = 148, end = 156;
	long sum = 0, with_sign = 0, said = 0;
	size_t i;

	for (i = 0; i < TAR_BLOCK; i++) {
		char c = i < at || i >= end ? block[i] : ' ';

		sum += (unsigned char)c;
		with_sign += (signed char)c;
	}
	for (i = at; i < end && block[i] == ' ';)
		i++;
	for (; i < end && block[i] >= '0' && block[i] <= '7'; i++)
		said = said * 8 + (block[i] - '0');
	return said == sum || said == with_sign;
}

bool tar_start_is_tar(const struct tar_start *start)
{
	static const char zeros[TAR_BLOCK];

	if (!start->nr)
		return true;
	return start->nr == TAR_BLOCK &&
	       (!memcmp(start->block, zeros, TAR_BLOCK) ||
		tar_is_header(start->block));
}
