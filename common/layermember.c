// SPDX-License-Identifier: MIT
#include "common/layertar.h"

#include <string.h>

#include "common/archive.h"
#include "common/decompressor.h"
#include "common/digest.h"
#include "common/tarstart.h"

#include "common/banned.h"

/*
 * A member on its way from the archive to the stream: one that is kept as it
 * is goes there in its own bytes, another as the tar that it holds.
 */
struct member {
	struct stream *stream;
	enum compression wanted;
	char magic[COMPRESSION_MAGIC]; /* its first bytes, until known */
	size_t nr_magic;
	bool known, kept;
	struct decompressor *decompressor; /* NULL for a plain tar */
	struct hasher *tar;		   /* of one that is kept */
	uint64_t tar_size;
	struct tar_start start;
};

static void member_release(struct member *member)
{
	decompressor_free(member->decompressor);
	hasher_free(member->tar);
}

static int hash_tar(void *arg, const void *data, size_t len, struct err *err)
{
	struct member *member = arg;

	tar_start_add(&member->start, data, len);
	hasher_update(member->tar, data, len);
	if (__builtin_add_overflow(member->tar_size, len, &member->tar_size))
		return err_set(err, ERR_MALFORMED, "the tar is too large");
	return 0;
}

static int write_tar(void *arg, const void *data, size_t len, struct err *err)
{
	struct member *member = arg;

	tar_start_add(&member->start, data, len);
	return stream_write(member->stream, data, len, err);
}

/* Docker takes zstd only since 23.0, gzip always. */
static bool is_kept(const struct member *member, enum compression c)
{
	return c == COMPRESSION_GZIP ||
	       (c == COMPRESSION_ZSTD && member->wanted == c);
}

static int pass_on(struct member *member, const void *data, size_t len,
		   struct err *err)
{
	if (member->decompressor &&
	    decompressor_add(member->decompressor, data, len, err))
		return -1;
	if (member->decompressor && !member->kept)
		return 0;
	if (!member->decompressor)
		tar_start_add(&member->start, data, len);
	return stream_write(member->stream, data, len, err);
}

/* The first bytes are there, or all that there are. */
static int know(struct member *member, struct err *err)
{
	enum compression c =
		compression_of_magic(member->magic, member->nr_magic);

	member->known = true;
	member->kept = is_kept(member, c);
	if (member->kept) {
		stream_keep(member->stream, compression_media_type(c));
		member->decompressor = decompressor_new(
			c, stream_expansion(member->stream), hash_tar, member);
		member->tar = hasher_new();
	} else if (c != COMPRESSION_NONE) {
		member->decompressor = decompressor_new(
			c, stream_expansion(member->stream), write_tar, member);
	}
	return pass_on(member, member->magic, member->nr_magic, err);
}

static int add(void *arg, const void *data, size_t len, struct err *err)
{
	struct member *member = arg;

	if (!member->known) {
		size_t n = sizeof(member->magic) - member->nr_magic;

		if (n > len)
			n = len;
		memcpy(member->magic + member->nr_magic, data, n);
		member->nr_magic += n;
		data = (const char *)data + n;
		len -= n;
		if (member->nr_magic < sizeof(member->magic))
			return 0;
		if (know(member, err))
			return -1;
	}
	return pass_on(member, data, len, err);
}

static int finish(struct member *member, struct layer *layer, struct err *err)
{
	if (!member->known && know(member, err))
		return -1;
	if (member->decompressor && decompressor_end(member->decompressor, err))
		return -1;
	if (!tar_start_is_tar(&member->start))
		return err_set(err, ERR_MALFORMED, "it is no tar");
	if (!member->kept)
		return 0;
	hasher_final(member->tar, &layer->diff_id);
	layer->tar_size = member->tar_size;
	return 0;
}

int layertar_member(struct stream *stream, struct teller *teller,
		    const struct layer_input *input, struct layer *layer,
		    struct err *err)
{
	__attribute__((cleanup(member_release))) struct member member = {
		.stream = stream,
		.wanted = stream_compression(stream),
	};

	if (archive_stream(input->file, input->member, add, &member, err))
		return -1;
	if (finish(&member, layer, err))
		return err_wrap(err, "%s in %s", input->member, input->file);
	return 0;
}
