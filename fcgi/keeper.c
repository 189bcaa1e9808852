// SPDX-License-Identifier: MIT
#include "fcgi/keeper.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/spawn.h"
#include "fcgi/order.h"
#include "fcgi/responder.h"
#include "fcgi/session.h"

#include "common/banned.h"

/* A responder that lived shorter than this is started again a little later. */
#define SHORT_LIFE_MS	1000
#define BACK_OFF_MS	100
#define BACK_OFF_MAX_MS 5000
/* For the responder to finish what it has in hand. */
#define DRAIN_MS	30000
/* Of failures that are remembered here; of more, each pull starts a builder. */
#define REMEMBERED_MAX	1000

struct build {
	struct build *next;
	pid_t pid; /* 0 when it has ended, or was never started */
	struct order order;
	struct notice notice; /* the last one of it */
	bool is_told;	      /* the responder knows that */
	int64_t started;      /* seconds since 1970 */
	int64_t until_ms;     /* a failure is remembered; 0: it is not */
};

struct state {
	const struct keeper *keeper;
	int signals;
	int socket; /* to the responder; -1 while there is none */
	pid_t responder;
	int64_t responder_started_ms;
	int64_t responder_due_ms; /* when to start it again */
	int64_t back_off_ms;
	struct build *builds;
	bool is_stopping;
	int64_t stop_by_ms;
};

static struct build **find(struct state *state, const struct digest *key)
{
	struct build **p = &state->builds;

	while (*p && !digest_equal(&(*p)->notice.key, key))
		p = &(*p)->next;
	return p;
}

static void forget(struct build **p)
{
	struct build *build = *p;

	*p = build->next;
	free(build);
}

/* False when the responder's buffer is full: again when it is not. */
static bool tell(const struct state *state, const struct notice *notice)
{
	if (state->socket < 0)
		return true;
	return send(state->socket, notice, sizeof(*notice),
		    MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ||
	       errno != EAGAIN;
}

static bool is_over(const struct build *build)
{
	return build->is_told && !build->pid &&
	       build->until_ms <= clock_monotonic_ms();
}

/*
 * Builds that are not running are kept until the responder was told, and
 * while their failure is remembered.
 */
static void tell_all(struct state *state)
{
	struct build **p = &state->builds;

	while (*p) {
		if (!(*p)->is_told)
			(*p)->is_told = tell(state, &(*p)->notice);
		if (is_over(*p))
			forget(p);
		else
			p = &(*p)->next;
	}
}

static bool has_untold(const struct state *state)
{
	for (const struct build *b = state->builds; b; b = b->next)
		if (!b->is_told)
			return true;
	return false;
}

static int64_t running(const struct state *state)
{
	int64_t n = 0;

	for (const struct build *b = state->builds; b; b = b->next)
		n += b->pid != 0;
	return n;
}

static pid_t start_builder(const struct state *state, const struct order *order)
{
	char image[ORDER_STR_SIZE];
	const char *const argv[] = {
		state->keeper->flakehub,
		order->is_task ? "run-task" : "build",
		"--config",
		state->keeper->settings_file,
		/* Tasks have no layers to leave. */
		order->is_task ? order_str(order, image) : "--lazy",
		order->is_task ? NULL : order_str(order, image),
		NULL,
	};
	struct spawn spawn = SPAWN_INIT;
	struct err err = ERR_INIT;
	pid_t pid;

	spawn.argv = argv;
	spawn.out = STDERR_FILENO;
	spawn.err = STDERR_FILENO;
	spawn.new_session = true;
	pid = spawn_start(&spawn, &err);
	if (pid < 0)
		log_err(&err, "image", image, NULL);
	else
		log_event(LOG_LEVEL_INFO, "event", "build", "image", image,
			  NULL);
	return pid;
}

static bool is_full(const struct state *state)
{
	const struct settings *settings = state->keeper->settings;

	return running(state) >= settings->max_builds + settings->max_queue;
}

static void take_order(struct state *state, const struct order *order)
{
	struct digest key;
	struct build **p, *build;

	order_key(order, &key);
	p = find(state, &key);
	if (*p && is_over(*p)) {
		forget(p);
		p = find(state, &key);
	}
	if (*p) {
		(*p)->is_told = false;
		return;
	}
	build = xcalloc(1, sizeof(*build));
	build->order = *order;
	build->started = time(NULL);
	build->notice.key = key;
	build->notice.kind = NOTICE_BUSY;
	build->notice.started_ms = clock_monotonic_ms();
	if (!is_full(state)) {
		pid_t pid = start_builder(state, order);

		build->pid = pid > 0 ? pid : 0;
		build->notice.kind = pid > 0 ? NOTICE_UNDER_WAY : NOTICE_ENDED;
		build->notice.status = pid > 0 ? 0 : -1;
	}
	*p = build;
}

/* The responder is what clients can reach: its orders are parsed anew. */
static void hear_responder(struct state *state)
{
	char text[ORDER_STR_SIZE];
	ssize_t n;

	while ((n = recv(state->socket, text, sizeof(text) - 1, MSG_DONTWAIT)) >
	       0) {
		struct err err = ERR_INIT;
		struct order order;

		text[n] = 0;
		if (order_parse(&order, text, &err))
			log_err(&err, "order", text, NULL);
		else
			take_order(state, &order);
	}
	if (!n) { /* it is ending: SIGCHLD will tell */
		close(state->socket);
		state->socket = -1;
	}
}

static void log_ended(const struct build *build, int status)
{
	char image[ORDER_STR_SIZE], ms[24], exit_status[16], signal[16];

	order_str(&build->order, image);
	snprintf(ms, sizeof(ms), "%" PRId64,
		 clock_monotonic_ms() - build->notice.started_ms);
	snprintf(exit_status, sizeof(exit_status), "%d", WEXITSTATUS(status));
	snprintf(signal, sizeof(signal), "%d", WTERMSIG(status));
	log_event(status ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "event", "built",
		  "image", image, "status",
		  WIFEXITED(status) ? exit_status : NULL, "signal",
		  WIFSIGNALED(status) ? signal : NULL, "ms", ms, NULL);
}

static int64_t error_max_age(const struct settings *settings,
			     const struct order *order)
{
	const struct flake_settings *flake = NULL;
	const char *attribute;

	if (!order->is_task)
		flake = settings_find_flake(settings, &order->name, &attribute);
	for (size_t i = 0; order->is_task && i < settings->nr_flakes; i++)
		if (order->task.kind != TASK_TAGS ||
		    !strcmp(settings->flakes[i].name, order->task.flake))
			flake = &settings->flakes[i];
	return flake ? flake->image.error_max_age : 0;
}

static size_t count_remembered(const struct state *state)
{
	size_t n = 0;

	for (const struct build *b = state->builds; b; b = b->next)
		n += b->until_ms != 0;
	return n;
}

/*
 * Where a disk fails, or a quota is used up, a builder cannot write down that
 * it failed, and each pull would start the next: then it is remembered here,
 * for as long as what is written down. Not of one that was killed.
 */
static void remember(const struct state *state, struct build *build, int status)
{
	const struct keeper *keeper = state->keeper;
	struct failure failure;
	struct err ignored = ERR_INIT;

	if (!WIFEXITED(status) || !status ||
	    (!cache_get_failure(keeper->cache, &build->notice.key, &failure,
				&ignored) &&
	     failure.when >= build->started - 2) ||
	    count_remembered(state) >= REMEMBERED_MAX)
		return;
	build->until_ms = clock_monotonic_ms() +
			  1000 * error_max_age(keeper->settings, &build->order);
}

static void end_build(struct state *state, pid_t pid, int status)
{
	for (struct build *b = state->builds; b; b = b->next) {
		if (b->pid != pid)
			continue;
		log_ended(b, status);
		b->pid = 0;
		b->notice.kind = NOTICE_ENDED;
		b->notice.status = status;
		b->is_told = false;
		remember(state, b, status);
		return;
	}
}

static void end_responder(struct state *state, int status)
{
	int64_t now = clock_monotonic_ms();
	char text[16];

	if (state->socket >= 0)
		close(state->socket);
	state->socket = -1;
	state->responder = 0;
	if (now - state->responder_started_ms >= SHORT_LIFE_MS)
		state->back_off_ms = 0;
	else if (!state->back_off_ms)
		state->back_off_ms = BACK_OFF_MS;
	else if (state->back_off_ms < BACK_OFF_MAX_MS)
		state->back_off_ms *= 2;
	state->responder_due_ms = now + state->back_off_ms;
	/* The next one asks for what its requests need. */
	for (struct build *b = state->builds; b; b = b->next)
		b->is_told = true;
	snprintf(text, sizeof(text), "%d",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	log_event(status && !state->is_stopping ? LOG_LEVEL_ERROR
						: LOG_LEVEL_INFO,
		  "event", "responder-ended",
		  WIFSIGNALED(status) ? "signal" : "status", text, NULL);
}

static void reap(struct state *state)
{
	for (;;) {
		siginfo_t info = { .si_pid = 0 };
		int status;

		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) ||
		    !info.si_pid)
			return;
		if (info.si_pid != state->responder)
			session_end(info.si_pid);
		waitpid(info.si_pid, &status, 0);
		if (info.si_pid == state->responder)
			end_responder(state, status);
		else
			end_build(state, info.si_pid, status);
	}
}

/* The responder finishes what it has; asked twice, it does not. */
static void stop(struct state *state)
{
	if (state->responder)
		kill(state->responder, state->is_stopping ? SIGKILL : SIGTERM);
	if (!state->is_stopping)
		state->stop_by_ms = clock_monotonic_ms() + DRAIN_MS;
	state->is_stopping = true;
}

static void take_signals(struct state *state)
{
	struct signalfd_siginfo info;

	while (read(state->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGCHLD)
			stop(state);
	}
	reap(state);
}

static int run_responder(const struct state *state, int socket)
{
	const struct keeper *keeper = state->keeper;
	const struct responder responder = {
		.settings = keeper->settings,
		.cache = keeper->cache,
		.listener = keeper->listener,
		.keeper = socket,
		.hold_ms = keeper->hold_ms,
	};
	int rc = responder_run(&responder);

	close(socket);
	return rc;
}

/* In the keeper -1; in the responder, when it has ended, its exit status. */
static int start_responder(struct state *state)
{
	int ends[2];
	pid_t pid;

	state->responder_started_ms = clock_monotonic_ms();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) {
		log_event(LOG_LEVEL_ERROR, "event", "socketpair", "msg",
			  strerrordesc_np(errno), NULL);
		state->responder_due_ms =
			state->responder_started_ms + SHORT_LIFE_MS;
		return -1;
	}
	pid = fork();
	if (!pid) {
		close(ends[0]);
		close(state->signals);
		return run_responder(state, ends[1]);
	}
	close(ends[1]);
	if (pid < 0) {
		log_event(LOG_LEVEL_ERROR, "event", "fork", "msg",
			  strerrordesc_np(errno), NULL);
		close(ends[0]);
		state->responder_due_ms =
			state->responder_started_ms + SHORT_LIFE_MS;
		return -1;
	}
	state->responder = pid;
	state->socket = ends[0];
	return -1;
}

static int open_signals(struct state *state)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	state->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return state->signals < 0 ? -1 : 0;
}

static int timeout_of(const struct state *state)
{
	int64_t due = INT64_MAX, left;

	if (state->is_stopping)
		due = state->stop_by_ms;
	else if (!state->responder)
		due = state->responder_due_ms;
	if (due == INT64_MAX)
		return -1;
	left = due - clock_monotonic_ms();
	return left < 0 ? 0 : (int)left + 1;
}

static void wait_for_news(struct state *state)
{
	short out = has_untold(state) ? POLLOUT : 0;
	struct pollfd fds[] = {
		{ .fd = state->signals, .events = POLLIN },
		{ .fd = state->socket, .events = (short)(POLLIN | out) },
	};

	if (poll(fds, ARRAY_SIZE(fds), timeout_of(state)) < 0)
		return;
	if (fds[0].revents)
		take_signals(state);
	if (fds[1].revents && state->socket >= 0)
		hear_responder(state);
	tell_all(state);
}

/* -1 in the keeper, or what start_responder() returned. */
static int step(struct state *state)
{
	int64_t now = clock_monotonic_ms();

	if (!state->is_stopping && !state->responder &&
	    now >= state->responder_due_ms)
		return start_responder(state);
	if (state->is_stopping && now >= state->stop_by_ms) {
		kill(state->responder, SIGKILL);
		state->stop_by_ms = now + SHORT_LIFE_MS;
	}
	wait_for_news(state);
	return -1;
}

int keeper_run(const struct keeper *keeper)
{
	struct state state = { .keeper = keeper, .socket = -1 };
	int rc = -1;

	if (open_signals(&state)) {
		log_event(LOG_LEVEL_ERROR, "event", "signalfd", NULL);
		return 1;
	}
	while (rc < 0 && (!state.is_stopping || state.responder))
		rc = step(&state);
	while (state.builds)
		forget(&state.builds);
	if (rc >= 0)
		return rc; /* this was a responder */
	close(state.signals);
	if (state.socket >= 0)
		close(state.socket);
	return 0;
}
