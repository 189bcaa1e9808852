// SPDX-License-Identifier: MIT
#include <err.h>
#include <fcntl.h>
#include <fts.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/banned.h"

/*
 * limit PROCESSES LIST [FOLDER]
 *
 * What no making of layers can be faster than: every file below the paths of
 * LIST is read and hashed by SHA-256 and, with FOLDER, what was read is
 * written into one file for each group and synced. LIST has a path a line, an
 * empty line ends a group; each process takes the next group that nobody has.
 * No tar is written, and nothing is promised of the order.
 */

#define BUFFER (1u << 20)

struct group {
	char **paths; /* NULL ends them */
	size_t nr;
};

struct limit {
	struct group *groups;
	size_t nr;
	const char *folder;
	atomic_size_t *next; /* shared by the processes */
};

static char buffer[BUFFER];

static void *check(void *p)
{
	if (!p)
		err(1, "memory");
	return p;
}

static void add_path(struct group *group, const char *path)
{
	group->paths = check(reallocarray(group->paths, group->nr + 2,
					  sizeof(*group->paths)));
	group->paths[group->nr++] = check(strdup(path));
	group->paths[group->nr] = NULL;
}

static void read_list(struct limit *limit, const char *file)
{
	FILE *f = fopen(file, "re");
	char line[4096];
	int starts = 1;

	if (!f)
		err(1, "%s", file);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (!*line) {
			starts = 1;
			continue;
		}
		if (starts) {
			limit->groups =
				check(reallocarray(limit->groups, limit->nr + 1,
						   sizeof(*limit->groups)));
			limit->groups[limit->nr++] = (struct group){ .nr = 0 };
			starts = 0;
		}
		add_path(&limit->groups[limit->nr - 1], line);
	}
	fclose(f);
}

static void put(EVP_MD_CTX *hash, int out, size_t len)
{
	if (EVP_DigestUpdate(hash, buffer, len) != 1)
		errx(1, "SHA-256 failed");
	for (size_t done = 0; out >= 0 && done < len;) {
		ssize_t n = write(out, buffer + done, len - done);

		if (n < 0)
			err(1, "write");
		done += (size_t)n;
	}
}

static void read_file(const char *path, EVP_MD_CTX *hash, int out,
		      size_t *filled)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		err(1, "%s", path);
	while ((n = read(fd, buffer + *filled, BUFFER - *filled)) > 0) {
		*filled += (size_t)n;
		if (*filled < BUFFER)
			continue;
		put(hash, out, *filled);
		*filled = 0;
	}
	if (n < 0)
		err(1, "%s", path);
	close(fd);
}

static void do_group(const struct limit *limit, size_t index)
{
	EVP_MD_CTX *hash = check(EVP_MD_CTX_new());
	char name[4096];
	FTS *fts = check(fts_open(limit->groups[index].paths,
				  FTS_PHYSICAL | FTS_NOCHDIR, NULL));
	const FTSENT *entry;
	size_t filled = 0;
	int out = -1;

	if (EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1)
		errx(1, "SHA-256 failed");
	if (limit->folder) {
		snprintf(name, sizeof(name), "%s/%zu", limit->folder, index);
		out = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (out < 0)
			err(1, "%s", name);
	}
	while ((entry = fts_read(fts)))
		if (entry->fts_info == FTS_F)
			read_file(entry->fts_accpath, hash, out, &filled);
	put(hash, out, filled);
	if (out >= 0 && (fsync(out) || close(out)))
		err(1, "%s", name);
	fts_close(fts);
	EVP_MD_CTX_free(hash);
}

static void work(const struct limit *limit)
{
	size_t index;

	while ((index = atomic_fetch_add(limit->next, 1)) < limit->nr)
		do_group(limit, index);
}

int main(int argc, char **argv)
{
	struct limit limit = { .folder = argc > 3 ? argv[3] : NULL };
	long processes = argc > 2 ? strtol(argv[1], NULL, 10) : 0;
	int status, failed = 0;

	if (processes < 1 || processes > 1024)
		errx(2, "usage: limit PROCESSES LIST [FOLDER]");
	read_list(&limit, argv[2]);
	limit.next = mmap(NULL, sizeof(*limit.next), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (limit.next == MAP_FAILED)
		err(1, "mmap");
	for (long i = 0; i < processes; i++) {
		pid_t pid = fork();

		if (pid < 0)
			err(1, "fork");
		if (!pid) {
			work(&limit);
			_exit(0);
		}
	}
	while (wait(&status) > 0)
		failed |= status;
	return failed ? 1 : 0;
}
