// SPDX-License-Identifier: MIT
/* The keeper as its own process, with a builder that is a shell script. */
#include "tests/unit/check.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "fcgi/keeper.h"
#include "tests/unit/broken.h"
#include "tests/unit/fakeprogram.h"
#include "tests/unit/fcgiclient.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

#define SETTINGS "error-max-age = 1h\n[flake]\nurl = github:me/infra\n"

struct fixture {
	char *dir, *path, *flakehub;
	struct cache cache;
	struct settings settings;
	struct keeper keeper;
	pid_t pid;
	FILE *log; /* its stderr */
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct err err = ERR_INIT;

	f->dir = scratch_make();
	f->path = xasprintf("%s/socket", f->dir);
	f->flakehub = xasprintf("%s/flakehub", f->dir);
	if (cache_open(&f->cache, f->dir, CACHE_WRITE, &err) ||
	    settings_parse(&f->settings, SETTINGS, strlen(SETTINGS), "f", &err))
		fail_msg("%s", err.msg);
	f->keeper = (struct keeper){
		.settings = &f->settings,
		.settings_file = "/nonexistent/flakehub.conf",
		.cache = &f->cache,
		.flakehub = f->flakehub,
		.listener = fcgiclient_listen(f->path),
		.hold_ms = 600000,
	};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->log)
		fclose(f->log);
	close(f->keeper.listener);
	cache_release(&f->cache);
	settings_release(&f->settings);
	free(f->path);
	free(f->flakehub);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

static int run(void *arg)
{
	return keeper_run(arg);
}

/* On a machine of which the first such call fails, unless NULL. */
static void start(struct fixture *f, const struct broken *broken)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	fflush(NULL);
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (!f->pid) {
		sigset_t set;
		int rc = 0;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		/* Of all threads, as it has one. */
		sigemptyset(&set);
		sigaddset(&set, SIGCHLD);
		sigaddset(&set, SIGTERM);
		sigprocmask(SIG_BLOCK, &set, NULL);
		if (!broken)
			rc = run(&f->keeper);
		else if (!broken_run_nth(broken, 1, run, &f->keeper, &rc))
			rc = 99;
		exit(rc);
	}
	close(ends[1]);
	f->log = fdopen(ends[0], "r");
}

static void wait_for_log(const struct fixture *f, const char *says)
{
	char line[1024] = "";

	while (!strstr(line, says))
		if (!fgets(line, sizeof(line), f->log))
			fail_msg("the log ends without %s", says);
}

static int wait_for_end(const struct fixture *f)
{
	int status = 0;

	assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
	return status;
}

static void check_answer(int fd, const char *says)
{
	autostrbuf text = STRBUF_INIT;

	fcgiclient_answer(fd, &text);
	if (!strstr(text.buf, says))
		fail_msg("not '%s': %s", says, text.buf);
}

static void ask_image(const struct fixture *f, const char *name,
		      const char *says)
{
	autofree char *uri = xasprintf("/v2/%s/manifests/latest", name);

	check_answer(fcgiclient_ask(f->path, uri), says);
}

static void test_builders(void **state)
{
	struct fixture *f = *state;

	start(f, NULL);
	ask_image(f, "a", "the builder ended with status 127");
	fakeprogram_write(f->dir, "flakehub", "echo \"told: $*\" >&2; exit 7");
	ask_image(f, "b", "the builder ended with status 7 and did not say");
	wait_for_log(f, "told: build --config /nonexistent/flakehub.conf "
			"--lazy b:latest");
	wait_for_log(f, "event=built");
	fakeprogram_write(f->dir, "flakehub", "kill -9 $$");
	ask_image(f, "c", "the builder was killed by signal 9");
	/* What it could not write down is remembered, a kill is not. */
	fakeprogram_write(f->dir, "flakehub", "exit 5");
	ask_image(f, "a", "the builder ended with status 127");
	ask_image(f, "b", "the builder ended with status 7");
	ask_image(f, "c", "the builder ended with status 5");
	kill(f->pid, SIGTERM);
	assert_int_equal(wait_for_end(f), 0);
}

/* Where none may be built each order is refused. */
static void test_full(void **state)
{
	struct fixture *f = *state;

	f->settings.max_builds = 0;
	f->settings.max_queue = 0;
	start(f, NULL);
	ask_image(f, "a", "too many builds are under way");
	ask_image(f, "a", "too many builds are under way");
	kill(f->pid, SIGTERM);
	assert_int_equal(wait_for_end(f), 0);
}

/* No responder at first: it is logged, and tried again. */
static void __attribute__((unused)) test_tries_again(void **state)
{
	static const struct {
		const char *name;
		struct broken broken;
	} cases[] = {
		{ "event=fork", { SCMP_SYS(clone), EAGAIN, 0, 0, 0 } },
		{ "event=socketpair",
		  { SCMP_SYS(socketpair), EMFILE, 0, 0, 0 } },
	};
	struct fixture *f[ARRAY_SIZE(cases)];

	/* Both wait for a second. */
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		setup((void **)&f[i]);
		start(f[i], &cases[i].broken);
	}
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		wait_for_log(f[i], cases[i].name);
		check_answer(fcgiclient_ask(f[i]->path, "/v2/"), "{}");
		kill(f[i]->pid, SIGTERM);
		assert_int_equal(wait_for_end(f[i]), 0);
		teardown((void **)&f[i]);
	}
}

static void test_cannot_start(void **state)
{
	static const struct broken broken = { .call = SCMP_SYS(signalfd4),
					      .error = EMFILE };
	struct fixture *f = *state;

	start(f, &broken);
	wait_for_log(f, "event=signalfd");
	assert_int_equal(wait_for_end(f), 1 << 8);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_builders),
		TEST(test_full),
	};
	const struct CMUnitTest faults[] = {
#ifndef __SANITIZE_THREAD__ /* A fork has to find one thread there. */
		cmocka_unit_test(test_tries_again),
#endif
		TEST(test_cannot_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) +
	       (broken_works() ? cmocka_run_group_tests(faults, NULL, NULL)
			       : 0);
}
