// SPDX-License-Identifier: MIT
#ifndef CLI_CHILDREN_H
#define CLI_CHILDREN_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/err.h"

/*
 * All processes that this one and its children started, whatever group or
 * session they made their own: being their subreaper, this process inherits
 * those whose parent ends.
 */

/* Become the subreaper of what is started from now on. */
MUST_CHECK int children_adopt(struct err *err);

/*
 * Wait for all children that have ended, and call ended with each. Returns
 * whether there are any left.
 */
bool children_reap(void (*ended)(void *arg, pid_t pid, int status), void *arg);

/*
 * End every descendant and wait for it: SIGTERM, after 5 s or another signal
 * from the descriptor of signalfd(2), SIGKILL.
 */
void children_end(int signals);

#endif
