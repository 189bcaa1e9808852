// SPDX-License-Identifier: MIT
#ifndef FCGI_SECCOMP_H
#define FCGI_SECCOMP_H

#include "common/err.h"

/*
 * The responder is what clients can reach. From here on its process and all
 * its threads may read files, talk on the descriptors that they have, take
 * connections from the listening socket, and start threads: they run no
 * program, open no file for writing and no socket, and trace nobody. Such a
 * call fails with EPERM, execve(2) and ptrace(2) end the process; of what is
 * not known here the kernel is said to know nothing (ENOSYS), so that a
 * newer C library does it the old way. openat2(2) is among that unless
 * fcgi/landlock.h forbids writing.
 *
 * Nothing is done in a sanitizer's build and under valgrind, which make calls
 * of their own. ERR_SYSTEM where the kernel has no seccomp.
 */
MUST_CHECK int seccomp_confine(struct err *err);

#endif
