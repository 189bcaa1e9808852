// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "fcgi/kept.h"

#include "common/banned.h"

#define SIGNAL SIGUSR2

/* A connection: ours, and the web server's end. */
struct pair {
	int ours, theirs;
};

static struct pair connect_pair(void)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	return (struct pair){ .ours = fds[0], .theirs = fds[1] };
}

static void say(const struct pair *pair)
{
	assert_int_equal(write(pair->theirs, "x", 1), 1);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void test_turns(void **state)
{
	struct err err = ERR_INIT;
	struct kept *kept = kept_new(2, &err);
	struct pair a = connect_pair(), b = connect_pair(), c = connect_pair();
	char byte;

	assert_non_null(kept);
	assert_true(kept_add(kept, a.ours));
	assert_true(kept_add(kept, b.ours));
	assert_false(kept_add(kept, c.ours)); /* too many */
	say(&b);
	assert_int_equal(kept_next(kept, SIGNAL), b.ours);
	/* It is ours now, and what it brings nobody else's affair. */
	say(&b);
	close(a.theirs);
	assert_int_equal(kept_next(kept, SIGNAL), a.ours);
	assert_int_equal(read(a.ours, &byte, 1), 0);
	close(a.ours);
	assert_true(kept_add(kept, c.ours));
	assert_true(kept_add(kept, b.ours)); /* once more */
	assert_int_equal(kept_next(kept, SIGNAL), b.ours);
	assert_false(kept_has_ended(kept));
	kept_free(kept);
	assert_false(is_open(c.ours));
	assert_true(is_open(b.ours));
	close(b.ours);
	close(b.theirs);
	close(c.theirs);
}

static void test_end(void **state)
{
	struct err err = ERR_INIT;
	struct kept *kept = kept_new(8, &err);
	struct pair idle = connect_pair(), busy = connect_pair();

	assert_non_null(kept);
	assert_true(kept_add(kept, idle.ours));
	assert_true(kept_add(kept, busy.ours));
	say(&busy);
	kept_end(kept);
	assert_false(is_open(idle.ours));
	assert_false(kept_has_ended(kept));
	assert_int_equal(kept_next(kept, SIGNAL), busy.ours);
	assert_true(kept_has_ended(kept));
	assert_false(kept_add(kept, busy.ours));
	assert_int_equal(kept_next(kept, SIGNAL), -1);
	kept_free(kept);
	close(busy.ours);
	close(busy.theirs);
	close(idle.theirs);
}

static void on_signal(int signal)
{
	(void)signal;
}

static void *wait_for_one(void *arg)
{
	return kept_next(arg, SIGNAL) < 0 ? arg : NULL;
}

/* A signal that is blocked, and came before the wait, ends it too. */
static void test_signal(void **state)
{
	const struct sigaction action = { .sa_handler = on_signal };
	struct err err = ERR_INIT;
	struct kept *kept = kept_new(8, &err);
	struct pair pair = connect_pair();
	pthread_t thread;
	sigset_t set;
	void *result;

	sigaction(SIGNAL, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	assert_true(kept_add(kept, pair.ours));
	assert_int_equal(pthread_create(&thread, NULL, wait_for_one, kept), 0);
	pthread_kill(thread, SIGNAL);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_ptr_equal(result, kept);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	kept_free(kept);
	close(pair.theirs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_signal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
