// SPDX-License-Identifier: MIT
#include "tests/unit/broken.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <seccomp.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/unit/check.h"

#include "common/banned.h"

struct call {
	const struct broken *broken;
	unsigned int nth; /* 0 is each */
	int (*f)(void *arg);
	void *arg;
	int rc;
	int notices; /* of the filter, -1 without an nth */
	/* Made before: fork(2) has malloc(3) wait. */
	struct seccomp_notif *notice;
	struct seccomp_notif_resp *response;
	sem_t has_filter;
	atomic_bool is_over;
};

static void *run(void *arg)
{
	struct call *call = arg;
	const struct broken *b = call->broken;
	const struct scmp_arg_cmp only =
		SCMP_CMP64(b->argument, SCMP_CMP_MASKED_EQ, b->mask, b->value);
	const uint32_t action = call->nth ? SCMP_ACT_NOTIFY
					  : SCMP_ACT_ERRNO((uint32_t)b->error);
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	if (!filter ||
	    seccomp_rule_add_array(filter, action, b->call, b->mask ? 1 : 0,
				   &only) ||
	    (call->nth &&
	     seccomp_notify_alloc(&call->notice, &call->response)) ||
	    seccomp_load(filter))
		abort();
	call->notices = call->nth ? seccomp_notify_fd(filter) : -1;
	sem_post(&call->has_filter);
	call->rc = call->f(call->arg);
	call->is_over = true;
	seccomp_release(filter);
	return NULL;
}

/* Let all such calls be but the nth, until there will be no more. */
static bool answer(struct call *call)
{
	struct seccomp_notif *notice = call->notice;
	unsigned int nr = 0;

	while (!call->is_over) {
		struct pollfd pfd = { .fd = call->notices, .events = POLLIN };

		/* Its end is seen a little later where no hangup tells. */
		if (poll(&pfd, 1, 10) <= 0 || !(pfd.revents & POLLIN))
			continue;
		memset(notice, 0, sizeof(*notice));
		if (seccomp_notify_receive(call->notices, notice))
			continue;
		*call->response =
			(struct seccomp_notif_resp){ .id = notice->id };
		if (++nr == call->nth)
			call->response->error = -call->broken->error;
		else
			call->response->flags =
				SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		seccomp_notify_respond(call->notices, call->response);
	}
	return nr >= call->nth;
}

/* Was the nth reached? */
static bool start(struct call *call)
{
	bool was_reached = false;
	pthread_t thread;

	if (sem_init(&call->has_filter, 0, 0) ||
	    pthread_create(&thread, NULL, run, call))
		abort();
	while (sem_wait(&call->has_filter))
		;
	if (call->nth)
		was_reached = answer(call);
	if (pthread_join(thread, NULL))
		abort();
	sem_destroy(&call->has_filter);
	/* libseccomp keeps one descriptor of notices for all filters. */
	if (call->nth) {
		seccomp_notify_free(call->notice, call->response);
		if (seccomp_reset(NULL, SCMP_ACT_ALLOW))
			abort();
	}
	return was_reached;
}

int broken_run(const struct broken *broken, int (*f)(void *arg), void *arg)
{
	struct call call = { .broken = broken, .f = f, .arg = arg };

	start(&call);
	return call.rc;
}

bool broken_run_nth(const struct broken *broken, unsigned int nth,
		    int (*f)(void *arg), void *arg, int *rc)
{
	struct call call = { .broken = broken, .nth = nth, .f = f, .arg = arg };
	bool was_reached = start(&call);

	*rc = call.rc;
	return was_reached;
}

size_t count_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t nr = 0;

	assert_non_null(dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

bool broken_works(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return !preload || !*preload;
}
