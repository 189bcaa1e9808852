// SPDX-License-Identifier: MIT
#include "fcgi/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif

#include "common/alloc.h"
#include "fcgi/landlock.h"

#include "common/banned.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||           \
	defined(COVERAGE)
#define IS_INSTRUMENTED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_INSTRUMENTED true
#endif
#endif
#ifndef IS_INSTRUMENTED
#define IS_INSTRUMENTED false
#endif

static bool is_instrumented(void)
{
#ifdef RUNNING_ON_VALGRIND
	if (RUNNING_ON_VALGRIND)
		return true;
#endif
	return IS_INSTRUMENTED;
}

static const int allowed[] = {
	/* Descriptors that are there. */
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(pread64),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(pwrite64),
	SCMP_SYS(close),
	SCMP_SYS(close_range),
	SCMP_SYS(lseek),
	SCMP_SYS(_llseek),
	SCMP_SYS(fcntl),
	SCMP_SYS(fcntl64),
	SCMP_SYS(dup),
	SCMP_SYS(dup2),
	SCMP_SYS(dup3),
	SCMP_SYS(pipe),
	SCMP_SYS(pipe2),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(ppoll_time64),
	SCMP_SYS(select),
	SCMP_SYS(_newselect),
	SCMP_SYS(pselect6),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(eventfd2),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(signalfd4),
	SCMP_SYS(ioctl),
	SCMP_SYS(fadvise64),
	/* Sockets that are there. */
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recv),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(send),
	SCMP_SYS(shutdown),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	/* What is in the cache. */
	SCMP_SYS(stat),
	SCMP_SYS(stat64),
	SCMP_SYS(lstat),
	SCMP_SYS(fstat),
	SCMP_SYS(fstat64),
	SCMP_SYS(fstatat64),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(statfs),
	SCMP_SYS(fstatfs),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64),
	SCMP_SYS(getcwd),
	SCMP_SYS(utimensat), /* that it was used */
	SCMP_SYS(utimensat_time64),
	SCMP_SYS(flock),
	/* Memory, threads, time. */
	SCMP_SYS(brk),
	SCMP_SYS(mmap),
	SCMP_SYS(mmap2),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(mprotect),
	SCMP_SYS(madvise),
	SCMP_SYS(mincore),
	SCMP_SYS(futex),
	SCMP_SYS(futex_time64),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(get_robust_list),
	SCMP_SYS(set_tid_address),
	SCMP_SYS(rseq),
	SCMP_SYS(membarrier),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_gettime64),
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(clock_nanosleep_time64),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(getrandom),
	SCMP_SYS(sysinfo),
	SCMP_SYS(uname),
	SCMP_SYS(getrlimit),
	SCMP_SYS(ugetrlimit),
	SCMP_SYS(prlimit64),
	SCMP_SYS(getrusage),
	SCMP_SYS(prctl),
	SCMP_SYS(arch_prctl),
	/* Who we are. */
	SCMP_SYS(getpid),
	SCMP_SYS(getppid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(getuid32),
	SCMP_SYS(geteuid),
	SCMP_SYS(geteuid32),
	SCMP_SYS(getgid),
	SCMP_SYS(getgid32),
	SCMP_SYS(getegid),
	SCMP_SYS(getegid32),
	/* Signals, of which it sends none to another process. */
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigpending),
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(rt_sigtimedwait_time64),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(tgkill),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

/* What no C library does instead of something else. */
static const int refused[] = {
	SCMP_SYS(fork),	      SCMP_SYS(vfork),	     SCMP_SYS(socket),
	SCMP_SYS(socketpair), SCMP_SYS(connect),     SCMP_SYS(bind),
	SCMP_SYS(listen),     SCMP_SYS(creat),	     SCMP_SYS(truncate),
	SCMP_SYS(ftruncate),  SCMP_SYS(unlink),	     SCMP_SYS(unlinkat),
	SCMP_SYS(rename),     SCMP_SYS(renameat),    SCMP_SYS(renameat2),
	SCMP_SYS(link),	      SCMP_SYS(linkat),	     SCMP_SYS(symlink),
	SCMP_SYS(symlinkat),  SCMP_SYS(mkdir),	     SCMP_SYS(mkdirat),
	SCMP_SYS(rmdir),      SCMP_SYS(mknod),	     SCMP_SYS(mknodat),
	SCMP_SYS(chmod),      SCMP_SYS(fchmod),	     SCMP_SYS(fchmodat),
	SCMP_SYS(chown),      SCMP_SYS(fchown),	     SCMP_SYS(fchownat),
	SCMP_SYS(kill),	      SCMP_SYS(tkill),	     SCMP_SYS(mount),
	SCMP_SYS(unshare),    SCMP_SYS(setns),	     SCMP_SYS(chroot),
	SCMP_SYS(setuid),     SCMP_SYS(setgid),	     SCMP_SYS(bpf),
	SCMP_SYS(keyctl),     SCMP_SYS(pidfd_getfd),
};

static const int deadly[] = {
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
};

/* Calls as a whole. */
static const struct {
	uint32_t action;
	const int *calls;
	size_t nr;
} lists[] = {
	{ SCMP_ACT_ALLOW, allowed, ARRAY_SIZE(allowed) },
	{ SCMP_ACT_ERRNO(EPERM), refused, ARRAY_SIZE(refused) },
	{ SCMP_ACT_KILL_PROCESS, deadly, ARRAY_SIZE(deadly) },
};

/* O_RDONLY is 0, and so is every flag that makes or changes a file unset. */
#define WRITE_FLAGS                                                            \
	(O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY))

/*
 * Calls that are allowed by one argument. clone(2) is for threads, which
 * clone3(2) not being there leaves to it.
 */
static const struct {
	int call;
	struct scmp_arg_cmp argument;
} conditional[] = {
	{ SCMP_SYS(openat), { 2, SCMP_CMP_MASKED_EQ, WRITE_FLAGS, 0 } },
	{ SCMP_SYS(open), { 1, SCMP_CMP_MASKED_EQ, WRITE_FLAGS, 0 } },
	{ SCMP_SYS(clone),
	  { 0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD } },
};

static int add_rules(scmp_filter_ctx ctx)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (size_t j = 0; j < lists[i].nr && !rc; j++)
			rc = seccomp_rule_add(ctx, lists[i].action,
					      lists[i].calls[j], 0);
	for (size_t i = 0; i < ARRAY_SIZE(conditional) && !rc; i++)
		rc = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW,
					    conditional[i].call, 1,
					    &conditional[i].argument);
	/*
	 * openat2(2) has its flags where a filter cannot see them. Without it
	 * open_beneath() has another way, of three calls more a folder.
	 */
	if (!rc && landlock_forbid_writing())
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat2),
				      0);
	return rc;
}

int seccomp_confine(struct err *err)
{
	scmp_filter_ctx ctx;
	int rc;

	if (is_instrumented())
		return 0;
	ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	if (!ctx)
		return err_set(err, ERR_SYSTEM, "libseccomp does not start");
	rc = add_rules(ctx);
	if (!rc)
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!rc)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	if (!rc)
		return 0;
	errno = -rc;
	return err_errno(err, "cannot confine the responder by seccomp");
}
