// SPDX-License-Identifier: MIT
#ifndef FCGI_RESPONDER_H
#define FCGI_RESPONDER_H

#include <stdint.h>

#include "common/cache.h"
#include "common/settings.h"

/*
 * The responder answers requests out of settings and cache. It runs no
 * program: builds are the keeper's. A few workers take requests and never
 * wait; those that must are the waiter's meanwhile. A process of its own, so
 * that whatever ends it ends no build, and the keeper starts the next.
 */

struct responder {
	const struct settings *settings;
	const struct cache *cache;
	int listener; /* the FastCGI socket */
	int keeper;   /* our end of the socket to the keeper */
	int64_t hold_ms;
};

/*
 * Serve until SIGTERM or SIGINT, which must be blocked, or until the keeper
 * is gone; then finish what is in hand. Returns an exit status.
 */
int responder_run(const struct responder *responder);

#endif
