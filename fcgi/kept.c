// SPDX-License-Identifier: MIT
#include "fcgi/kept.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"

#include "common/banned.h"

struct kept {
	pthread_mutex_t lock;
	int epoll;
	bool is_over; /* none is added any more */
	size_t max, nr;
	int fds[]; /* -1 in places that are free; an event says which */
};

struct kept *kept_new(size_t max, struct err *err)
{
	struct kept *kept =
		xcalloc(1, sizeof(*kept) + max * sizeof(kept->fds[0]));

	pthread_mutex_init(&kept->lock, NULL);
	kept->max = max;
	for (size_t i = 0; i < max; i++)
		kept->fds[i] = -1;
	kept->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (kept->epoll >= 0)
		return kept;
	err_errno(err, "cannot watch kept connections");
	kept_free(kept);
	return NULL;
}

void kept_free(struct kept *kept)
{
	for (size_t i = 0; i < kept->max; i++)
		cleanup_close(&kept->fds[i]);
	cleanup_close(&kept->epoll);
	pthread_mutex_destroy(&kept->lock);
	free(kept);
}

/*
 * For one event alone, so that it wakes one thread. A connection that was
 * here before is still known to epoll, until its close(2).
 */
static bool watch(const struct kept *kept, int fd, size_t place)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT,
		.data.u64 = place,
	};

	return !epoll_ctl(kept->epoll, EPOLL_CTL_MOD, fd, &event) ||
	       (errno == ENOENT &&
		!epoll_ctl(kept->epoll, EPOLL_CTL_ADD, fd, &event));
}

bool kept_add(struct kept *kept, int fd)
{
	bool is_added = false;
	size_t place = 0;

	pthread_mutex_lock(&kept->lock);
	if (!kept->is_over && kept->nr < kept->max) {
		while (kept->fds[place] >= 0)
			place++;
		is_added = watch(kept, fd, place);
	}
	if (is_added) {
		kept->fds[place] = fd;
		kept->nr++;
	}
	pthread_mutex_unlock(&kept->lock);
	return is_added;
}

int kept_next(struct kept *kept, int signal)
{
	struct epoll_event event;
	sigset_t mask;
	int fd = -1;

	if (kept_has_ended(kept))
		return -1;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	sigdelset(&mask, signal);
	if (epoll_pwait(kept->epoll, &event, 1, -1, &mask) != 1)
		return -1;
	pthread_mutex_lock(&kept->lock);
	/* kept_end() may have closed it in between. */
	if (kept->fds[event.data.u64] >= 0) {
		fd = steal_fd(&kept->fds[event.data.u64]);
		kept->nr--;
	}
	pthread_mutex_unlock(&kept->lock);
	return fd;
}

static bool has_brought_something(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void kept_end(struct kept *kept)
{
	pthread_mutex_lock(&kept->lock);
	kept->is_over = true;
	for (size_t i = 0; i < kept->max; i++)
		if (kept->fds[i] >= 0 && !has_brought_something(kept->fds[i])) {
			cleanup_close(&kept->fds[i]);
			kept->fds[i] = -1;
			kept->nr--;
		}
	pthread_mutex_unlock(&kept->lock);
}

bool kept_has_ended(struct kept *kept)
{
	bool has_ended;

	pthread_mutex_lock(&kept->lock);
	has_ended = kept->is_over && !kept->nr;
	pthread_mutex_unlock(&kept->lock);
	return has_ended;
}
