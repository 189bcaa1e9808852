// SPDX-License-Identifier: MIT
#ifndef COMMON_STREAM_H
#define COMMON_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "common/layer.h"

/*
 * A stream is a layer under way: it takes the bytes of a tar in order and
 * leaves a blob in the cache, in one pass: tar, SHA-256, compressor, SHA-256,
 * blob.
 *
 * A crew is the threads that make layers together. The thread that has a
 * stream reads and hashes its tar, cut by cut; whichever thread is free
 * compresses a cut, and hashes and writes what came out when it is its turn.
 * A thread that must wait does such work meanwhile, so one large layer keeps
 * all of them busy. Memory is a fixed number of cuts for each thread.
 */

struct teller;
struct expansion;
struct crew;
/* A thread of a crew, with its own compressor. */
struct worker;
struct stream;

struct crew *crew_new(const struct cache *cache, enum compression c,
		      struct teller *teller, struct expansion *expansion,
		      size_t threads);
void crew_free(struct crew *crew);

/* Streams end as soon as they can, with ERR_BUSY. */
void crew_stop(struct crew *crew);

struct worker *worker_new(struct crew *crew);
void worker_free(struct worker *worker);
/*
 * Work for the others until all the crew's threads have called this: what a
 * thread does that has no more layers to make.
 */
void worker_help(struct worker *worker);

/* A thread has one stream at a time. */
MUST_CHECK int stream_new(struct stream **stream, struct worker *worker,
			  struct err *err);
/* Forget it, unless finished. */
void stream_free(struct stream *stream);
void cleanup_stream(struct stream **stream);
#define autostream __attribute__((cleanup(cleanup_stream))) struct stream

/* What it does to a tar, unless stream_keep() is called. */
enum compression stream_compression(const struct stream *stream);

/* What the compressed layers of the crew expand to. */
struct expansion *stream_expansion(const struct stream *stream);

/*
 * What comes is no tar but one compressed already: the blob is just those
 * bytes. To be called before the first of them.
 */
void stream_keep(struct stream *stream, enum media_type media_type);

/*
 * What comes is a tar that is not to be compressed, whatever the crew does.
 * To be called before the first of its bytes.
 */
void stream_plain(struct stream *stream);

/* Room for the next bytes, at least 1; say how many were put there. */
MUST_CHECK int stream_room(struct stream *stream, void **room, size_t *len,
			   struct err *err);
MUST_CHECK int stream_added(struct stream *stream, size_t len, struct err *err);

MUST_CHECK int stream_write(struct stream *stream, const void *data, size_t len,
			    struct err *err);
MUST_CHECK int stream_zeros(struct stream *stream, size_t len, struct err *err);

/* How many bytes were added. */
uint64_t stream_size(const struct stream *stream);

/*
 * That was all of it: compress, hash and write what is left. Sets the blob's
 * descriptor, diff ID and tar_size; the last two are of the tar, so not if
 * stream_keep() was called. Nothing is in the cache yet.
 */
MUST_CHECK int stream_finish(struct stream *stream, struct layer *layer,
			     struct err *err);
/* Put the blob in the cache. */
MUST_CHECK int stream_commit(struct stream *stream, const struct layer *layer,
			     struct err *err);

#endif
