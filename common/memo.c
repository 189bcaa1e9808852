// SPDX-License-Identifier: MIT
#include "common/memo.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"

#include "common/banned.h"

/* A place for each hash of a path; who has the place last is in it. */
#define PLACES 1024

/* One file may have so much of it all. */
#define SHARE 8

/*
 * Seconds: file systems count time by the tick of the clock, 10 ms at most,
 * some by the second. A clock that is set back makes no file the same again,
 * for its times are of nanoseconds.
 */
#define RACY_S 2

/* Times that others may want a place before who uses it loses it. */
#define CREDIT_MAX 3

struct entry {
	struct stat st;
	unsigned int credit;
	size_t path_len, len;
	char bytes[]; /* path, NUL, data */
};

struct memo {
	pthread_mutex_t lock;
	size_t max, total;
	size_t hand; /* where to look next for what may go */
	struct entry *places[PLACES];
};

struct memo *memo_new(size_t max_bytes)
{
	struct memo *memo = xcalloc(1, sizeof(*memo));

	pthread_mutex_init(&memo->lock, NULL);
	memo->max = max_bytes;
	return memo;
}

void memo_free(struct memo *memo)
{
	if (!memo)
		return;
	for (size_t i = 0; i < PLACES; i++)
		free(memo->places[i]);
	pthread_mutex_destroy(&memo->lock);
	free(memo);
}

static size_t size_of(size_t path_len, size_t len)
{
	return sizeof(struct entry) + path_len + 1 + len;
}

/* FNV-1a. Names are clients', but all that they gain by a clash is a read. */
static size_t place_of(const char *path)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *path; path++)
		hash = (hash ^ (unsigned char)*path) * 0x100000001b3;
	return (hash ^ hash >> 32) % PLACES;
}

static bool is_same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	       a->st_size == b->st_size &&
	       is_same_time(a->st_mtim, b->st_mtim) &&
	       is_same_time(a->st_ctim, b->st_ctim);
}

static void drop(struct memo *memo, size_t place)
{
	struct entry *entry = memo->places[place];

	memo->total -= size_of(entry->path_len, entry->len);
	memo->places[place] = NULL;
	free(entry);
}

/* Has the place been asked for by others often enough? */
static bool loses_credit(struct entry *entry)
{
	if (entry->credit)
		entry->credit--;
	return !entry->credit;
}

bool memo_get(struct memo *memo, const char *path, const struct stat *st,
	      struct strbuf *out)
{
	size_t place = place_of(path);
	struct entry *entry;
	bool is_known;

	pthread_mutex_lock(&memo->lock);
	entry = memo->places[place];
	is_known =
		entry && is_same(&entry->st, st) && !strcmp(entry->bytes, path);
	if (is_known) {
		entry->credit = CREDIT_MAX;
		strbuf_add(out, entry->bytes + entry->path_len + 1, entry->len);
	}
	pthread_mutex_unlock(&memo->lock);
	return is_known;
}

/* Room for so many bytes, taken from those that nobody has asked for. */
static bool make_room(struct memo *memo, size_t size)
{
	for (size_t i = 0; i < PLACES && memo->total + size > memo->max; i++) {
		size_t place = memo->hand++ % PLACES;

		if (memo->places[place] && loses_credit(memo->places[place]))
			drop(memo, place);
	}
	return memo->total + size <= memo->max;
}

static void put(struct memo *memo, const char *path, const struct stat *st,
		const char *data, size_t len)
{
	size_t place = place_of(path);
	size_t path_len = strlen(path);
	size_t size = size_of(path_len, len);
	struct entry *entry = memo->places[place];

	if (entry && strcmp(entry->bytes, path) && !loses_credit(entry))
		return;
	if (entry)
		drop(memo, place);
	if (!make_room(memo, size))
		return;
	entry = xmalloc(size);
	*entry = (struct entry){
		.st = *st, .credit = 1, .path_len = path_len, .len = len
	};
	memcpy(entry->bytes, path, path_len + 1);
	memcpy(entry->bytes + path_len + 1, data, len);
	memo->places[place] = entry;
	memo->total += size;
}

void memo_put(struct memo *memo, const char *path, const struct stat *st,
	      const char *data, size_t len)
{
	int64_t age = time(NULL) - st->st_ctim.tv_sec;

	if (age < RACY_S || len > memo->max / SHARE)
		return;
	pthread_mutex_lock(&memo->lock);
	put(memo, path, st, data, len);
	pthread_mutex_unlock(&memo->lock);
}
