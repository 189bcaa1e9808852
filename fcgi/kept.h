// SPDX-License-Identifier: MIT
#ifndef FCGI_KEPT_H
#define FCGI_KEPT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

/*
 * Connections that the web server keeps open from one request to the next
 * (FCGI_KEEP_CONN) and that have none now. However many they are, they hold
 * no thread: they are watched together. For any number of threads.
 */

struct kept;

/* As many as max. NULL is an error. */
MUST_CHECK struct kept *kept_new(size_t max, struct err *err);

/* The connections that are in it are closed. */
void kept_free(struct kept *kept);

/* Keep this one. False, and it is the caller's, where there are too many. */
bool kept_add(struct kept *kept, int fd);

/*
 * Wait until one has brought something, or is closed: the caller's then. -1
 * after the signal, which must be blocked, and is let through here; and when
 * there are none and will be none.
 */
int kept_next(struct kept *kept, int signal);

/* Keep none from now on, and none but those that have brought something. */
void kept_end(struct kept *kept);
bool kept_has_ended(struct kept *kept);

#endif
