// SPDX-License-Identifier: MIT
#ifndef COMMON_LAYER_H
#define COMMON_LAYER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compression.h"
#include "common/descriptor.h"
#include "common/tar.h"

struct cache;
struct expansion;
struct json_object;

/*
 * A layer is a tar and what names it: the digest of the tar (diff ID) and the
 * descriptor of the blob, which is the tar compressed. A layer input is all
 * that its bytes are a function of; its key is a digest over that, so a layer
 * whose key is known is never made again. What can be made of an input is
 * always the same bytes, or an error.
 */

enum layer_kind {
	LAYER_STORE_PATHS, /* a tar of store paths, in the order given */
	LAYER_LINKS,	   /* a tree of symlinks into the store paths given */
	LAYER_ROOT,	   /* the same, and what a root has besides */
	LAYER_TREE,	   /* one tree of store paths, as nix2container does */
	LAYER_FILE,	   /* a file that is the tar already, byte for byte */
	LAYER_BLOB,	   /* a file or a member that is the blob already */
	LAYER_MEMBER,	   /* a member of a docker-archive, tar or compressed */
};

struct layer_path {
	char *path;	   /* /nix/store/HASH-name */
	char *nar_hash;	   /* as Nix's database has it */
	uint64_t nar_size; /* bytes; for planning and progress only */
	/* TREE: nix2container's options, see pathoptions.h; or NULL. */
	struct json_object *options;
};

struct layer_input {
	enum layer_kind kind;
	struct tar_options options; /* uname, gname: owned by the input */
	struct layer_path *paths;   /* STORE_PATHS, LINKS, ROOT, TREE */
	size_t nr_paths;
	char *file; /* FILE: the tar; BLOB; MEMBER: the archive */
	/* MEMBER, BLOB in an archive: its name there, links followed. */
	char *member;
	/* BLOB: what it is promised to be. TREE: its size, or 0 for none. */
	struct descriptor blob;
	/*
	 * The diff ID that the image config in an archive, or the checksum
	 * beside a layer.tar, promises. Bytes that hash to another are
	 * refused.
	 */
	bool has_diff_id;
	struct digest diff_id;
	/* Of the layer in the image config's history; NULL for none. */
	char *comment;
};

struct layer {
	struct digest key;
	struct digest diff_id;
	uint64_t tar_size; /* bytes */
	struct descriptor blob;
};

void layer_input_release(struct layer_input *input);

/* The key, over the input and the compression's signature. */
void layer_input_key(const struct layer_input *input, enum compression c,
		     struct digest *key);

/*
 * An input as a JSON object and back, for records: everything that its key
 * is made of. The object is the caller's to put.
 */
struct json_object *layer_input_to_json(const struct layer_input *input);
MUST_CHECK int layer_input_from_json(struct layer_input *input,
				     struct json_object *json, struct err *err);

/* What is told while layers are made; any of its calls may come from any
 * thread, one at a time. */
struct layer_progress {
	void (*bytes)(void *arg, uint64_t tar_bytes); /* as they are read */
	void (*layer)(void *arg, const struct layer_input *input,
		      const struct layer *layer, bool made);
	/* What a user should know, such as a file that two contents have. */
	void (*warning)(void *arg, const char *message);
	void *arg;
};

/*
 * Find or make all layers, on all cores: out[i] is
 * that of inputs[i]. Equal inputs are made once. Holds the lock of each key
 * that is made, so that no two processes make the same. Blobs and layer
 * entries are in the cache when it returns 0. What is unpacked meanwhile is
 * added to expansion, NULL for one of this call alone. An error names the layer and
 * the store path; what was finished by then stays in the cache.
 *
 * A blob whose layer entry is there but whose bytes are not is made again
 * and must come out the same.
 */
MUST_CHECK int layers_make(const struct cache *cache,
			   const struct layer_input *inputs, size_t nr,
			   enum compression c, struct expansion *expansion,
			   const struct layer_progress *progress,
			   struct layer *out, struct err *err);

#endif
