// SPDX-License-Identifier: MIT
/* A responder as its own process; keeper and web server are the test. */
#include "tests/unit/check.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "fcgi/order.h"
#include "fcgi/responder.h"
#include "tests/unit/broken.h"
#include "tests/unit/fcgiclient.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

#define SETTINGS "[flake]\nurl = github:me/infra\n"
#define LONG_MS	 600000

struct fixture {
	char *dir, *path;
	struct cache cache;
	struct settings settings;
	struct responder responder;
	int keeper; /* the keeper's end */
	pid_t pid;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct err err = ERR_INIT;

	f->dir = scratch_make();
	f->path = xasprintf("%s/socket", f->dir);
	if (cache_open(&f->cache, f->dir, CACHE_WRITE, &err) ||
	    settings_parse(&f->settings, SETTINGS, strlen(SETTINGS), "f", &err))
		fail_msg("%s", err.msg);
	f->responder = (struct responder){
		.settings = &f->settings,
		.cache = &f->cache,
		.listener = fcgiclient_listen(f->path),
		.hold_ms = LONG_MS,
	};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->responder.listener);
	cache_release(&f->cache);
	settings_release(&f->settings);
	free(f->path);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

static int run(void *arg)
{
	return responder_run(arg);
}

/* As the keeper starts it; perhaps on a broken machine. */
static void start(struct fixture *f, const struct broken *broken)
{
	sigset_t set;
	int ends[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	fflush(NULL);
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (!f->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		f->responder.keeper = ends[1];
		sigemptyset(&set);
		sigaddset(&set, SIGTERM);
		sigprocmask(SIG_BLOCK, &set, NULL);
		exit(broken ? broken_run(broken, run, &f->responder)
			    : run(&f->responder));
	}
	close(ends[1]);
	f->keeper = ends[0];
}

static int wait_for_end(const struct fixture *f)
{
	int status = 0;

	assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
	return status;
}

/* An answer of that status whose body has that in it. */
static void check_answer(int fd, const char *status, const char *says)
{
	autostrbuf text = STRBUF_INIT;

	fcgiclient_answer(fd, &text);
	if (strncmp(text.buf, "Status: ", 8) != 0 ||
	    strncmp(text.buf + 8, status, strlen(status)) != 0 ||
	    !strstr(text.buf, says))
		fail_msg("not %s, '%s': %s", status, says, text.buf);
}

static struct order take_order(const struct fixture *f, const char *want)
{
	char got[ORDER_STR_SIZE];
	ssize_t n = recv(f->keeper, got, sizeof(got) - 1, 0);
	struct order order;
	struct err err;

	assert_true(n > 0);
	got[n] = 0;
	assert_string_equal(got, want);
	assert_int_equal(order_parse(&order, got, &err), 0);
	return order;
}

static void tell(const struct fixture *f, const struct order *order,
		 enum notice_kind kind, int status, int64_t age_ms)
{
	struct notice notice = { .kind = kind,
				 .status = status,
				 .started_ms = clock_monotonic_ms() - age_ms };

	order_key(order, &notice.key);
	assert_int_equal(send(f->keeper, &notice, sizeof(notice), 0),
			 sizeof(notice));
}

/* How a builder can end that left no record, and what the client hears. */
static void test_failures(void **state)
{
	static const struct {
		enum notice_kind kind;
		int wait_status;
		const char *status, *says;
	} cases[] = {
		{ NOTICE_ENDED, -1, "403", "the builder could not be started" },
		{ NOTICE_ENDED, SIGKILL, "403",
		  "the builder was killed by signal 9 (KILL)" },
		{ NOTICE_ENDED, 7 << 8, "403",
		  "the builder ended with status 7 and did not say why" },
		{ NOTICE_ENDED, 0, "429",
		  "was built and has gone from the cache again" },
		{ NOTICE_BUSY, 0, "429", "too many builds are under way" },
	};
	struct fixture *f = *state;

	start(f, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int fd = fcgiclient_ask(f->path, "/v2/a/manifests/latest");
		struct order order = take_order(f, "a:latest");

		tell(f, &order, cases[i].kind, cases[i].wait_status, 0);
		check_answer(fd, cases[i].status, cases[i].says);
	}
	close(f->keeper);
	assert_int_equal(wait_for_end(f), 0);
}

/* Who has no hops left is told for how long it is being built. */
static void test_overdue(void **state)
{
	static const struct {
		int64_t age_s;
		const char *says;
	} cases[] = {
		{ 7, "a:latest is still being built, for 7 s now" },
		{ 130, "a:latest is still being built, for 2 min 10 s now" },
		{ 3600 * 5, "a:latest is still being built, for 5 h 0 min" },
	};
	struct fixture *f = *state;
	struct order order;
	int waits;

	f->settings.build_timeout = 0;
	start(f, NULL);
	waits = fcgiclient_ask(f->path, "/v2/a/manifests/latest");
	order = take_order(f, "a:latest");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int other = fcgiclient_ask(f->path, "/v2/b/manifests/latest");
		struct order b = take_order(f, "b:latest");

		tell(f, &order, NOTICE_UNDER_WAY, 0, cases[i].age_s * 1000);
		/* When it is answered the notice has been heard. */
		tell(f, &b, NOTICE_BUSY, 0, 0);
		check_answer(other, "429", "too many builds");
		check_answer(
			fcgiclient_ask(f->path, "/v2/a/manifests/latest?w=8"),
			"429", cases[i].says);
	}
	kill(f->pid, SIGTERM);
	check_answer(waits, "307", "/v2/a/manifests/latest?w=1");
	close(f->keeper);
	assert_int_equal(wait_for_end(f), 0);
}

/* Drained: who has hops left is sent to the next one, who has not is told. */
static void test_drained(void **state)
{
	struct fixture *f = *state;
	int hops, none;

	start(f, NULL);
	hops = fcgiclient_ask(f->path, "/v2/a/manifests/latest");
	take_order(f, "a:latest");
	none = fcgiclient_ask(f->path, "/v2/b/manifests/latest?w=8");
	take_order(f, "b:latest");
	close(f->keeper);
	check_answer(hops, "307", "/v2/a/manifests/latest?w=1");
	check_answer(none, "429", "the registry is being restarted");
	assert_int_equal(wait_for_end(f), 0);
}

/* With few descriptors few are let wait, but some. */
static void test_few_descriptors(void **state)
{
	struct fixture *f = *state;
	struct rlimit before, few;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 256;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	start(f, NULL);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	check_answer(fcgiclient_ask(f->path, "/v2/"), "200", "{}");
	close(f->keeper);
	assert_int_equal(wait_for_end(f), 0);
}

/* Out of descriptors for a moment: who connects after it is answered. */
static void test_accept_fails(void **state)
{
	struct fixture *f = *state;
	struct rlimit before, none = { .rlim_cur = 3 };
	char line[256] = "";
	int ends[2], saved = dup(STDERR_FILENO);
	FILE *log;

	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	start(f, NULL);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(ends[1]);
	log = fdopen(ends[0], "r");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none.rlim_max = before.rlim_max;
	check_answer(fcgiclient_ask(f->path, "/v2/"), "200", "{}");
	assert_int_equal(prlimit(f->pid, RLIMIT_NOFILE, &none, NULL), 0);
	/* Each worker in accept(2) has a descriptor already. */
	check_answer(fcgiclient_ask(f->path, "/v2/"), "200", "{}");
	while (!strstr(line, "event=accept"))
		assert_non_null(fgets(line, sizeof(line), log));
	assert_non_null(strstr(line, "Too many open files"));
	assert_int_equal(prlimit(f->pid, RLIMIT_NOFILE, &before, NULL), 0);
	for (int i = 0; i < 20; i++)
		check_answer(fcgiclient_ask(f->path, "/v2/"), "200", "{}");
	close(f->keeper);
	assert_int_equal(wait_for_end(f), 0);
	fclose(log);
}

/* What it cannot do without: the keeper starts another. */
static void test_cannot_start(void **state)
{
	static const struct broken cases[] = {
		/* A thread's stack. */
		{ SCMP_SYS(mmap), ENOMEM, 3, MAP_STACK, MAP_STACK },
		{ SCMP_SYS(epoll_create1), EMFILE, 0, 0, 0 },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		start(f, &cases[i]);
		assert_int_equal(wait_for_end(f), 1 << 8);
		close(f->keeper);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_failures),	 TEST(test_overdue),
		TEST(test_drained),	 TEST(test_few_descriptors),
		TEST(test_accept_fails),
	};
	const struct CMUnitTest faults[] = {
		TEST(test_cannot_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) +
	       (broken_works() ? cmocka_run_group_tests(faults, NULL, NULL)
			       : 0);
}
