// SPDX-License-Identifier: MIT
#ifndef FCGI_WAITER_H
#define FCGI_WAITER_H

#include "fcgi/exchange.h"

/*
 * The waiter holds the exchanges that wait for a build, so that no worker
 * has to: it asks the keeper for the builds, one order however many wait for
 * it, and watches the keeper, the clients' connections and the deadlines. It
 * never blocks and answers nobody itself: what has come to an end is taken
 * from it by waiter_next(). Every function but waiter_run() may be called
 * from any thread.
 */
struct waiter;

struct waiter_limits {
	int64_t hold_ms;  /* before a client is sent to itself */
	int64_t build_ms; /* the same when it has followed that often enough */
	size_t parked;	  /* exchanges at once */
};

/* keeper is our end of its socket, not the waiter's to close. Or NULL. */
struct waiter *waiter_new(int keeper, const struct waiter_limits *limits,
			  struct err *err);
/* Only when nobody is parked. */
void waiter_free(struct waiter *waiter);

/*
 * Take the exchange until the order has ended. False if it is not taken,
 * because too many are or because this process ends; it is the caller's then,
 * with its fate in exchange->fate: FATE_BUSY or FATE_DRAINED.
 */
bool waiter_park(struct waiter *waiter, struct exchange *exchange,
		 const struct order *order);

/* Have it built though nobody waits for it. */
void waiter_refresh(struct waiter *waiter, const struct order *order);

/*
 * Watch until the keeper is gone or, if SIGTERM or SIGINT came, which must be
 * blocked, true. Nothing is parked any more from then on; waiter_next() ends
 * when it has given away what was.
 */
bool waiter_run(struct waiter *waiter);

/* An exchange whose wait has ended, the caller's now; NULL at the end. */
struct exchange *waiter_next(struct waiter *waiter);

#endif
