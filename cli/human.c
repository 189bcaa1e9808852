// SPDX-License-Identifier: MIT
#include "cli/human.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/err.h"

#include "common/banned.h"

const char *human_bytes(uint64_t bytes, char out[HUMAN_SIZE])
{
	static const char *const units[] = { "kB", "MB", "GB", "TB" };
	double n = (double)bytes / 1000;
	size_t unit = 0;

	if (bytes < 1000) {
		snprintf(out, HUMAN_SIZE, "%" PRIu64 " B", bytes);
		return out;
	}
	while (n >= 999.95 && unit + 1 < ARRAY_SIZE(units)) {
		n /= 1000;
		unit++;
	}
	snprintf(out, HUMAN_SIZE, "%.1f %s", n, units[unit]);
	return out;
}

const char *human_duration(int64_t seconds, char out[HUMAN_SIZE])
{
	static const struct {
		const char *name;
		int64_t seconds;
	} units[] = {
		{ "day", 86400 },
		{ "hour", 3600 },
		{ "minute", 60 },
		{ "second", 1 },
	};
	size_t unit = 0;
	int64_t n;

	if (seconds < 0)
		seconds = 0;
	while (unit + 1 < ARRAY_SIZE(units) &&
	       seconds < 2 * units[unit].seconds)
		unit++;
	n = seconds / units[unit].seconds;
	snprintf(out, HUMAN_SIZE, "%" PRId64 " %s%s", n, units[unit].name,
		 n == 1 ? "" : "s");
	return out;
}
