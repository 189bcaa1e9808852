// SPDX-License-Identifier: MIT
#include "fcgi/responder.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/space.h"
#include "fcgi/seccomp.h"
#include "fcgi/waiter.h"

#include "common/banned.h"

/* None of them waits for anything but the disk and the web server. */
#define WORKERS		  8
/* The same, for connections that the web server keeps open. */
#define KEPT_WORKERS	  8
#define KEPT_MAX	  256
/* For those whose wait has ended: a thousand at once, when a build ends. */
#define RESUMERS	  2
/* Records and manifests of the images that are pulled most: fifty or so. */
#define MEMO_SIZE	  (1024 * 1024)
/* Enough for a few struct err on it, with a sanitizer's red zones. */
#define STACK_SIZE	  (512 * 1024)
/* Descriptors that are not those of parked exchanges. */
#define SPARE_DESCRIPTORS (128 + KEPT_MAX)

struct crew {
	const struct responder *responder;
	struct service service;
	struct waiter *waiter;
	struct kept *kept;
	atomic_bool is_draining;
	atomic_int working; /* workers that have not ended */
};

static void on_wake(int signal)
{
	(void)signal;
}

static void pause_ms(long ms)
{
	const struct timespec ts = { .tv_nsec = ms * 1000000 };

	nanosleep(&ts, NULL);
}

static void describe_time(char out[32], int64_t ms)
{
	int64_t s = ms / 1000;

	if (s < 60)
		snprintf(out, 32, "%" PRId64 " s", s);
	else if (s < 3600)
		snprintf(out, 32, "%" PRId64 " min %" PRId64 " s", s / 60,
			 s % 60);
	else
		snprintf(out, 32, "%" PRId64 " h %" PRId64 " min", s / 3600,
			 s / 60 % 60);
}

static void refuse_overdue(struct exchange *exchange)
{
	char image[ORDER_STR_SIZE], took[32];

	order_str(&exchange->call.order, image);
	describe_time(took, clock_monotonic_ms() - exchange->build_started_ms);
	exchange_refuse(exchange, PROBLEM_TOO_MANY_REQUESTS,
			"%s is still being built, for %s now; pull it again "
			"later (the log so far: flakehub log %s)",
			image, took, image);
}

/* Why the builder ended as it did, from its record if it left one. */
static void read_failure(const struct crew *crew,
			 const struct exchange *exchange,
			 struct failure *failure)
{
	int64_t started =
		time(NULL) -
		(clock_monotonic_ms() - exchange->build_started_ms) / 1000;
	int status = exchange->status;
	struct err ignored = ERR_INIT;
	const char *none = space_none(crew->service.cache);
	struct digest key;

	order_key(&exchange->call.order, &key);
	if (status > 0 && WIFSIGNALED(status))
		err_set(&failure->err, ERR_SYSTEM,
			"the builder was killed by signal %d (%s); the next "
			"pull starts over",
			WTERMSIG(status), sigabbrev_np(WTERMSIG(status)));
	else if (status < 0)
		err_set(&failure->err, ERR_SYSTEM,
			"the builder could not be started; the log of "
			"flakehub.fcgi says why");
	else if (cache_get_failure(crew->service.cache, &key, failure,
				   &ignored) ||
		 failure->when < started - 2)
		err_set(&failure->err, ERR_SYSTEM,
			"the builder ended with status %d and did not say "
			"why%s%s; the log of flakehub.fcgi may, and a pull "
			"after error-max-age starts over",
			WEXITSTATUS(status), none ? ": " : "",
			none ? none : "");
}

static void fail(const struct crew *crew, struct exchange *exchange)
{
	struct failure failure = { .err = ERR_INIT };

	if (exchange->fate == FATE_BUSY)
		err_set(&failure.err, ERR_BUSY,
			"too many builds are under way (max-builds, max-queue "
			"in flakehub.conf); pull again later");
	else
		read_failure(crew, exchange, &failure);
	exchange_resume(exchange, &crew->service, TURN_FAILED, &failure.err);
}

/* What becomes of an exchange that waited, or could not be let wait. */
static void resume(const struct crew *crew, struct exchange *exchange)
{
	switch (exchange->fate) {
	case FATE_BUILT:
		exchange_resume(exchange, &crew->service, TURN_BUILT, NULL);
		break;
	case FATE_FAILED:
	case FATE_BUSY:
		fail(crew, exchange);
		break;
	case FATE_HELD:
		if (exchange_has_hops(exchange))
			exchange_redirect(exchange);
		else
			refuse_overdue(exchange);
		break;
	case FATE_LEFT:
		exchange_abandon(exchange);
		break;
	case FATE_DRAINED:
		/* Whoever takes over finds the build under way. */
		if (exchange_has_hops(exchange))
			exchange_redirect(exchange);
		else
			exchange_refuse(exchange, PROBLEM_TOO_MANY_REQUESTS,
					"the registry is being restarted; "
					"pull again");
		break;
	}
}

static void *resume_all(void *arg)
{
	const struct crew *crew = arg;
	struct exchange *exchange;

	while ((exchange = waiter_next(crew->waiter)))
		resume(crew, exchange);
	return NULL;
}

static void answer(const struct crew *crew, struct exchange *exchange)
{
	struct order order;

	switch (exchange_answer(exchange, &crew->service, &order)) {
	case ANSWER_NOW:
		break;
	case ANSWER_AND_REFRESH:
		waiter_refresh(crew->waiter, &order);
		break;
	case ANSWER_LATER:
		if (!waiter_park(crew->waiter, exchange, &order))
			resume(crew, exchange);
		break;
	}
}

static struct exchange *next_exchange(const struct crew *crew)
{
	struct exchange *exchange =
		exchange_accept(crew->responder->listener, crew->kept);

	if (exchange || errno == EINTR || errno == EBADMSG ||
	    errno == ECONNABORTED)
		return exchange;
	log_event(LOG_LEVEL_ERROR, "event", "accept", "msg",
		  strerrordesc_np(errno), NULL);
	pause_ms(100); /* out of descriptors: until some are closed */
	return NULL;
}

static void *work(void *arg)
{
	struct crew *crew = arg;

	while (!crew->is_draining) {
		struct exchange *exchange = next_exchange(crew);

		if (exchange)
			answer(crew, exchange);
	}
	crew->working--;
	return NULL;
}

static void *work_on_kept(void *arg)
{
	struct crew *crew = arg;

	while (!kept_has_ended(crew->kept)) {
		int fd = kept_next(crew->kept, EXCHANGE_WAKE_SIGNAL);
		struct exchange *exchange =
			fd < 0 ? NULL : exchange_receive(fd, crew->kept);

		if (exchange)
			answer(crew, exchange);
	}
	crew->working--;
	return NULL;
}

static int start_thread(pthread_t *thread, void *(*f)(void *),
			struct crew *crew, struct err *err)
{
	pthread_attr_t attr;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	rc = pthread_create(thread, &attr, f, crew);
	pthread_attr_destroy(&attr);
	if (!rc)
		return 0;
	errno = rc;
	return err_errno(err, "cannot start a thread");
}

/* Between a worker's look at the flag and accept(2) is a window: again. */
static void end_workers(struct crew *crew, const pthread_t *threads, size_t nr)
{
	crew->is_draining = true;
	kept_end(crew->kept);
	while (crew->working) {
		for (size_t i = 0; i < nr; i++)
			pthread_kill(threads[i], EXCHANGE_WAKE_SIGNAL);
		pause_ms(5);
	}
	for (size_t i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
}

static int serve(struct crew *crew, struct err *err)
{
	pthread_t workers[WORKERS + KEPT_WORKERS], resumers[RESUMERS];
	size_t i;

	crew->working = ARRAY_SIZE(workers);
	for (i = 0; i < RESUMERS; i++)
		if (start_thread(&resumers[i], resume_all, crew, err))
			return -1;
	for (i = 0; i < ARRAY_SIZE(workers); i++)
		if (start_thread(&workers[i], i < WORKERS ? work : work_on_kept,
				 crew, err))
			return -1;
	if (!waiter_run(crew->waiter))
		log_event(LOG_LEVEL_WARN, "event", "keeper-gone", NULL);
	end_workers(crew, workers, ARRAY_SIZE(workers));
	for (i = 0; i < RESUMERS; i++)
		pthread_join(resumers[i], NULL);
	return 0;
}

static size_t parked_max(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) ||
	    limit.rlim_cur <= 2 * SPARE_DESCRIPTORS)
		return SPARE_DESCRIPTORS;
	return limit.rlim_cur - SPARE_DESCRIPTORS;
}

/* After FCGX_Init(), which installs handlers of its own. */
static void set_signals(void)
{
	struct sigaction wake = { .sa_handler = on_wake };
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, EXCHANGE_WAKE_SIGNAL);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	sigaction(EXCHANGE_WAKE_SIGNAL, &wake, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGHUP, &ignore, NULL);
	sigaction(SIGUSR1, &ignore, NULL);
}

int responder_run(const struct responder *responder)
{
	const struct waiter_limits limits = {
		.hold_ms = responder->hold_ms,
		.build_ms = responder->settings->build_timeout * 1000,
		.parked = parked_max(),
	};
	struct err err = ERR_INIT;
	struct cache cache = *responder->cache;
	struct crew crew = {
		.responder = responder,
		.service = { .settings = responder->settings, .cache = &cache },
	};

	cache.memo = memo_new(MEMO_SIZE);
	if (FCGX_Init()) {
		log_event(LOG_LEVEL_ERROR, "event", "libfcgi", NULL);
		return 1;
	}
	set_signals();
	/* The keeper, which is not confined, is another process. */
	if (seccomp_confine(&err))
		log_err(&err, "event", "seccomp", NULL);
	err = (struct err)ERR_INIT;
	crew.waiter = waiter_new(responder->keeper, &limits, &err);
	crew.kept = crew.waiter ? kept_new(KEPT_MAX, &err) : NULL;
	/* Threads are running when the last of them cannot be started. */
	if (!crew.kept || serve(&crew, &err)) {
		log_err(&err, NULL);
		return 1;
	}
	waiter_free(crew.waiter);
	kept_free(crew.kept);
	memo_free(cache.memo);
	return 0;
}
