// SPDX-License-Identifier: MIT
#include <time.h>

#include "common/clock.h"

#include "common/banned.h"

static int64_t now_ms(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_monotonic_ms(void)
{
	return now_ms(CLOCK_MONOTONIC);
}

int64_t clock_boottime_ms(void)
{
	return now_ms(CLOCK_BOOTTIME);
}

int64_t clock_realtime_ms(void)
{
	return now_ms(CLOCK_REALTIME);
}
