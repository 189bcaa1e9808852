// SPDX-License-Identifier: MIT
#include "tests/unit/broken.h"

#include <errno.h>
#include <pthread.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/banned.h"

struct call {
	const struct broken *broken;
	int (*f)(void *arg);
	void *arg;
	int rc;
};

static void *run(void *arg)
{
	struct call *call = arg;
	const struct broken *b = call->broken;
	const struct scmp_arg_cmp only =
		SCMP_CMP64(b->argument, SCMP_CMP_MASKED_EQ, b->mask, b->value);
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	if (!filter ||
	    seccomp_rule_add_array(filter, SCMP_ACT_ERRNO((uint32_t)b->error),
				   b->call, b->mask ? 1 : 0, &only) ||
	    seccomp_load(filter))
		abort();
	seccomp_release(filter);
	call->rc = call->f(call->arg);
	return NULL;
}

int broken_run(const struct broken *broken, int (*f)(void *arg), void *arg)
{
	struct call call = { .broken = broken, .f = f, .arg = arg };
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, &call) ||
	    pthread_join(thread, NULL))
		abort();
	return call.rc;
}

bool broken_works(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return !preload || !*preload;
}
