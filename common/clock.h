// SPDX-License-Identifier: MIT
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

/*
 * The clocks that nobody sets, in milliseconds since some moment that is the
 * same for every process until the machine is started anew. What day it is,
 * time(2) says, and CLOCK_REALTIME more exactly.
 */

/* CLOCK_MONOTONIC: for deadlines and how long something took. */
int64_t clock_monotonic_ms(void);

/* CLOCK_BOOTTIME: it goes on while the machine is suspended, so for ages. */
int64_t clock_boottime_ms(void);

/* CLOCK_REALTIME: milliseconds since 1970. It may be set. */
int64_t clock_realtime_ms(void);

#endif
