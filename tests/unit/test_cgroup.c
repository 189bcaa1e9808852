// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cgroup.h"
#include "tests/unit/broken.h"

#include "common/banned.h"

static void test_find(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "", NULL },
		{ "no colon\n", NULL },
		{ "3:cpu:/a\n", NULL },
		{ "name=systemd\n4:memory:/b\n", NULL },
		{ "0::/\n", "/sys/fs/cgroup" },
		{ "0::/user.slice/x\n", "/sys/fs/cgroup/user.slice/x" },
		{ "0::/a", "/sys/fs/cgroup/a" },
		{ "8:pids:/\n", "/sys/fs/cgroup/pids" },
		{ "9:cpu:/x\n8:pids:/a/b\n0::/\n", "/sys/fs/cgroup/pids/a/b" },
		/* Both at once: pids is where its controller is. */
		{ "0::/x\n8:pids:/a\n", "/sys/fs/cgroup/pids/a" },
		{ "0:cpu\n0::/x\n", "/sys/fs/cgroup/x" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autofree char *text = xstrdup(cases[i].text);
		autofree char *got = cgroup_find(text);

		if (cases[i].want)
			check_str(cases[i].text, got ? got : "(none)",
				  cases[i].want);
		else
			check(cases[i].text, !got);
	}
}

struct entering {
	struct cgroup cgroup;
	struct err err;
};

static int enter(void *arg)
{
	struct entering *e = arg;

	return cgroup_enter(&e->cgroup, 100, &e->err);
}

/* Where it is not for us to make one, nothing is left and nothing changes. */
static void test_faults(void **state)
{
	static const struct broken cases[] = {
		{ .call = SCMP_SYS(openat), .error = EACCES },
		{ .call = SCMP_SYS(mkdir), .error = EROFS },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct entering e = { .err = ERR_INIT };

		assert_int_equal(broken_run(&cases[i], enter, &e), -1);
		assert_int_equal(e.err.code, ERR_SYSTEM);
		assert_null(e.cgroup.path);
		assert_null(e.cgroup.parent);
		cgroup_release(&e.cgroup);
	}
}

static int enter_and_leave(void *arg)
{
	int rc = enter(arg);
	struct entering *e = arg;

	if (rc && (e->cgroup.path || e->cgroup.parent))
		return -2;
	cgroup_release(&e->cgroup);
	return rc;
}

/* In a process of its own, which may end in there. */
static pid_t start(const struct broken *broken, unsigned int nth)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct entering e = { .err = ERR_INIT };
		int rc;
		bool was_reached =
			broken_run_nth(broken, nth, enter_and_leave, &e, &rc);

		if (rc && (rc != -1 || e.err.code != ERR_SYSTEM))
			exit(2);
		exit(was_reached ? 0 : 1);
	}
	return pid;
}

static char *sweep_once(void);

/* One call after the other: it is entered or not, and nothing is left. */
static void test_each_call(void **state)
{
	static const struct broken cases[] = {
		{ .call = SCMP_SYS(openat), .error = EACCES },
		{ .call = SCMP_SYS(write), .error = EPERM },
	};
	autofree char *parent = sweep_once();

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int status = 0;

		for (unsigned int nth = 1; !status; nth++) {
			pid_t pid = start(&cases[i], nth);
			autofree char *folder =
				xasprintf("%s/flakehub.%ld", parent, (long)pid);

			assert_int_equal(waitpid(pid, &status, 0), pid);
			/* What it could not leave goes with the next one. */
			free(sweep_once());
			assert_int_equal(access(folder, F_OK), -1);
		}
		assert_int_equal(status, 1 << 8);
	}
}

/* Enter one, which sweeps, and leave it; the folder it was made in. */
static char *sweep_once(void)
{
	autocgroup cgroup = CGROUP_INIT;
	struct err err = ERR_INIT;

	if (cgroup_enter(&cgroup, 100, &err))
		fail_msg("%s", err.msg);
	return xstrdup(cgroup.parent);
}

/* An empty one stays while the process that it is named after is there. */
static void test_sweep(void **state)
{
	autofree char *parent = sweep_once();
	autofree char *folder = NULL;
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child) {
		pause();
		_exit(0);
	}
	folder = xasprintf("%s/flakehub.%ld", parent, (long)child);
	assert_int_equal(mkdir(folder, 0755), 0);
	free(sweep_once());
	assert_int_equal(access(folder, F_OK), 0);

	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	free(sweep_once());
	assert_int_equal(access(folder, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_sweep),
	};
	const struct CMUnitTest faults[] = {
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_each_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) +
	       (broken_works() ? cmocka_run_group_tests(faults, NULL, NULL)
			       : 0);
}
