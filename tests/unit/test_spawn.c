// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/spawn.h"
#include "tests/unit/broken.h"

#include "common/banned.h"

static void collect(void *arg, const char *data, size_t len)
{
	strbuf_add(arg, data, len);
}

static int run(const char *script, int64_t timeout_ms, struct strbuf *out,
	       struct strbuf *errors, int *status, struct err *err)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	struct spawn_run r = {
		.argv = argv,
		.on_stderr = collect,
		.arg = errors,
		.out_max = 1000,
		.timeout_ms = timeout_ms,
	};

	return spawn_run(&r, out, status, err);
}

static void test_output(void **state)
{
	autostrbuf out = STRBUF_INIT, errors = STRBUF_INIT;
	struct err err = ERR_INIT;
	int status;

	assert_int_equal(run("echo one; echo two >&2; exit 3", -1, &out,
			     &errors, &status, &err),
			 0);
	assert_string_equal(out.buf, "one\n");
	assert_string_equal(errors.buf, "two\n");
	assert_int_equal(WEXITSTATUS(status), 3);
}

static void test_limits(void **state)
{
	static const struct {
		const char *name, *script;
		int64_t timeout_ms;
		enum err_code code;
	} cases[] = {
		{ "too much output", "while :; do echo 0123456789; done", -1,
		  ERR_MALFORMED },
		{ "too long", "sleep 100 & sleep 100", 100, ERR_TIMED_OUT },
		{ "pipes closed", "exec >&- 2>&-; sleep 100", 100,
		  ERR_TIMED_OUT },
		{ "deaf to SIGTERM", "trap '' TERM; while :; do :; done", 100,
		  ERR_TIMED_OUT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autostrbuf out = STRBUF_INIT, errors = STRBUF_INIT;
		struct err err = ERR_INIT;
		int status;

		if (!run(cases[i].script, cases[i].timeout_ms, &out, &errors,
			 &status, &err) ||
		    err.code != cases[i].code)
			fail_msg("%s: %s", cases[i].name, err.msg);
	}
}

/* Its end is the end, whoever has its pipes then, and that is ended, too. */
static void test_what_is_left(void **state)
{
	autostrbuf out = STRBUF_INIT, errors = STRBUF_INIT;
	struct err err = ERR_INIT;
	int status;
	pid_t left;

	/* Orphans become our children. */
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	assert_int_equal(run("sleep 1000 & echo $!; exit 3", 300000, &out,
			     &errors, &status, &err),
			 0);
	assert_int_equal(WEXITSTATUS(status), 3);
	left = (pid_t)strtol(out.buf, NULL, 10);
	assert_true(left > 0);
	assert_int_equal(waitpid(left, &status, 0), left);
	assert_true(WIFSIGNALED(status));
}

static void pass_on(void *arg, const char *data, size_t len)
{
	const int *fd = arg;

	assert_int_equal(write(*fd, data, len), len);
}

/* Whoever ran it is killed: it hears no signal, but the end of its stdin. */
static void test_lifeline(void **state)
{
	const char *const argv[] = { "sh", "-c",
				     "trap 'exit 1' TERM; echo $$ >&2; "
				     "read -r line; exit 7",
				     NULL };
	char text[32] = "";
	pid_t runner, program;
	int fds[2], status;

	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	runner = fork();
	if (!runner) {
		struct spawn_run r = { .argv = argv,
				       .on_stderr = pass_on,
				       .arg = &fds[1],
				       .timeout_ms = -1,
				       .lifeline = true };
		autostrbuf out = STRBUF_INIT;
		struct err err = ERR_INIT;

		_exit(spawn_run(&r, &out, &status, &err) ? 2 : 3);
	}
	assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
	program = (pid_t)strtol(text, NULL, 10);
	assert_true(program > 0);
	assert_int_equal(kill(runner, SIGKILL), 0);
	assert_int_equal(waitpid(runner, &status, 0), runner);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(waitpid(program, &status, 0), program);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
	close(fds[0]);
	close(fds[1]);
}

/* When it has ended, what it left behind hears of that at once. */
static void test_lifeline_of_what_is_left(void **state)
{
	const char *const argv[] = { "sh", "-c",
				     "exec 3<&0; { read -r line <&3; "
				     "echo left; } & echo ended",
				     NULL };
	struct spawn_run r = {
		.argv = argv, .out_max = 100, .timeout_ms = -1, .lifeline = true
	};
	autostrbuf out = STRBUF_INIT;
	struct err err = ERR_INIT;
	int status;

	assert_int_equal(spawn_run(&r, &out, &status, &err), 0);
	assert_int_equal(status, 0);
	assert_string_equal(out.buf, "ended\nleft\n");
	/* What was left is the subreaper's. */
	while (waitpid(-1, NULL, 0) > 0)
		;
}

/* Of stderr, and of memory. */
static void test_more_limits(void **state)
{
	const char *const argv[] = { "sh", "-c",
				     "ulimit -d; while :; do echo 0123456789 "
				     ">&2; done",
				     NULL };
	struct spawn_run r = { .argv = argv,
			       .name = "it",
			       .out_max = 100,
			       .err_max = 1000,
			       .data_max = 64 << 20,
			       .timeout_ms = -1 };
	autostrbuf out = STRBUF_INIT;
	struct err err = ERR_INIT;
	int status;

	assert_int_equal(spawn_run(&r, &out, &status, &err), -1);
	assert_int_equal(err.code, ERR_REFUSED);
	assert_string_equal(err.msg, "it said more than 1000 bytes");
	assert_string_equal(out.buf, "65536\n");
}

static void test_no_such_program(void **state)
{
	const char *const argv[] = { "no-such-program-anywhere", NULL };
	struct spawn_run r = { .argv = argv, .out_max = 10, .timeout_ms = -1 };
	autostrbuf out = STRBUF_INIT;
	struct err err = ERR_INIT;
	int status;

	assert_int_equal(spawn_run(&r, &out, &status, &err), -1);
	assert_int_equal(err.code, ERR_SYSTEM);
	assert_non_null(strstr(err.msg, "no-such-program-anywhere"));
}

/* Descriptors, signals, environment and process group of a child. */
static void test_clean_child(void **state)
{
	autostrbuf out = STRBUF_INIT, errors = STRBUF_INIT;
	struct err err = ERR_INIT;
	int status, leak = open("/dev/null", O_RDONLY);
	sigset_t set, old;

	assert_true(leak > 2);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, &old);
	signal(SIGUSR1, SIG_IGN);
	assert_int_equal(
		run("echo $(ls /proc/self/fd); "
		    /* 32 and 33 are glibc's, which lets nobody reset them. */
		    "grep -cE 'Sig(Blk|Ign):\\s0+[01]?[08]0{7}$' "
		    "/proc/self/status; "
		    "ps -o pgid= $$ | grep -cw $$; "
		    "cat; "
		    "env | grep -c '^FLAKEHUB_TEST_SECRET='",
		    -1, &out, &errors, &status, &err),
		0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(leak);
	assert_string_equal(out.buf, "0 1 2 3\n2\n1\n0\n");
}

struct starting {
	struct err err;
	int status;
};

static int start(void *arg)
{
	static const char *const argv[] = { "true", NULL };
	const struct spawn_run r = {
		.argv = argv, .name = "it", .out_max = 10, .timeout_ms = -1
	};
	struct starting *s = arg;
	autostrbuf out = STRBUF_INIT;

	return spawn_run(&r, &out, &s->status, &s->err);
}

static size_t descriptors(void)
{
	size_t nr = 0;

	for (int fd = 0; fd < 100; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

/* What cannot be started is an error, and holds no descriptor. */
static void test_faults(void **state)
{
	static const struct broken cases[] = {
		{ .call = SCMP_SYS(pipe2), .error = EMFILE },
		{ .call = SCMP_SYS(clone), .error = EAGAIN },
		/* In the child. */
		{ .call = SCMP_SYS(execve), .error = EACCES },
		{ .call = SCMP_SYS(dup2), .error = EMFILE },
		{ .call = SCMP_SYS(fcntl), .error = EMFILE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct starting s = { .err = ERR_INIT };
		size_t before = descriptors();
		int rc = broken_run(&cases[i], start, &s);

		if (cases[i].call == SCMP_SYS(execve)) {
			assert_int_equal(rc, 0);
			assert_int_equal(WEXITSTATUS(s.status), 126);
		} else {
			assert_int_equal(rc, -1);
			assert_int_equal(s.err.code, ERR_SYSTEM);
		}
		assert_int_equal(descriptors(), before);
	}
}

static int say_hello(void *arg)
{
	struct starting *s = arg;
	autostrbuf out = STRBUF_INIT, errors = STRBUF_INIT;

	if (run("echo hello", 60000, &out, &errors, &s->status, &s->err))
		return -1;
	return s->status || strcmp(out.buf, "hello\n") ? -2 : 0;
}

/* Once each: signals are no reason to fail, and nothing is left of it. */
static void test_each_call(void **state)
{
	static const struct {
		const char *name;
		struct broken broken;
		int rc;
	} cases[] = {
		{ "pipe2", { SCMP_SYS(pipe2), EMFILE, 0, 0, 0 }, -1 },
		{ "poll", { SCMP_SYS(poll), ENOMEM, 0, 0, 0 }, -1 },
		{ "signal in poll", { SCMP_SYS(poll), EINTR, 0, 0, 0 }, 0 },
		{ "signal in wait4", { SCMP_SYS(wait4), EINTR, 0, 0, 0 }, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (unsigned int nth = 1; nth <= 2; nth++) {
			struct starting s = { .err = ERR_INIT };
			size_t before = descriptors();
			int rc;

			if (!broken_run_nth(&cases[i].broken, nth, say_hello,
					    &s, &rc))
				break;
			check(cases[i].name, rc == cases[i].rc);
			check(cases[i].name, !rc || s.err.code == ERR_SYSTEM);
			check(cases[i].name, descriptors() == before);
			check(cases[i].name, waitpid(-1, NULL, WNOHANG) == -1);
		}
}

static int leave_one(void *arg)
{
	struct starting *s = arg;
	autostrbuf out = STRBUF_INIT, errors = STRBUF_INIT;

	return run("echo hello; sleep 1000 &", 60000, &out, &errors, &s->status,
		   &s->err);
}

/* What poll(2) said before the signal is not read once more. */
static void test_signal_with_one_left(void **state)
{
	const struct broken poll = { SCMP_SYS(poll), EINTR, 0, 0, 0 };
	struct starting s = { .err = ERR_INIT };
	int rc;

	alarm(100);
	assert_true(broken_run_nth(&poll, 2, leave_one, &s, &rc));
	assert_int_equal(rc, 0);
	alarm(0);
	while (waitpid(-1, NULL, 0) > 0)
		;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_what_is_left),
		cmocka_unit_test(test_lifeline),
		cmocka_unit_test(test_lifeline_of_what_is_left),
		cmocka_unit_test(test_more_limits),
		cmocka_unit_test(test_no_such_program),
		cmocka_unit_test(test_clean_child),
	};
	static char secret[] = "FLAKEHUB_TEST_SECRET=x";
	const struct CMUnitTest faults[] = {
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_each_call),
		cmocka_unit_test(test_signal_with_one_left),
	};

	putenv(secret);
	return cmocka_run_group_tests(tests, NULL, NULL) +
	       (broken_works() ? cmocka_run_group_tests(faults, NULL, NULL)
			       : 0);
}
