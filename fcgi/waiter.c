// SPDX-License-Identifier: MIT
#include "fcgi/waiter.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"

#include "common/banned.h"

/* A doubly linked list of exchanges; one is on one list at a time. */
struct queue {
	struct exchange *first, *last;
};

/* A build that the keeper was asked for, and who waits for it. */
struct waiting {
	struct waiting *next;
	struct digest key;
	struct order order;
	bool is_sent;
	int64_t started_ms;
	struct queue queue;
};

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t ended; /* the last queue has grown, or is complete */
	int keeper, epoll, wake, signals;
	struct waiter_limits limits;
	struct waiting *waitings;
	size_t parked;
	int64_t sleeps_until_ms;
	bool is_over;	   /* nothing is parked any more */
	struct queue done; /* whose wait has ended */
};

static void queue_add(struct queue *queue, struct exchange *exchange)
{
	exchange->next = NULL;
	exchange->prev = queue->last;
	if (queue->last)
		queue->last->next = exchange;
	else
		queue->first = exchange;
	queue->last = exchange;
}

static void queue_remove(struct queue *queue, struct exchange *exchange)
{
	if (exchange->prev)
		exchange->prev->next = exchange->next;
	else
		queue->first = exchange->next;
	if (exchange->next)
		exchange->next->prev = exchange->prev;
	else
		queue->last = exchange->prev;
}

/* 0, or -1 and errno. */
static int watch(const struct waiter *waiter, int fd, uint32_t events,
		 void *ptr)
{
	struct epoll_event event = { .events = events, .data.ptr = ptr };

	return epoll_ctl(waiter->epoll, EPOLL_CTL_ADD, fd, &event);
}

struct waiter *waiter_new(int keeper, const struct waiter_limits *limits,
			  struct err *err)
{
	struct waiter *waiter = xcalloc(1, sizeof(*waiter));
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_mutex_init(&waiter->lock, NULL);
	pthread_cond_init(&waiter->ended, NULL);
	waiter->keeper = keeper;
	waiter->limits = *limits;
	waiter->epoll = epoll_create1(EPOLL_CLOEXEC);
	waiter->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	waiter->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (waiter->epoll < 0 || waiter->wake < 0 || waiter->signals < 0 ||
	    watch(waiter, keeper, EPOLLIN, &waiter->keeper) ||
	    watch(waiter, waiter->wake, EPOLLIN, &waiter->wake) ||
	    watch(waiter, waiter->signals, EPOLLIN, &waiter->signals)) {
		err_errno(err, "cannot watch connections");
		waiter_free(waiter);
		return NULL;
	}
	return waiter;
}

void waiter_free(struct waiter *waiter)
{
	while (waiter->waitings) {
		struct waiting *next = waiter->waitings->next;

		assert(!waiter->waitings->queue.first);
		free(waiter->waitings);
		waiter->waitings = next;
	}
	cleanup_close(&waiter->epoll);
	cleanup_close(&waiter->wake);
	cleanup_close(&waiter->signals);
	pthread_cond_destroy(&waiter->ended);
	pthread_mutex_destroy(&waiter->lock);
	free(waiter);
}

/* All below but the public functions at the end hold the lock. */

static void wake(const struct waiter *waiter)
{
	const uint64_t one = 1;

	/* It cannot fail but when it is to be woken already. */
	if (write(waiter->wake, &one, sizeof(one)) < 0)
		return;
}

static struct waiting **find(struct waiter *waiter, const struct digest *key)
{
	struct waiting **p = &waiter->waitings;

	while (*p && !digest_equal(&(*p)->key, key))
		p = &(*p)->next;
	return p;
}

/* Send it, unless the keeper's buffer is full: then when it is not. */
static void send_order(struct waiter *waiter, struct waiting *waiting)
{
	char text[ORDER_STR_SIZE];
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT,
				     .data.ptr = &waiter->keeper };

	order_str(&waiting->order, text);
	waiting->is_sent = send(waiter->keeper, text, strlen(text),
				MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
	if (!waiting->is_sent)
		epoll_ctl(waiter->epoll, EPOLL_CTL_MOD, waiter->keeper, &event);
}

static void send_orders(struct waiter *waiter)
{
	struct epoll_event event = { .events = EPOLLIN,
				     .data.ptr = &waiter->keeper };

	epoll_ctl(waiter->epoll, EPOLL_CTL_MOD, waiter->keeper, &event);
	for (struct waiting *w = waiter->waitings; w; w = w->next)
		if (!w->is_sent)
			send_order(waiter, w);
}

static struct waiting *join(struct waiter *waiter, const struct order *order)
{
	struct digest key;
	struct waiting **p, *waiting;

	order_key(order, &key);
	p = find(waiter, &key);
	waiting = *p;
	if (waiting)
		return waiting;
	waiting = xcalloc(1, sizeof(*waiting));
	waiting->key = key;
	waiting->order = *order;
	waiting->started_ms = clock_monotonic_ms();
	*p = waiting;
	send_order(waiter, waiting);
	return waiting;
}

/* No longer parked; whose it is next, the caller says. */
static void unpark(struct waiter *waiter, struct exchange *exchange)
{
	epoll_ctl(waiter->epoll, EPOLL_CTL_DEL, exchange->fcgi.ipcFd, NULL);
	queue_remove(&exchange->waiting->queue, exchange);
	exchange->build_started_ms = exchange->waiting->started_ms;
	exchange->waiting = NULL;
	waiter->parked--;
}

static void end_wait(struct waiter *waiter, struct exchange *exchange,
		     enum fate fate, int status)
{
	unpark(waiter, exchange);
	exchange->fate = fate;
	exchange->status = status;
	queue_add(&waiter->done, exchange);
	pthread_cond_signal(&waiter->ended);
}

static void end_all(struct waiter *waiter, struct waiting *waiting,
		    enum fate fate, int status)
{
	while (waiting->queue.first)
		end_wait(waiter, waiting->queue.first, fate, status);
}

static void take_notice(struct waiter *waiter, const struct notice *notice)
{
	struct waiting **p = find(waiter, &notice->key);
	struct waiting *waiting = *p;

	if (!waiting)
		return;
	switch (notice->kind) {
	case NOTICE_UNDER_WAY:
		waiting->started_ms = notice->started_ms;
		return;
	case NOTICE_BUSY:
		end_all(waiter, waiting, FATE_BUSY, 0);
		break;
	case NOTICE_ENDED:
		end_all(waiter, waiting,
			notice->status ? FATE_FAILED : FATE_BUILT,
			notice->status);
		break;
	}
	*p = waiting->next;
	free(waiting);
}

/* False when the keeper is gone. */
static bool hear_keeper(struct waiter *waiter)
{
	for (;;) {
		struct notice notice;
		ssize_t n = recv(waiter->keeper, &notice, sizeof(notice),
				 MSG_DONTWAIT);

		if (n == sizeof(notice)) {
			take_notice(waiter, &notice);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		return n < 0 && errno == EAGAIN;
	}
}

static void end_overdue(struct waiter *waiter, int64_t now)
{
	struct exchange *next;

	for (struct waiting *w = waiter->waitings; w; w = w->next)
		for (struct exchange *e = w->queue.first; e; e = next) {
			next = e->next;
			if (e->deadline_ms <= now)
				end_wait(waiter, e, FATE_HELD, 0);
		}
}

static int64_t next_deadline(const struct waiter *waiter)
{
	int64_t next = INT64_MAX;

	for (const struct waiting *w = waiter->waitings; w; w = w->next)
		for (const struct exchange *e = w->queue.first; e; e = e->next)
			if (e->deadline_ms < next)
				next = e->deadline_ms;
	return next;
}

/* As epoll_wait(2) takes it; rounded up, so as not to wake too early. */
static int timeout_until(int64_t deadline_ms)
{
	int64_t left = deadline_ms - clock_monotonic_ms();

	if (deadline_ms == INT64_MAX)
		return -1;
	if (left < 0)
		return 0;
	return left < 60000 ? (int)left + 1 : 60000;
}

struct news {
	bool keeper_spoke, keeper_listens, is_signalled;
};

static void take_event(struct waiter *waiter, const struct epoll_event *event,
		       struct news *news)
{
	void *ptr = event->data.ptr;
	uint64_t count;

	if (ptr == &waiter->keeper) {
		news->keeper_spoke = event->events & ~(uint32_t)EPOLLOUT;
		news->keeper_listens = event->events & EPOLLOUT;
	} else if (ptr == &waiter->signals) {
		news->is_signalled = true;
	} else if (ptr == &waiter->wake) {
		if (read(waiter->wake, &count, sizeof(count)) < 0)
			return;
	} else {
		end_wait(waiter, ptr, FATE_LEFT, 0);
	}
}

/*
 * Clients that left first: an exchange whose wait ends is another thread's at
 * once, and an event that points to it may be in the same batch.
 */
static bool take_events(struct waiter *waiter, const struct epoll_event *events,
			int nr, bool *is_signalled)
{
	struct news news = { .is_signalled = false };
	bool has_keeper = true;

	for (int i = 0; i < nr; i++)
		take_event(waiter, &events[i], &news);
	if (news.keeper_listens)
		send_orders(waiter);
	if (news.keeper_spoke)
		has_keeper = hear_keeper(waiter);
	end_overdue(waiter, clock_monotonic_ms());
	*is_signalled = news.is_signalled;
	return has_keeper && !news.is_signalled;
}

static void give_up(struct waiter *waiter)
{
	waiter->is_over = true;
	for (struct waiting *w = waiter->waitings; w; w = w->next)
		end_all(waiter, w, FATE_DRAINED, 0);
	pthread_cond_broadcast(&waiter->ended);
}

bool waiter_run(struct waiter *waiter)
{
	bool goes_on = true, is_signalled = false;

	while (goes_on) {
		struct epoll_event events[64];
		int n, timeout;

		pthread_mutex_lock(&waiter->lock);
		waiter->sleeps_until_ms = next_deadline(waiter);
		timeout = timeout_until(waiter->sleeps_until_ms);
		pthread_mutex_unlock(&waiter->lock);
		n = epoll_wait(waiter->epoll, events, ARRAY_SIZE(events),
			       timeout);
		if (n < 0 && errno != EINTR)
			abort();
		pthread_mutex_lock(&waiter->lock);
		goes_on = take_events(waiter, events, n, &is_signalled);
		if (!goes_on)
			give_up(waiter);
		pthread_mutex_unlock(&waiter->lock);
	}
	return is_signalled;
}

static bool park(struct waiter *waiter, struct exchange *exchange,
		 const struct order *order)
{
	int64_t patience = exchange_has_hops(exchange)
				   ? waiter->limits.hold_ms
				   : waiter->limits.build_ms;

	exchange->fate = waiter->is_over ? FATE_DRAINED : FATE_BUSY;
	/* EPOLLHUP and EPOLLERR come unasked. */
	if (waiter->is_over || waiter->parked >= waiter->limits.parked ||
	    watch(waiter, exchange->fcgi.ipcFd, EPOLLRDHUP, exchange))
		return false;
	exchange->parked_ms = clock_monotonic_ms();
	exchange->deadline_ms = exchange->arrived_ms + patience;
	exchange->waiting = join(waiter, order);
	queue_add(&exchange->waiting->queue, exchange);
	waiter->parked++;
	if (exchange->deadline_ms < waiter->sleeps_until_ms)
		wake(waiter);
	return true;
}

bool waiter_park(struct waiter *waiter, struct exchange *exchange,
		 const struct order *order)
{
	bool parked;

	pthread_mutex_lock(&waiter->lock);
	parked = park(waiter, exchange, order);
	pthread_mutex_unlock(&waiter->lock);
	return parked;
}

void waiter_refresh(struct waiter *waiter, const struct order *order)
{
	pthread_mutex_lock(&waiter->lock);
	if (!waiter->is_over)
		join(waiter, order);
	pthread_mutex_unlock(&waiter->lock);
}

struct exchange *waiter_next(struct waiter *waiter)
{
	struct exchange *exchange;

	pthread_mutex_lock(&waiter->lock);
	while (!waiter->done.first && !waiter->is_over)
		pthread_cond_wait(&waiter->ended, &waiter->lock);
	exchange = waiter->done.first;
	if (exchange)
		queue_remove(&waiter->done, exchange);
	pthread_mutex_unlock(&waiter->lock);
	return exchange;
}
