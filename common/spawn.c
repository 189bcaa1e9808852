// SPDX-License-Identifier: MIT
#include "common/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef COVERAGE
#include <gcov.h>
#endif

#include "common/alloc.h"
#include "common/clock.h"

#include "common/banned.h"

/* What a program of ours may know of our environment. */
static const char *const allowed[] = {
	"PATH",
	"HOME",
	"NIX_CONFIG",
	"NIX_REMOTE",
	"NIX_DAEMON_SOCKET_PATH",
	"NIX_SSL_CERT_FILE",
	"GIT_SSL_CAINFO",
	"SSH_AUTH_SOCK",
	"http_proxy",
	"https_proxy",
	"ftp_proxy",
	"all_proxy",
	"no_proxy",
	"HTTP_PROXY",
	"HTTPS_PROXY",
	"ALL_PROXY",
	"NO_PROXY",
	"TZ",
	/* git trusts a repository of the user who called sudo. */
	"SUDO_UID",
	/* Our own settings, for a builder that the keeper starts. */
	"FLAKEHUB_CONFIG",
	"XDG_CACHE_HOME",
	"XDG_CONFIG_HOME",
	"XDG_RUNTIME_DIR",
	"XDG_STATE_HOME",
};

static char *environment[ARRAY_SIZE(allowed) + 3];

static void __attribute__((constructor)) make_environment(void)
{
	size_t nr = 0;

	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++) {
		const char *value = getenv(allowed[i]);

		if (value)
			environment[nr++] =
				xasprintf("%s=%s", allowed[i], value);
	}
	environment[nr++] = xstrdup("LANG=C.UTF-8");
	/* Nobody is there to type a password. */
	environment[nr++] = xstrdup("GIT_TERMINAL_PROMPT=0");
}

char *const *spawn_environment(void)
{
	return environment;
}

/* In the child: only what is safe between fork(2) and execve(2). */
static void __attribute__((noreturn))
become(const struct spawn *spawn, pid_t parent)
{
	int fds[3] = { spawn->in, spawn->out, spawn->err };
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	if (spawn->new_session)
		setsid();
	else
		setpgid(0, 0);
	if (spawn->death_signal) {
		prctl(PR_SET_PDEATHSIG, spawn->death_signal);
		if (getppid() != parent)
			_exit(127); /* it went before we could ask */
	}
	if (spawn->data_max) {
		const struct rlimit data = {
			.rlim_cur = (rlim_t)spawn->data_max,
			.rlim_max = (rlim_t)spawn->data_max,
		};

		/* A lower one that we have ourselves stays. */
		setrlimit(RLIMIT_DATA, &data);
	}
	/* Out of the way of 0, 1 and 2 first. */
	for (int i = 0; i < 3; i++) {
		fds[i] = fds[i] < 0 ? open("/dev/null", O_RDWR | O_CLOEXEC)
				    : fds[i];
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		if (fds[i] < 0)
			_exit(127);
	}
	for (int i = 0; i < 3; i++)
		if (dup2(fds[i], i) < 0)
			_exit(127);
	/* libfcgi's sockets are not close-on-exec. */
	closefrom(3);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
#ifdef COVERAGE
	__gcov_dump();
#endif
	execvpe(spawn->argv[0], (char *const *)(uintptr_t)spawn->argv,
		spawn->env ? spawn->env : environment);
	_exit(errno == ENOENT ? 127 : 126);
}

/* posix_spawn(3) cannot ask for a death signal, so fork(2). */
pid_t spawn_start(const struct spawn *spawn, struct err *err)
{
	pid_t parent = getpid();
	sigset_t all, old;
	pid_t pid;

	/* No handler of ours may run in the child. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (!pid)
		become(spawn, parent);
	if (pid < 0)
		err_errno(err, "cannot start %s", spawn->argv[0]);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return pid;
}

/* It is not reaped by this. */
static bool has_ended(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) ||
	       info.si_pid;
}

/* SIGTERM to the group, 5 s, SIGKILL. Its leader is not reaped before. */
static void end_group(pid_t pid)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	int64_t deadline = clock_monotonic_ms() + 5000;

	kill(-pid, SIGTERM);
	while (clock_monotonic_ms() < deadline && !has_ended(pid))
		nanosleep(&pause, NULL);
	kill(-pid, SIGKILL);
}

static int reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

/* Read once; at the end *fd is closed and -1. */
static ssize_t read_pipe(int *fd, char *buf, size_t size)
{
	ssize_t n = read(*fd, buf, size);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0) {
		close(*fd);
		*fd = -1;
		return 0;
	}
	return n;
}

static void close_pipe(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static const char *name_of(const struct spawn_run *run)
{
	return run->name ? run->name : run->argv[0];
}

/*
 * Nothing more is said, for so long, by what a program that has ended has left
 * behind with its pipes.
 */
#define QUIET_MS 1000

/* For poll(2), until the deadline; it comes back now and then. */
static int wait_ms(const struct spawn_run *run, int64_t deadline)
{
	int64_t left = deadline - clock_monotonic_ms();

	if (run->timeout_ms < 0 || left > QUIET_MS)
		return QUIET_MS;
	return left > 0 ? (int)left : 0;
}

static int timed_out(const struct spawn_run *run, struct err *err)
{
	return err_set(err, ERR_TIMED_OUT, "%s did not end within %jd s",
		       name_of(run), (intmax_t)run->timeout_ms / 1000);
}

/* Readable when it has ended; -1 of a kernel without it (Linux 5.3). */
static int open_end(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* A program may close its pipes and go on. */
static int wait_end(const struct spawn_run *run, pid_t pid, int64_t deadline,
		    struct err *err)
{
	autoclose int fd = run->timeout_ms < 0 ? -1 : open_end(pid);
	struct pollfd ended = { .fd = fd, .events = POLLIN };

	/* Without that descriptor there is no deadline here. */
	while (fd >= 0 && poll(&ended, 1, wait_ms(run, deadline)) <= 0)
		if (clock_monotonic_ms() >= deadline)
			return timed_out(run, err);
	return 0;
}

/*
 * Its lifeline ends when it has ended, and so all that it has left behind,
 * which may have its pipes.
 */
static int pump(const struct spawn_run *run, pid_t pid, int out_fd, int err_fd,
		int *lifeline, int64_t deadline, struct strbuf *out,
		struct err *err)
{
	autoclose int end = *lifeline < 0 ? -1 : open_end(pid);
	struct pollfd fds[3] = { { .fd = out_fd, .events = POLLIN },
				 { .fd = err_fd, .events = POLLIN },
				 { .fd = end, .events = POLLIN } };
	size_t start = out->len;
	uint64_t said = 0;
	char buf[8192];
	int rc = 0;

	while (!rc && (fds[0].fd >= 0 || fds[1].fd >= 0)) {
		ssize_t n;
		int ready;

		if (run->timeout_ms >= 0 && clock_monotonic_ms() >= deadline) {
			rc = timed_out(run, err);
			break;
		}
		ready = poll(fds, 3, wait_ms(run, deadline));
		if (!ready && has_ended(pid))
			break;
		if (ready < 0 && errno == EINTR)
			continue; /* revents are of the call before */
		if (ready < 0) {
			rc = err_errno(err, "waiting for %s", name_of(run));
			break;
		}
		if (fds[2].revents) {
			close_pipe(lifeline);
			fds[2].fd = -1;
		}
		if (fds[0].fd >= 0 && fds[0].revents) {
			n = read_pipe(&fds[0].fd, buf, sizeof(buf));
			strbuf_add(out, buf, (size_t)n);
		}
		if (fds[1].fd >= 0 && fds[1].revents) {
			n = read_pipe(&fds[1].fd, buf, sizeof(buf));
			said += (uint64_t)n;
			if (n && run->on_stderr)
				run->on_stderr(run->arg, buf, (size_t)n);
		}
		if (run->err_max && said > run->err_max)
			rc = err_set(err, ERR_REFUSED,
				     "%s said more than %ju bytes",
				     name_of(run), (uintmax_t)run->err_max);
		if (out->len - start > run->out_max)
			rc = err_set(err, ERR_MALFORMED,
				     "%s wrote more than %zu bytes",
				     name_of(run), run->out_max);
	}
	for (int i = 0; i < 2; i++)
		if (fds[i].fd >= 0)
			close(fds[i].fd);
	return rc;
}

/* Of each [0] is to be read; -1 are those that are not needed. */
struct pipes {
	int in[2], out[2], err[2];
};
#define PIPES_INIT                                                             \
	{                                                                      \
		.in = { -1, -1 }, .out = { -1, -1 }, .err = { -1, -1 }         \
	}

static void close_pipes(struct pipes *pipes)
{
	for (int i = 0; i < 2; i++) {
		close_pipe(&pipes->in[i]);
		close_pipe(&pipes->out[i]);
		close_pipe(&pipes->err[i]);
	}
}

static pid_t start(const struct spawn_run *run, struct pipes *pipes,
		   struct err *err)
{
	struct spawn spawn = SPAWN_INIT;
	pid_t pid;

	if (pipe2(pipes->out, O_CLOEXEC) || pipe2(pipes->err, O_CLOEXEC) ||
	    (run->lifeline && pipe2(pipes->in, O_CLOEXEC)))
		return err_errno(err, "cannot start %s", name_of(run));
	spawn.argv = run->argv;
	spawn.env = run->env;
	spawn.in = pipes->in[0];
	spawn.out = pipes->out[1];
	spawn.err = run->both ? pipes->out[1] : pipes->err[1];
	spawn.data_max = run->data_max;
	if (!run->lifeline)
		spawn.death_signal =
			run->death_signal ? run->death_signal : SIGTERM;
	pid = spawn_start(&spawn, err);
	close_pipe(&pipes->in[0]);
	close_pipe(&pipes->out[1]);
	close_pipe(&pipes->err[1]);
	return pid;
}

int spawn_run(const struct spawn_run *run, struct strbuf *out, int *status,
	      struct err *err)
{
	struct pipes __attribute__((cleanup(close_pipes))) pipes = PIPES_INIT;
	int64_t deadline;
	pid_t pid = start(run, &pipes, err);
	int rc;

	if (pid < 0)
		return -1;
	deadline = clock_monotonic_ms() + run->timeout_ms;
	rc = pump(run, pid, steal_fd(&pipes.out[0]), steal_fd(&pipes.err[0]),
		  &pipes.in[1], deadline, out, err);
	if (!rc)
		rc = wait_end(run, pid, deadline, err);
	if (rc || has_ended(pid))
		end_group(pid);
	*status = reap(pid);
	if (!rc && WIFEXITED(*status) && WEXITSTATUS(*status) == 127)
		return err_set(err, ERR_SYSTEM,
			       "%s is not on PATH, or did not start",
			       name_of(run));
	return rc;
}
