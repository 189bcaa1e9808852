// SPDX-License-Identifier: MIT
#include "common/layertar.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/archive.h"
#include "common/decompressor.h"
#include "common/digest.h"
#include "common/store.h"
#include "common/tarstart.h"

#include "common/banned.h"

#define PIECE_SIZE (256u << 10)

/*
 * A blob on its way to the stream. If a diff ID is promised it is unpacked
 * besides, to look at that, and whether it is a tar.
 */
struct blob {
	struct stream *stream;
	bool wants_diff_id;
	bool begun;
	struct decompressor *decompressor; /* NULL for a plain tar */
	struct hasher *tar;
	uint64_t tar_size;
	struct tar_start start;
};

static void blob_release(struct blob *blob)
{
	decompressor_free(blob->decompressor);
	hasher_free(blob->tar);
}

static int hash_tar(void *arg, const void *data, size_t len, struct err *err)
{
	struct blob *blob = arg;

	tar_start_add(&blob->start, data, len);
	hasher_update(blob->tar, data, len);
	blob->tar_size += len;
	return 0;
}

/* The first piece says how it is compressed. */
static void begin(struct blob *blob, const void *data, size_t len)
{
	enum compression c = compression_of_magic(data, len);

	blob->begun = true;
	if (!blob->wants_diff_id || c == COMPRESSION_NONE)
		return;
	blob->decompressor = decompressor_new(c, stream_expansion(blob->stream),
					      hash_tar, blob);
	blob->tar = hasher_new();
}

static int add(void *arg, const void *data, size_t len, struct err *err)
{
	struct blob *blob = arg;

	if (!blob->begun)
		begin(blob, data, len);
	if (!blob->decompressor)
		tar_start_add(&blob->start, data, len);
	else if (decompressor_add(blob->decompressor, data, len, err))
		return -1;
	return stream_write(blob->stream, data, len, err);
}

static int add_file(struct blob *blob, const char *file, struct err *err)
{
	autofree char *piece = xmalloc(PIECE_SIZE);
	autoclose int fd = store_open(file, O_RDONLY | O_NONBLOCK, err);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st))
		return err_errno(err, "%s", file);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_MALFORMED, "%s is not a regular file",
			       file);
	for (;;) {
		ssize_t n = read(fd, piece, PIECE_SIZE);

		if (!n)
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, "cannot read %s", file);
		if (add(blob, piece, (size_t)n, err))
			return -1;
	}
}

int layertar_blob(struct stream *stream, struct teller *teller,
		  const struct layer_input *input, struct layer *layer,
		  struct err *err)
{
	__attribute__((cleanup(blob_release))) struct blob blob = {
		.stream = stream,
		.wants_diff_id = input->has_diff_id,
	};

	stream_keep(stream, input->blob.media_type);
	layer->tar_size = 0;
	if (input->member ? archive_stream(input->file, input->member, add,
					   &blob, err)
			  : add_file(&blob, input->file, err))
		return -1;
	if (blob.decompressor && decompressor_end(blob.decompressor, err))
		return -1;
	if (blob.wants_diff_id && !tar_start_is_tar(&blob.start))
		return err_set(err, ERR_MALFORMED, "%s%s%s is no tar",
			       input->member ? input->member : "",
			       input->member ? " in " : "", input->file);
	if (!blob.decompressor)
		return 0;
	hasher_final(blob.tar, &layer->diff_id);
	layer->tar_size = blob.tar_size;
	return 0;
}
