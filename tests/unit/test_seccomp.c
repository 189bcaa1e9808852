// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cachefile.h"
#include "fcgi/seccomp.h"

#include "common/banned.h"

static char written[64];

static void *nothing(void *arg)
{
	return arg;
}

/* Each returns 0 when it went as a confined process's should. */

static int read_file(void)
{
	char c;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	return fd < 0 || read(fd, &c, 1) != 1;
}

static int read_beneath(void)
{
	int top = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = open_beneath(top, "proc/self/../self/status", O_RDONLY);
	int good = open_beneath(top, "usr/share", O_RDONLY | O_DIRECTORY);

	return fd >= 0 || good < 0;
}

static int thread(void)
{
	pthread_t id;

	return pthread_create(&id, NULL, nothing, NULL) ||
	       pthread_join(id, NULL);
}

static int write_file(void)
{
	return open("/dev/null", O_WRONLY | O_CLOEXEC) >= 0 ||
	       open("/dev/null", O_RDWR | O_CLOEXEC) >= 0;
}

/* Whose flags no filter sees: where it is there, Landlock forbids writing. */
static int write_by_openat2(void)
{
	static const uint64_t flags[] = {
		O_WRONLY,	    O_RDWR,
		O_RDONLY | O_TRUNC, O_WRONLY | O_APPEND,
		O_RDONLY | O_CREAT, O_RDWR | O_TMPFILE,
	};
	struct open_how how = { .flags = 0 };
	int bad = 0;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		bool is_new = flags[i] & O_CREAT;
		bool is_tmp = (flags[i] & O_TMPFILE) == O_TMPFILE;

		how.flags = flags[i] | O_CLOEXEC;
		how.mode = is_new || is_tmp ? 0600 : 0;
		bad |= syscall(SYS_openat2, AT_FDCWD,
			       is_tmp	? "/tmp"
			       : is_new ? "/tmp/flakehub-seccomp"
					: written,
			       &how, sizeof(how)) >= 0;
	}
	return bad;
}

static int make_file(void)
{
	return open("/tmp/flakehub-seccomp", O_RDONLY | O_CREAT, 0600) >= 0 ||
	       open("/tmp", O_RDWR | O_TMPFILE, 0600) >= 0 ||
	       !mkdir("/tmp/flakehub-seccomp", 0700) ||
	       !rename("/tmp/flakehub-seccomp", "/tmp/flakehub-seccomp.2") ||
	       !symlink("/", "/tmp/flakehub-seccomp");
}

static int make_socket(void)
{
	int fds[2];

	return socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM ||
	       !socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
}

static int make_process(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	return pid >= 0;
}

static int signal_parent(void)
{
	return !kill(getppid(), 0) || errno != EPERM;
}

static int run_program(void)
{
	char *const argv[] = { (char *)(uintptr_t) "true", NULL };

	execv("/bin/true", argv);
	return 1;
}

static int run_descriptor(void)
{
	char *const argv[] = { (char *)(uintptr_t) "true", NULL };
	int fd = open("/bin/true", O_RDONLY | O_CLOEXEC);

	fexecve(fd, argv, environ);
	return 1;
}

static int trace(void)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	return 1;
}

/* Writable by us, and not empty. */
static void make_written(void)
{
	FILE *file = fopen(written, "w");

	assert_non_null(file);
	fputs("xyzzy\n", file);
	assert_int_equal(fclose(file), 0);
}

static void test_confined(void **state)
{
	static const struct {
		const char *name;
		int (*f)(void);
		int signal;
	} cases[] = {
		{ "reads a file", read_file, 0 },
		{ "reads beneath", read_beneath, 0 },
		{ "starts a thread", thread, 0 },
		{ "writes no file", write_file, 0 },
		{ "nor by openat2", write_by_openat2, 0 },
		{ "makes no file", make_file, 0 },
		{ "makes no socket", make_socket, 0 },
		{ "makes no process", make_process, 0 },
		{ "signals nobody", signal_parent, 0 },
		{ "runs no program", run_program, SIGSYS },
		{ "nor a descriptor", run_descriptor, SIGSYS },
		{ "traces nobody", trace, SIGSYS },
	};

	struct stat st;

	snprintf(written, sizeof(written), "/tmp/flakehub-seccomp.%d",
		 (int)getpid());
	make_written();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			const struct rlimit none = { 0, 0 };
			struct err err = ERR_INIT;

			setrlimit(RLIMIT_CORE, &none);
			_exit(seccomp_confine(&err) ? 99 : cases[i].f());
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (cases[i].signal)
			check(cases[i].name,
			      WIFSIGNALED(status) &&
				      WTERMSIG(status) == cases[i].signal);
		else
			check(cases[i].name, status == 0);
	}
	assert_int_equal(stat(written, &st), 0);
	assert_int_equal(st.st_size, 6);
	unlink(written);
}

/* A sanitizer's build is not confined. */
static bool is_confined(void)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		struct err err = ERR_INIT;

		_exit(seccomp_confine(&err) ||
		      open("/dev/null", O_WRONLY | O_CLOEXEC) >= 0);
	}
	return waitpid(pid, &status, 0) == pid && !status;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_confined),
	};

	return is_confined() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
