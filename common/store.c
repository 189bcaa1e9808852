// SPDX-License-Identifier: MIT
#include "common/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/limits.h"
#include "common/strbuf.h"

#include "common/banned.h"

static const char *real_dir = STORE_DIR;

void store_set_real_dir(const char *dir)
{
	real_dir = dir;
}

/* The length of the component at s, 0 if it is none that may be opened. */
static size_t component_len(const char *s)
{
	size_t len = strcspn(s, "/");

	if ((len == 1 && *s == '.') || (len == 2 && s[0] == '.' && s[1] == '.'))
		return 0;
	return len;
}

bool store_has_path(const char *path)
{
	const char *p = path + strlen(STORE_DIR);

	if (strncmp(path, STORE_DIR "/", strlen(STORE_DIR "/")) != 0)
		return false;
	while (*p) {
		size_t len = component_len(++p);

		if (!len)
			return false;
		p += len;
	}
	return true;
}

size_t store_path_len(const char *path)
{
	size_t dir = strlen(STORE_DIR "/");

	return dir + strcspn(path + dir, "/");
}

static int open_below(const char *path, int flags)
{
	autoclose int fd = open(real_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *p = path + strlen(STORE_DIR "/");

	while (fd >= 0) {
		size_t len = strcspn(p, "/");
		autofree char *name = xstrndup(p, len);
		bool last = !p[len];
		int next = openat(fd, name,
				  (last ? flags : O_PATH | O_DIRECTORY) |
					  O_NOFOLLOW | O_CLOEXEC);

		if (last || next < 0)
			return next;
		cleanup_close(&fd);
		fd = next;
		p += len + 1;
	}
	return -1;
}

int store_open(const char *path, int flags, struct err *err)
{
	int fd = store_has_path(path)
			 ? open_below(path, flags)
			 : open(path, flags | O_CLOEXEC | O_NOFOLLOW);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENOTDIR)
		return err_set(err, ERR_UNKNOWN, "%s is not there", path);
	if (errno == ELOOP)
		return err_set(err, ERR_REFUSED,
			       "%s is a symlink, which is not followed", path);
	return err_errno(err, "%s", path);
}

/* A way through the store, a component at a time. */
struct walk {
	struct strbuf *at; /* without symlinks; "" is / */
	char *left;	   /* what is still to go, from at */
	int links;
};

static void cleanup_walk(struct walk *walk)
{
	free(walk->left);
}

static void step_up(struct strbuf *path)
{
	const char *slash = strrchr(path->buf, '/');

	if (!slash)
		return;
	path->len = (size_t)(slash - path->buf);
	path->buf[path->len] = 0;
}

/* At a symlink, of which fd is open: what it leads to is to go first. */
static int walk_enter(struct walk *walk, int fd, const char *rest,
		      struct err *err)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(fd, "", target, sizeof(target) - 1);
	char *left;

	if (n < 0)
		return err_errno(err, "%s", walk->at->buf);
	if (walk->links++ == STORE_LINKS_MAX)
		return err_set(err, ERR_REFUSED, "%s: too many symlinks",
			       walk->at->buf);
	target[n] = 0;
	step_up(walk->at);
	if (*target == '/')
		strbuf_reset(walk->at);
	left = xasprintf("%s/%s", target, rest);
	free(walk->left);
	walk->left = left;
	return 0;
}

/* One component: 1 if there is one more, 0 at the end, -1 and err. */
static int walk_step(struct walk *walk, struct stat *st, struct err *err)
{
	const char *name = walk->left + strspn(walk->left, "/");
	size_t len = strcspn(name, "/");
	autofree char *rest = xstrdup(name + len);
	autoclose int fd = -1;

	if (!len)
		return 0;
	if (len == 2 && !strncmp(name, "..", 2))
		step_up(walk->at);
	else if (len != 1 || *name != '.')
		strbuf_addf(walk->at, "/%.*s", (int)len, name);
	if (len > NAME_MAX)
		return err_set(err, ERR_UNKNOWN, "%s is not there",
			       walk->at->buf);
	if (store_has_path(walk->at->buf)) {
		fd = store_open(walk->at->buf, O_PATH, err);
		if (fd < 0)
			return -1;
		if (fstat(fd, st))
			return err_errno(err, "%s", walk->at->buf);
		if (S_ISLNK(st->st_mode))
			return walk_enter(walk, fd, rest, err) ? -1 : 1;
	}
	memmove(walk->left, rest, strlen(rest) + 1);
	return 1;
}

int store_follow(struct strbuf *path, struct stat *st, struct err *err)
{
	autofree char *from = xstrdup(path->buf);
	__attribute__((cleanup(cleanup_walk))) struct walk walk = {
		.at = path,
		.left = xstrdup(from),
	};
	int rc;

	strbuf_reset(path);
	do
		rc = walk_step(&walk, st, err);
	while (rc > 0);
	if (rc || store_has_path(path->buf))
		return rc;
	return err_set(err, ERR_REFUSED, "%s leads out of the store", from);
}
