// SPDX-License-Identifier: MIT
#ifndef FCGI_EXCHANGE_H
#define FCGI_EXCHANGE_H

#include <fcgiapp.h>

#include "fcgi/endpoint.h"
#include "fcgi/kept.h"

/* How a wait ended. */
enum fate {
	FATE_BUILT,
	FATE_FAILED,  /* exchange.status is the builder's, as of wait(2) */
	FATE_BUSY,    /* too many builds, or too many that wait for one */
	FATE_HELD,    /* as long as a client is patient, see retry.h */
	FATE_LEFT,    /* the client went away */
	FATE_DRAINED, /* this process ends */
};

/*
 * An exchange is one request in our hands, with its connection to the web
 * server, until it is answered. It belongs to one thread at a time: a worker,
 * then perhaps the waiter's list, then who answers it. Its address never
 * changes, as libfcgi's streams point into it.
 */
struct exchange {
	FCGX_Request fcgi;
	struct kept *kept; /* where its connection goes when it is reusable */
	struct request request;
	struct target target;
	struct call call;
	unsigned int id;
	int64_t arrived_ms;

	/* The waiter's while it waits, see fcgi/waiter.h. */
	struct exchange *prev, *next;
	struct waiting *waiting;
	int64_t parked_ms;
	int64_t deadline_ms;
	int64_t build_started_ms;
	enum fate fate;
	int status;
};

/*
 * Wait for a connection, and take its request. NULL with errno: EINTR, or
 * EBADMSG for one that brought none, or that of accept(2). The signal, which must be
 * blocked and have a handler, is let through only while nothing has come yet:
 * libfcgi takes EINTR for an error of the connection.
 */
#define EXCHANGE_WAKE_SIGNAL SIGUSR2
struct exchange *exchange_accept(int listener, struct kept *kept);

/*
 * Take the request of a connection that has brought something. NULL if that
 * was none, or its end; it is closed then.
 */
struct exchange *exchange_receive(int fd, struct kept *kept);

/*
 * Answer it, and finish and free it unless that has to wait: with
 * ANSWER_LATER it is still the caller's. What is to be built for that, or
 * behind an answer, goes to *order.
 */
enum answer exchange_answer(struct exchange *exchange,
			    const struct service *service, struct order *order);

/* Answer for good and free it, after its order has ended. */
void exchange_resume(struct exchange *exchange, const struct service *service,
		     enum turn turn, const struct err *failure);

/*
 * Send the client to itself, which starts its timers anew; free it. That is
 * only for an exchange with hops left.
 */
void exchange_redirect(struct exchange *exchange);
bool exchange_has_hops(const struct exchange *exchange);

/* Answer with an error and free it. */
void exchange_refuse(struct exchange *exchange, enum problem problem,
		     const char *format, ...) PRINTF_LIKE(3, 4);

/* The client has left: free it. */
void exchange_abandon(struct exchange *exchange);

#endif
