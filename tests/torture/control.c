// SPDX-License-Identifier: MIT
#include "tests/torture/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The page that says what is to happen, and whether it does to this call. */

static struct control nothing, *control = &nothing;
static uint32_t ours;

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("TORTURE_CONTROL");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *page;

	if (fd < 0)
		return;
	if (!strcmp(program_invocation_short_name, "flakehub"))
		ours = 1;
	else if (!strcmp(program_invocation_short_name, "flakehub.fcgi"))
		ours = 2;
	page = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED,
		    fd, 0);
	close(fd);
	if (ours && page != MAP_FAILED)
		control = page;
}

/* splitmix64: the same faults for the same seed and the same calls. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static bool take_one(void)
{
	uint64_t left = __atomic_load_n(&control->left, __ATOMIC_SEQ_CST);

	while (left)
		if (__atomic_compare_exchange_n(&control->left, &left, left - 1,
						false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
			return true;
	return false;
}

int shim_fault(enum call call)
{
	uint64_t n;

	if (!(control->armed & ours) || !(control->calls & 1u << call))
		return 0;
	n = __atomic_add_fetch(&control->counted, 1, __ATOMIC_SEQ_CST);
	if (control->per_million
		    ? mix(control->seed + n) % 1000000 >= control->per_million
		    : n != control->nth)
		return 0;
	if (!take_one())
		return 0;
	__atomic_add_fetch(&control->injected, 1, __ATOMIC_SEQ_CST);
	if (control->action == ACT_KILL)
		syscall(SYS_tgkill, getpid(), gettid(), SIGKILL);
	return (int)control->action;
}

bool shim_is_file(int fd)
{
	struct stat st;
	int old = errno;
	/* Not our own fstat(). */
	bool is = fd > 2 && !fstatat(fd, "", &st, AT_EMPTY_PATH | (1 << 30)) &&
		  S_ISREG(st.st_mode);

	errno = old;
	return is;
}

int64_t shim_clock_s(void)
{
	return control->clock_s;
}
