// SPDX-License-Identifier: MIT
#include "common/stream.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/cache.h"
#include "common/digest.h"
#include "common/teller.h"

#include "common/banned.h"

/* One that is filled, one compressed and one written, for each thread. */
#define CUTS_PER_THREAD 3

/* A piece of a tar, and what it is compressed. */
struct cut {
	struct stream *stream;
	struct cut *next;      /* of the free ones; of its stream, in order */
	struct cut *next_todo; /* of those to be compressed */
	bool ready;	       /* to be written */
	size_t in_len, out_len;
	char *in;
	char *out; /* NULL in a crew that does not compress */
};

struct crew {
	const struct cache *cache;
	enum compression compression;
	size_t cut_size, out_size;
	struct cut *cuts;
	size_t nr_cuts;
	struct teller *teller;
	struct expansion *expansion;

	pthread_mutex_t lock; /* for all that follows, and streams' own */
	pthread_cond_t changed;
	size_t waiting;	  /* threads at changed */
	size_t producers; /* threads that did not call worker_help() yet */
	bool stopped;
	struct cut *free;
	struct cut *todo, **todo_end;
	struct stream *streams;
};

struct worker {
	struct crew *crew;
	struct compressor *compressor;
};

struct stream {
	struct worker *worker;
	struct crew *crew;
	bool keep;
	enum media_type media_type;
	struct hasher *tar, *blob; /* no blob if tar and blob are the same */
	uint64_t size;
	struct cut *current;	   /* being filled by the stream's thread */
	struct blob_writer writer; /* of the thread that has set writing */

	/* Guarded by crew->lock. */
	struct stream *next;
	struct cut *head, **tail; /* in order, all that are not yet written */
	bool writing;
	bool failed;
	struct err err; /* if failed */
};

struct crew *crew_new(const struct cache *cache, enum compression c,
		      struct teller *teller, struct expansion *expansion,
		      size_t threads)
{
	struct crew *crew = xcalloc(1, sizeof(*crew));

	crew->cache = cache;
	crew->compression = c;
	crew->teller = teller;
	crew->expansion = expansion;
	crew->producers = threads;
	crew->cut_size = compression_cut();
	if (c != COMPRESSION_NONE)
		crew->out_size = compression_bound(c, crew->cut_size);
	crew->nr_cuts = CUTS_PER_THREAD * threads;
	crew->cuts = xcalloc(crew->nr_cuts, sizeof(*crew->cuts));
	for (size_t i = 0; i < crew->nr_cuts; i++) {
		struct cut *cut = &crew->cuts[i];

		cut->in = xmalloc(crew->cut_size);
		if (crew->out_size)
			cut->out = xmalloc(crew->out_size);
		cut->next = crew->free;
		crew->free = cut;
	}
	crew->todo_end = &crew->todo;
	pthread_mutex_init(&crew->lock, NULL);
	pthread_cond_init(&crew->changed, NULL);
	return crew;
}

void crew_free(struct crew *crew)
{
	assert(!crew->streams && !crew->todo);
	for (size_t i = 0; i < crew->nr_cuts; i++) {
		free(crew->cuts[i].in);
		free(crew->cuts[i].out);
	}
	free(crew->cuts);
	pthread_mutex_destroy(&crew->lock);
	pthread_cond_destroy(&crew->changed);
	free(crew);
}

/* Every function with _locked is called with crew->lock held. */

static void tell_locked(struct crew *crew)
{
	if (crew->waiting)
		pthread_cond_broadcast(&crew->changed);
}

static void wait_locked(struct crew *crew)
{
	crew->waiting++;
	pthread_cond_wait(&crew->changed, &crew->lock);
	crew->waiting--;
}

void crew_stop(struct crew *crew)
{
	pthread_mutex_lock(&crew->lock);
	crew->stopped = true;
	tell_locked(crew);
	pthread_mutex_unlock(&crew->lock);
}

static void fail_locked(struct stream *stream, const struct err *err)
{
	if (!stream->failed)
		stream->err = *err;
	stream->failed = true;
}

static void put_free_locked(struct crew *crew, struct cut *cut)
{
	cut->next = crew->free;
	crew->free = cut;
}

/* Hash and write the first cut of a stream. */
static void write_head_locked(struct stream *stream)
{
	struct crew *crew = stream->crew;
	struct cut *cut = stream->head;
	struct err err;
	int rc = 0;

	stream->writing = true;
	if (!stream->failed) {
		const char *data = stream->blob ? cut->out : cut->in;
		size_t len = stream->blob ? cut->out_len : cut->in_len;

		pthread_mutex_unlock(&crew->lock);
		if (stream->blob)
			hasher_update(stream->blob, data, len);
		rc = blob_write(&stream->writer, data, len, &err);
		pthread_mutex_lock(&crew->lock);
	}
	if (rc)
		fail_locked(stream, &err);
	stream->head = cut->next;
	if (!stream->head)
		stream->tail = &stream->head;
	put_free_locked(crew, cut);
	stream->writing = false;
}

static void compress_locked(struct worker *worker)
{
	struct crew *crew = worker->crew;
	struct cut *cut = crew->todo;

	crew->todo = cut->next_todo;
	if (!crew->todo)
		crew->todo_end = &crew->todo;
	if (!cut->stream->failed) {
		pthread_mutex_unlock(&crew->lock);
		cut->out_len =
			compressor_run(worker->compressor, cut->in, cut->in_len,
				       cut->out, crew->out_size);
		pthread_mutex_lock(&crew->lock);
	}
	cut->ready = true;
}

/*
 * Do one piece of work for whichever stream has some; false if none has.
 * Writing comes first, since it gives a cut free.
 */
static bool work_locked(struct worker *worker)
{
	struct crew *crew = worker->crew;
	struct stream *s = crew->streams;

	while (s && (s->writing || !s->head || !s->head->ready))
		s = s->next;
	if (s)
		write_head_locked(s);
	else if (crew->todo)
		compress_locked(worker);
	else
		return false;
	tell_locked(crew);
	return true;
}

struct worker *worker_new(struct crew *crew)
{
	struct worker *worker = xcalloc(1, sizeof(*worker));

	worker->crew = crew;
	if (crew->compression != COMPRESSION_NONE)
		worker->compressor = compressor_new(crew->compression);
	return worker;
}

void worker_free(struct worker *worker)
{
	compressor_free(worker->compressor);
	free(worker);
}

void worker_help(struct worker *worker)
{
	struct crew *crew = worker->crew;

	pthread_mutex_lock(&crew->lock);
	crew->producers--;
	tell_locked(crew);
	while (crew->producers)
		if (!work_locked(worker))
			wait_locked(crew);
	pthread_mutex_unlock(&crew->lock);
}

int stream_new(struct stream **out, struct worker *worker, struct err *err)
{
	struct crew *crew = worker->crew;
	struct stream *stream = xcalloc(1, sizeof(*stream));

	stream->worker = worker;
	stream->crew = crew;
	stream->media_type = compression_media_type(crew->compression);
	stream->tail = &stream->head;
	if (blob_begin(&stream->writer, crew->cache, err)) {
		free(stream);
		return -1;
	}
	stream->tar = hasher_new();
	if (crew->compression != COMPRESSION_NONE)
		stream->blob = hasher_new();
	pthread_mutex_lock(&crew->lock);
	stream->next = crew->streams;
	crew->streams = stream;
	pthread_mutex_unlock(&crew->lock);
	*out = stream;
	return 0;
}

/* Until all cuts are written, or thrown away if it has failed. */
static void drain_locked(struct stream *stream)
{
	while (stream->head || stream->writing)
		if (!work_locked(stream->worker))
			wait_locked(stream->crew);
}

void stream_free(struct stream *stream)
{
	struct crew *crew;
	struct stream **p;

	if (!stream)
		return;
	crew = stream->crew;
	pthread_mutex_lock(&crew->lock);
	stream->failed = true;
	drain_locked(stream);
	if (stream->current)
		put_free_locked(crew, stream->current);
	for (p = &crew->streams; *p != stream;)
		p = &(*p)->next;
	*p = stream->next;
	tell_locked(crew);
	pthread_mutex_unlock(&crew->lock);
	blob_writer_release(&stream->writer);
	hasher_free(stream->tar);
	hasher_free(stream->blob);
	free(stream);
}

void cleanup_stream(struct stream **stream)
{
	stream_free(*stream);
}

void stream_keep(struct stream *stream, enum media_type media_type)
{
	assert(!stream->size && !stream->current);
	stream->keep = true;
	stream->media_type = media_type;
	hasher_free(stream->blob);
	stream->blob = NULL;
}

void stream_plain(struct stream *stream)
{
	stream_keep(stream, MEDIA_LAYER);
	stream->keep = false;
}

static int check_locked(const struct stream *stream, struct err *err)
{
	if (stream->failed) {
		*err = stream->err;
		return -1;
	}
	if (stream->crew->stopped)
		return err_set(err, ERR_BUSY, "stopped");
	return 0;
}

static int take_cut(struct stream *stream, struct err *err)
{
	struct crew *crew = stream->crew;
	int rc;

	pthread_mutex_lock(&crew->lock);
	while (!(rc = check_locked(stream, err)) && !crew->free)
		if (!work_locked(stream->worker))
			wait_locked(crew);
	if (!rc) {
		stream->current = crew->free;
		crew->free = stream->current->next;
	}
	pthread_mutex_unlock(&crew->lock);
	if (!rc) {
		stream->current->stream = stream;
		stream->current->next = NULL;
		stream->current->in_len = 0;
	}
	return rc;
}

int stream_room(struct stream *stream, void **room, size_t *len,
		struct err *err)
{
	if (!stream->current && take_cut(stream, err))
		return -1;
	*room = stream->current->in + stream->current->in_len;
	*len = stream->crew->cut_size - stream->current->in_len;
	return 0;
}

/* The current cut is full, or the last one. */
static void hand_over(struct stream *stream)
{
	struct cut *cut = steal_ptr(&stream->current);
	struct crew *crew = stream->crew;

	hasher_update(stream->tar, cut->in, cut->in_len);
	teller_bytes(crew->teller, cut->in_len);
	cut->ready = !stream->blob;
	cut->next_todo = NULL;
	pthread_mutex_lock(&crew->lock);
	*stream->tail = cut;
	stream->tail = &cut->next;
	if (!cut->ready) {
		*crew->todo_end = cut;
		crew->todo_end = &cut->next_todo;
	}
	tell_locked(crew);
	pthread_mutex_unlock(&crew->lock);
}

int stream_added(struct stream *stream, size_t len, struct err *err)
{
	struct cut *cut = stream->current;

	assert(cut && len <= stream->crew->cut_size - cut->in_len);
	if (__builtin_add_overflow(stream->size, len, &stream->size))
		return err_set(err, ERR_MALFORMED, "the tar is too large");
	cut->in_len += len;
	if (cut->in_len == stream->crew->cut_size)
		hand_over(stream);
	return 0;
}

int stream_write(struct stream *stream, const void *data, size_t len,
		 struct err *err)
{
	for (const char *p = data; len;) {
		void *room;
		size_t n;

		if (stream_room(stream, &room, &n, err))
			return -1;
		if (n > len)
			n = len;
		memcpy(room, p, n);
		if (stream_added(stream, n, err))
			return -1;
		p += n;
		len -= n;
	}
	return 0;
}

int stream_zeros(struct stream *stream, size_t len, struct err *err)
{
	static const char zeros[TAR_BLOCK];

	while (len) {
		size_t n = len < sizeof(zeros) ? len : sizeof(zeros);

		if (stream_write(stream, zeros, n, err))
			return -1;
		len -= n;
	}
	return 0;
}

enum compression stream_compression(const struct stream *stream)
{
	return stream->crew->compression;
}

struct expansion *stream_expansion(const struct stream *stream)
{
	return stream->crew->expansion;
}

uint64_t stream_size(const struct stream *stream)
{
	return stream->size;
}

int stream_finish(struct stream *stream, struct layer *layer, struct err *err)
{
	struct crew *crew = stream->crew;
	struct digest tar;
	int rc;

	/* No bytes at all are one empty member or frame. */
	if (!stream->size && !stream->current && take_cut(stream, err))
		return -1;
	if (stream->current)
		hand_over(stream);
	pthread_mutex_lock(&crew->lock);
	drain_locked(stream);
	rc = check_locked(stream, err);
	pthread_mutex_unlock(&crew->lock);
	if (rc)
		return rc;
	hasher_final(stream->tar, &tar);
	layer->blob.media_type = stream->media_type;
	layer->blob.size = stream->writer.size;
	if (stream->blob)
		hasher_final(stream->blob, &layer->blob.digest);
	else
		layer->blob.digest = tar;
	if (!stream->keep) {
		layer->diff_id = tar;
		layer->tar_size = stream->size;
	}
	return 0;
}

int stream_commit(struct stream *stream, const struct layer *layer,
		  struct err *err)
{
	return blob_commit(&stream->writer, &layer->blob.digest, err);
}
