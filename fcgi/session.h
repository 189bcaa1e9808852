// SPDX-License-Identifier: MIT
#ifndef FCGI_SESSION_H
#define FCGI_SESSION_H

#include <sys/types.h>

/*
 * A builder leads a session of its own. What is left in there when it has
 * ended is ended, too: SIGTERM, half a second, SIGKILL. Most of it hears a
 * death signal or the end of a lifeline (common/spawn.h) besides; what is not
 * ours to start, git's and Nix's own, hears none.
 *
 * The leader must not have been reaped, or its number might be another's.
 */
void session_end(pid_t leader);

#endif
