// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <errno.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "fcgi/retry.h"
#include "fcgi/waiter.h"
#include "tests/unit/broken.h"

#include "common/banned.h"

#define LONG_MS 600000

/* A waiter under way, and the keeper's end of its socket. */
struct fixture {
	struct waiter *waiter;
	int ends[2]; /* the keeper's, the waiter's */
	pthread_t thread;
	bool is_signalled;
};

/* An exchange, and the client's end of its connection. */
struct client {
	struct exchange exchange;
	int fd;
};

static void *run(void *arg)
{
	struct fixture *f = arg;

	f->is_signalled = waiter_run(f->waiter);
	return NULL;
}

static void start(struct fixture *f, const struct waiter_limits *limits)
{
	struct err err = ERR_INIT;

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, f->ends),
		0);
	f->waiter = waiter_new(f->ends[1], limits, &err);
	if (!f->waiter)
		fail_msg("%s", err.msg);
	assert_int_equal(pthread_create(&f->thread, NULL, run, f), 0);
}

static void stop(struct fixture *f)
{
	pthread_join(f->thread, NULL);
	assert_null(waiter_next(f->waiter));
	waiter_free(f->waiter);
	close(f->ends[1]);
}

/* The keeper goes, with which the waiter ends. */
static void leave(struct fixture *f)
{
	close(f->ends[0]);
	stop(f);
	assert_false(f->is_signalled);
}

static void connect_client(struct client *c)
{
	int ends[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	memset(&c->exchange, 0, sizeof(c->exchange));
	c->exchange.fcgi.ipcFd = ends[0];
	c->exchange.arrived_ms = clock_monotonic_ms();
	c->fd = ends[1];
}

static void hang_up(struct client *c)
{
	close(c->exchange.fcgi.ipcFd);
	if (c->fd >= 0)
		close(c->fd);
}

static struct order order_of(const char *text)
{
	struct order order;
	struct err err;

	assert_int_equal(order_parse(&order, text, &err), 0);
	return order;
}

static void check_ordered(const struct fixture *f, const char *text)
{
	char got[ORDER_STR_SIZE];
	ssize_t n = recv(f->ends[0], got, sizeof(got) - 1, 0);

	assert_true(n > 0);
	got[n] = 0;
	assert_string_equal(got, text);
}

static void tell(const struct fixture *f, const struct order *order,
		 enum notice_kind kind, int status, int64_t started_ms)
{
	struct notice notice = { .kind = kind,
				 .status = status,
				 .started_ms = started_ms };

	order_key(order, &notice.key);
	assert_int_equal(send(f->ends[0], &notice, sizeof(notice), 0),
			 sizeof(notice));
}

static const struct waiter_limits patient = { .hold_ms = LONG_MS,
					      .build_ms = LONG_MS,
					      .parked = 10 };

/* One order however many wait; all of them hear how it ended. */
static void test_ends(void **state)
{
	static const struct {
		enum notice_kind kind;
		int status;
		enum fate fate;
	} cases[] = {
		{ NOTICE_ENDED, 0, FATE_BUILT },
		{ NOTICE_ENDED, 256, FATE_FAILED },
		{ NOTICE_ENDED, -1, FATE_FAILED },
		{ NOTICE_BUSY, 0, FATE_BUSY },
	};
	const struct order order = order_of("a:latest");
	const struct order other = order_of("b:latest");
	struct fixture f;

	start(&f, &patient);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct client clients[3];

		for (size_t j = 0; j < ARRAY_SIZE(clients); j++) {
			connect_client(&clients[j]);
			assert_true(waiter_park(f.waiter, &clients[j].exchange,
						&order));
		}
		check_ordered(&f, "a:latest");
		/* Of no concern to anybody here. */
		tell(&f, &other, NOTICE_ENDED, 0, 0);
		tell(&f, &order, NOTICE_UNDER_WAY, 0, 77);
		tell(&f, &order, cases[i].kind, cases[i].status, 0);
		for (size_t j = 0; j < ARRAY_SIZE(clients); j++) {
			const struct exchange *e = waiter_next(f.waiter);

			assert_ptr_equal(e, &clients[j].exchange);
			assert_int_equal(e->fate, cases[i].fate);
			assert_int_equal(e->status, cases[i].status);
			assert_int_equal(e->build_started_ms, 77);
			hang_up(&clients[j]);
		}
	}
	leave(&f);
}

static void test_left(void **state)
{
	const struct order order = order_of("a:latest");
	struct client stays, goes;
	struct fixture f;

	start(&f, &patient);
	connect_client(&stays);
	connect_client(&goes);
	assert_true(waiter_park(f.waiter, &stays.exchange, &order));
	assert_true(waiter_park(f.waiter, &goes.exchange, &order));
	close(goes.fd);
	goes.fd = -1;
	assert_ptr_equal(waiter_next(f.waiter), &goes.exchange);
	assert_int_equal(goes.exchange.fate, FATE_LEFT);
	check_ordered(&f, "a:latest");
	tell(&f, &order, NOTICE_ENDED, 0, 0);
	assert_ptr_equal(waiter_next(f.waiter), &stays.exchange);
	assert_int_equal(stays.exchange.fate, FATE_BUILT);
	hang_up(&stays);
	hang_up(&goes);
	leave(&f);
}

/* Who has hops left is held for less; nobody else has to go with him. */
static void test_held(void **state)
{
	const struct waiter_limits limits = { .hold_ms = 30,
					      .build_ms = LONG_MS,
					      .parked = 10 };
	const struct order order = order_of("a:latest");
	struct client waits, hops;
	struct fixture f;

	start(&f, &limits);
	connect_client(&waits);
	connect_client(&hops);
	waits.exchange.request.hops = HOPS_MAX;
	assert_true(waiter_park(f.waiter, &waits.exchange, &order));
	assert_true(waiter_park(f.waiter, &hops.exchange, &order));
	assert_ptr_equal(waiter_next(f.waiter), &hops.exchange);
	assert_int_equal(hops.exchange.fate, FATE_HELD);
	assert_true(clock_monotonic_ms() >= hops.exchange.deadline_ms);
	/* Long overdue when it comes. */
	hops.exchange.arrived_ms -= LONG_MS;
	assert_true(waiter_park(f.waiter, &hops.exchange, &order));
	assert_ptr_equal(waiter_next(f.waiter), &hops.exchange);
	check_ordered(&f, "a:latest");
	tell(&f, &order, NOTICE_ENDED, 0, 0);
	assert_ptr_equal(waiter_next(f.waiter), &waits.exchange);
	hang_up(&waits);
	hang_up(&hops);
	leave(&f);
}

static void test_too_many(void **state)
{
	const struct waiter_limits limits = { .hold_ms = LONG_MS,
					      .build_ms = LONG_MS,
					      .parked = 1 };
	const struct order order = order_of("a:latest");
	struct client first, second;
	struct fixture f;

	start(&f, &limits);
	connect_client(&first);
	connect_client(&second);
	assert_true(waiter_park(f.waiter, &first.exchange, &order));
	assert_false(waiter_park(f.waiter, &second.exchange, &order));
	assert_int_equal(second.exchange.fate, FATE_BUSY);
	tell(&f, &order, NOTICE_ENDED, 0, 0);
	assert_ptr_equal(waiter_next(f.waiter), &first.exchange);
	assert_true(waiter_park(f.waiter, &second.exchange, &order));
	tell(&f, &order, NOTICE_ENDED, 0, 0);
	assert_ptr_equal(waiter_next(f.waiter), &second.exchange);
	hang_up(&first);
	hang_up(&second);
	leave(&f);
}

/* A connection that cannot be watched is not taken. */
static void test_unwatched(void **state)
{
	const struct order order = order_of("a:latest");
	struct client c;
	struct fixture f;

	start(&f, &patient);
	connect_client(&c);
	close(c.exchange.fcgi.ipcFd);
	assert_false(waiter_park(f.waiter, &c.exchange, &order));
	assert_int_equal(c.exchange.fate, FATE_BUSY);
	close(c.fd);
	leave(&f);
}

/* Who waits when this ends is given back, who comes then is not taken. */
static void test_drained(void **state)
{
	const struct order order = order_of("a:latest");
	struct client before, after;

	for (int by_signal = 0; by_signal < 2; by_signal++) {
		struct fixture f;

		start(&f, &patient);
		connect_client(&before);
		connect_client(&after);
		assert_true(waiter_park(f.waiter, &before.exchange, &order));
		if (by_signal)
			kill(getpid(), SIGTERM);
		else
			close(f.ends[0]);
		assert_ptr_equal(waiter_next(f.waiter), &before.exchange);
		assert_int_equal(before.exchange.fate, FATE_DRAINED);
		assert_false(waiter_park(f.waiter, &after.exchange, &order));
		assert_int_equal(after.exchange.fate, FATE_DRAINED);
		waiter_refresh(f.waiter, &order);
		stop(&f);
		assert_int_equal(f.is_signalled, by_signal);
		if (by_signal) {
			const struct timespec now = { .tv_sec = 0 };
			sigset_t set;

			close(f.ends[0]);
			sigemptyset(&set);
			sigaddset(&set, SIGTERM);
			assert_int_equal(sigtimedwait(&set, NULL, &now),
					 SIGTERM);
		}
		hang_up(&before);
		hang_up(&after);
	}
}

/* More orders than the keeper's buffer takes: each comes, once. */
static void test_full(void **state)
{
	bool seen[200] = { false };
	const int small = 4096;
	struct fixture f;

	start(&f, &patient);
	setsockopt(f.ends[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	for (size_t i = 0; i < ARRAY_SIZE(seen); i++) {
		char text[32];
		struct order order;

		snprintf(text, sizeof(text), "a:%zu", i);
		order = order_of(text);
		waiter_refresh(f.waiter, &order);
	}
	for (size_t i = 0; i < ARRAY_SIZE(seen); i++) {
		char got[ORDER_STR_SIZE];
		ssize_t n = recv(f.ends[0], got, sizeof(got) - 1, 0);
		size_t number;

		assert_true(n > 2);
		got[n] = 0;
		number = strtoul(got + 2, NULL, 10);
		assert_true(number < ARRAY_SIZE(seen));
		assert_false(seen[number]);
		seen[number] = true;
	}
	leave(&f);
}

static int make(void *arg)
{
	struct err err = ERR_INIT;
	int *fd = arg;

	if (waiter_new(*fd, &patient, &err))
		return -1;
	return err.code == ERR_SYSTEM && strstr(err.msg, "cannot watch") ? 0
									 : -2;
}

static void test_cannot_watch(void **state)
{
	static const struct broken cases[] = {
		{ .call = SCMP_SYS(epoll_create1), .error = EMFILE },
		{ .call = SCMP_SYS(eventfd2), .error = EMFILE },
		{ .call = SCMP_SYS(signalfd4), .error = EMFILE },
		{ .call = SCMP_SYS(epoll_ctl), .error = ENOSPC },
	};
	int ends[2], lowest, again;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	lowest = dup(ends[0]);
	close(lowest);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(broken_run(&cases[i], make, &ends[0]), 0);
	/* Nothing was left open. */
	again = dup(ends[0]);
	assert_int_equal(again, lowest);
	close(again);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_left),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_unwatched),
		cmocka_unit_test(test_drained),
		cmocka_unit_test(test_full),
	};
	const struct CMUnitTest faults[] = {
		cmocka_unit_test(test_cannot_watch),
	};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL) +
	       (broken_works() ? cmocka_run_group_tests(faults, NULL, NULL)
			       : 0);
}
