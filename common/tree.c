// SPDX-License-Identifier: MIT
#include "common/tree.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/limits.h"
#include "common/store.h"
#include "common/strbuf.h"
#include "common/utf8.h"

#include "common/banned.h"

/*
 * How many directories of the chain stay open. Those above are opened again
 * by ".." when the walk comes back to them, and must be the same then.
 */
#define OPEN_LEVELS 4

/* What getdents64(2) fills in one call. */
#define DIRENTS_SIZE 32768

/* A directory of the chain, whose names are read. */
struct level {
	int fd; /* -1 while closed */
	dev_t dev;
	ino_t ino;
	size_t path_len;
	struct strbuf text; /* for each: its d_type, its name, a NUL */
	char **names;	    /* into text, at the name; sorted */
	size_t nr, alloc, next;
};

struct tree {
	enum tree_order order;
	enum tree_read read;
	struct strbuf path;
	struct tree_entry entry;
	int fd;		 /* of the entry: a file, or a directory to enter */
	struct stat st;	 /* of that */
	bool no_noatime; /* O_NOATIME is not for us */
	bool started;
	struct level *levels; /* those beyond nr_levels keep their memory */
	size_t nr_levels, levels_alloc;
	char target[PATH_MAX + 1];
	char dirents[DIRENTS_SIZE] __attribute__((aligned(16)));
};

struct tree *tree_new(const char *path, enum tree_order order,
		      enum tree_read read)
{
	struct tree *tree = xmalloc(sizeof(*tree));

	assert(path[0] == '/' && path[1]);
	memset(tree, 0, offsetof(struct tree, target));
	tree->order = order;
	tree->read = read;
	tree->fd = -1;
	tree->path = (struct strbuf)STRBUF_INIT;
	strbuf_addstr(&tree->path, path);
	return tree;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(steal_fd(fd));
}

void tree_free(struct tree *tree)
{
	if (!tree)
		return;
	for (size_t i = 0; i < tree->nr_levels; i++)
		close_fd(&tree->levels[i].fd);
	for (size_t i = 0; i < tree->levels_alloc; i++) {
		strbuf_release(&tree->levels[i].text);
		free(tree->levels[i].names);
	}
	free(tree->levels);
	close_fd(&tree->fd);
	strbuf_release(&tree->path);
	free(tree);
}

void cleanup_tree(struct tree **tree)
{
	tree_free(*tree);
}

static int cannot_read(const struct tree *tree, struct err *err)
{
	return err_errno(err, "cannot read %s", tree->path.buf);
}

/* O_NOATIME is for a file's owner alone. */
static int open_entry(struct tree *tree, int dirfd, const char *name, int flags)
{
	int fd;

	flags |= O_RDONLY | O_NOFOLLOW | O_CLOEXEC;
	if (!tree->no_noatime) {
		fd = openat(dirfd, name, flags | O_NOATIME);
		if (fd >= 0 || errno != EPERM)
			return fd;
		tree->no_noatime = true;
	}
	return openat(dirfd, name, flags);
}

static int compare_characters(const void *a, const void *b)
{
	return utf8_compare(*(char *const *)a, *(char *const *)b);
}

static int compare_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_names(const struct tree *tree, struct level *level)
{
	char *p = level->text.buf, *end = p + level->text.len;

	level->nr = level->next = 0;
	for (; p < end; p += strlen(p) + 1) {
		ALLOC_GROW(level->names, level->nr, level->alloc);
		level->names[level->nr++] = ++p;
	}
	if (level->nr)
		qsort(level->names, level->nr, sizeof(*level->names),
		      tree->order == TREE_BY_BYTES ? compare_bytes
						   : compare_characters);
}

static int read_names(struct tree *tree, struct level *level, struct err *err)
{
	strbuf_reset(&level->text);
	for (;;) {
		ssize_t len = getdents64(level->fd, tree->dirents,
					 sizeof(tree->dirents));

		if (len < 0)
			return cannot_read(tree, err);
		if (!len)
			break;
		for (char *p = tree->dirents; p < tree->dirents + len;) {
			struct dirent64 *d = (void *)p;
			const char *name = d->d_name;

			p += d->d_reclen;
			if (!strcmp(name, ".") || !strcmp(name, ".."))
				continue;
			strbuf_addch(&level->text, (char)d->d_type);
			strbuf_add(&level->text, name, strlen(name) + 1);
		}
	}
	sort_names(tree, level);
	return 0;
}

/* Enter the directory that tree->fd is. */
static int push(struct tree *tree, struct err *err)
{
	struct level *level;

	if (tree->nr_levels == TREE_DEPTH_MAX)
		return err_set(err, ERR_MALFORMED,
			       "%s is more than %d directories deep",
			       tree->path.buf, TREE_DEPTH_MAX);
	if (tree->nr_levels >= OPEN_LEVELS)
		close_fd(&tree->levels[tree->nr_levels - OPEN_LEVELS].fd);
	if (tree->nr_levels == tree->levels_alloc) {
		ALLOC_GROW(tree->levels, tree->nr_levels, tree->levels_alloc);
		for (size_t i = tree->nr_levels; i < tree->levels_alloc; i++)
			tree->levels[i] =
				(struct level){ .fd = -1, .text = STRBUF_INIT };
	}
	level = &tree->levels[tree->nr_levels++];
	level->fd = steal_fd(&tree->fd);
	level->dev = tree->st.st_dev;
	level->ino = tree->st.st_ino;
	level->path_len = tree->path.len;
	return read_names(tree, level, err);
}

/* Leave the last directory; the one above it may have to be opened again. */
static int pop(struct tree *tree, struct err *err)
{
	autoclose int fd = steal_fd(&tree->levels[--tree->nr_levels].fd);
	struct level *level;
	struct stat st;

	if (!tree->nr_levels)
		return 0;
	level = &tree->levels[tree->nr_levels - 1];
	tree->path.len = level->path_len;
	tree->path.buf[level->path_len] = 0;
	if (level->fd >= 0)
		return 0;
	level->fd = open_entry(tree, fd, "..", O_DIRECTORY);
	if (level->fd < 0 || fstat(level->fd, &st))
		return cannot_read(tree, err);
	if (st.st_dev != level->dev || st.st_ino != level->ino)
		return err_set(err, ERR_SYSTEM,
			       "%s was moved while it was read",
			       tree->path.buf);
	return 0;
}

/* The name is relative to dirfd, or "" for what dirfd itself is. */
static int fill_symlink(struct tree *tree, int dirfd, const char *name,
			struct err *err)
{
	ssize_t len;

	tree->entry.type = TREE_SYMLINK;
	if (tree->read == TREE_NAMES_ONLY)
		return 0;
	len = readlinkat(dirfd, name, tree->target, sizeof(tree->target));
	if (len < 0)
		return cannot_read(tree, err);
	if ((size_t)len == sizeof(tree->target))
		return err_set(err, ERR_MALFORMED, "%s: its target is too long",
			       tree->path.buf);
	tree->target[len] = 0;
	tree->entry.target = tree->target;
	tree->entry.mode = 0777;
	return 0;
}

/* tree->fd was just opened and should be a file or directory, as type says. */
static int fill_opened(struct tree *tree, mode_t type, struct err *err)
{
	struct tree_entry *entry = &tree->entry;

	if (tree->fd < 0 || fstat(tree->fd, &tree->st))
		return cannot_read(tree, err);
	if ((tree->st.st_mode & S_IFMT) != type)
		return err_set(err, ERR_SYSTEM,
			       "%s was replaced while it was read",
			       tree->path.buf);
	entry->mode = tree->st.st_mode & 07777;
	if (type == S_IFREG) {
		entry->size = (uint64_t)tree->st.st_size;
		entry->fd = tree->fd;
	}
	return 0;
}

static int check_type(struct tree *tree, mode_t type, struct err *err)
{
	if (type != S_IFREG && type != S_IFDIR && type != S_IFLNK)
		return err_set(err, ERR_MALFORMED,
			       "%s is neither a file nor a directory nor a "
			       "symlink",
			       tree->path.buf);
	tree->entry = (struct tree_entry){
		.type = type == S_IFDIR ? TREE_DIRECTORY : TREE_FILE,
		.path = tree->path.buf,
		.path_len = tree->path.len,
		.name = strrchr(tree->path.buf, '/') + 1,
		.fd = -1,
	};
	return 0;
}

static int first(struct tree *tree, struct err *err)
{
	const char *path = tree->path.buf;
	autoclose int fd = store_open(path, O_PATH, err);
	struct stat st;

	tree->started = true;
	if (fd < 0)
		return -1;
	if (fstat(fd, &st))
		return cannot_read(tree, err);
	if (check_type(tree, st.st_mode & S_IFMT, err))
		return -1;
	if (S_ISLNK(st.st_mode))
		return fill_symlink(tree, fd, "", err);
	tree->fd = store_open(path, O_RDONLY, err);
	if (tree->fd < 0)
		return -1;
	return fill_opened(tree, st.st_mode & S_IFMT, err);
}

/* d_type is DT_UNKNOWN where the file system does not tell. */
static int fill(struct tree *tree, int dirfd, const char *name,
		unsigned char d_type, struct err *err)
{
	mode_t type = DTTOIF(d_type);
	struct stat st;

	if (d_type == DT_UNKNOWN) {
		if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
			return cannot_read(tree, err);
		type = st.st_mode & S_IFMT;
	}
	if (check_type(tree, type, err))
		return -1;
	if (type == S_IFLNK)
		return fill_symlink(tree, dirfd, name, err);
	if (type == S_IFREG && tree->read == TREE_NAMES_ONLY)
		return 0;
	tree->fd = open_entry(tree, dirfd, name,
			      type == S_IFDIR ? O_DIRECTORY : 0);
	return fill_opened(tree, type, err);
}

static int next(struct tree *tree, struct level *level, struct err *err)
{
	char *name = level->names[level->next++];

	tree->path.len = level->path_len;
	strbuf_addch(&tree->path, '/');
	strbuf_addstr(&tree->path, name);
	return fill(tree, level->fd, name, (unsigned char)name[-1], err);
}

static int advance(struct tree *tree, struct err *err)
{
	if (!tree->started)
		return first(tree, err) ? -1 : 1;
	if (tree->fd >= 0 && tree->entry.type == TREE_DIRECTORY &&
	    push(tree, err))
		return -1;
	close_fd(&tree->fd);
	while (tree->nr_levels) {
		struct level *level = &tree->levels[tree->nr_levels - 1];

		if (level->next < level->nr)
			return next(tree, level, err) ? -1 : 1;
		if (pop(tree, err))
			return -1;
	}
	return 0;
}

int tree_next(struct tree *tree, const struct tree_entry **entry,
	      struct err *err)
{
	int rc = advance(tree, err);

	*entry = rc > 0 ? &tree->entry : NULL;
	return rc;
}

void tree_skip(struct tree *tree)
{
	assert(tree->entry.type == TREE_DIRECTORY);
	close_fd(&tree->fd);
}
