// SPDX-License-Identifier: MIT
#ifndef FCGI_SESSION_H
#define FCGI_SESSION_H

#include <sys/types.h>

/*
 * A builder leads a session of its own. What is left in there when it has
 * ended is ended, too: SIGTERM, half a second, SIGKILL. Death signals alone do
 * not do it: bubblewrap sets that of its child late, and a child whose parent
 * was killed in between waits for it for ever (0.8, tried).
 *
 * The leader must not have been reaped, or its number might be another's.
 */
void session_end(pid_t leader);

#endif
