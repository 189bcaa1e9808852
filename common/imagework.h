// SPDX-License-Identifier: MIT
#ifndef COMMON_IMAGEWORK_H
#define COMMON_IMAGEWORK_H

#include <stdint.h>

#include "common/expansion.h"
#include "common/flake.h"
#include "common/image.h"
#include "common/nix.h"
#include "common/record.h"
#include "common/source.h"

/*
 * What Nix's garbage collector took from under us is made anew so often:
 * nothing holds what an evaluation makes until it is realised, and there are
 * collectors that never rest.
 */
#define IMAGE_ATTEMPTS 10

/*
 * What one image_build() carries along, for the modules behind image.h.
 */
struct image_work {
	const struct image_build *build;
	const struct flake_settings *flake;
	/* What of the name is left for the flake, or a composition's text. */
	const char *attribute;
	char *composed; /* owns the attribute if compose is set, or NULL */
	const char *system;
	struct digest key; /* of the build: name and reference */
	int64_t started;   /* seconds since 1970 */
	struct nix nix;
	int log_fd;		 /* -1 until there is something to tell */
	struct strbuf log_early; /* what is to be its beginning */
	uint64_t log_left;	 /* bytes that the log may still grow */
	struct strbuf line;	 /* of Nix's, not ended yet */
	/* Of all layers, those of an index's members too. */
	struct expansion expansion;
	/* Making failed, and Nix's garbage collector was there in between. */
	bool was_collected;
};

/*
 * The log is that of the last build: one that only finds out that there is
 * nothing to build leaves it alone. So what is logged is kept in memory until
 * the log is begun. That it cannot be written ends no build.
 */
void image_work_begin_log(struct image_work *work);

/* Write to the build's log, as far as its limit goes. */
void image_work_log(struct image_work *work, const char *data, size_t len);

/* What Nix writes to stderr: lines for the log and the progress. */
void image_work_stderr(void *arg, const char *data, size_t len);

/* A line of our own in the build's log, and the phase of the progress. */
void image_work_phase(struct image_work *work, const char *phase);

/* source_open(), and its warning in the build's log and the progress. */
MUST_CHECK int image_work_open(struct image_work *work, struct source *source,
			       const struct source_output *output,
			       struct err *err);

/* resolve_tag() for the work's flake, with its credentials. */
MUST_CHECK int image_work_resolve(struct image_work *work,
				  const struct tag *tag, struct flake_pin *pin,
				  struct err *err);

/*
 * Take one of the max-builds slots, waiting for it until the deadline. From
 * here on there is a build, and its log.
 * Returns a descriptor that holds it until it is closed, or -1.
 */
MUST_CHECK int image_work_slot(struct image_work *work, struct err *err);

/*
 * Build what pin describes, with all its blobs, links and record. The slot
 * and the lock on identity are the caller's.
 */
MUST_CHECK int image_make(struct image_work *work, struct flake_pin *pin,
			  const struct digest *identity,
			  struct image_head *head, struct err *err);

/*
 * The record of a manifest in this repository, with its body parsed. A head
 * that does not fit the manifest is written anew; a body that gives another
 * one is ERR_REFUSED.
 */
MUST_CHECK int image_read_record(const struct image_work *work,
				 const struct digest *manifest,
				 struct image_head *head, struct record *record,
				 struct err *err);

/* Is the record that of an index, whose text stands in its config? */
bool image_is_index(const struct record *record);

/* Are all the blobs of an image there, of an index those of its members? */
bool image_is_whole(const struct image_work *work,
		    const struct image_head *head, const struct record *record);

/*
 * Is the image of this identity known, and all there? 1 yes, 0 no, or -1. An
 * image whose blobs are gone is made anew, which gives the same bytes.
 */
MUST_CHECK int image_find_known(struct image_work *work,
				const struct digest *identity,
				struct image_head *head, struct err *err);

/*
 * Other settings over this cache may have had the name mean their flake: what
 * they linked for it is linked for ours again, and so is what somebody took
 * away. 1, 0 if a record is theirs, or -1.
 */
MUST_CHECK int image_link_again(const struct image_work *work,
				const struct image_head *head,
				const struct record *record, struct err *err);

/* What the whole tag is a function of: an image, or an index of systems. */
void image_identity(const struct image_work *work, const struct flake_pin *pin,
		    struct digest *identity);

/*
 * The image of work->system at that pin, known or made now; or the index of
 * those systems that the flake has the attribute for (image-spec,
 * image-index.md). ERR_UNKNOWN if it has it for none.
 */
MUST_CHECK int image_find_or_make(struct image_work *work,
				  struct flake_pin *pin,
				  struct image_head *head, struct err *err);
MUST_CHECK int image_find_or_make_index(struct image_work *work,
					struct flake_pin *pin,
					struct image_head *head,
					struct err *err);

/* Lease the members of an index. False if one is gone. */
struct image_index;
bool image_use_members(const struct image_work *work,
		       const struct image_index *index);

/* Resolve the tag, find or make its image, and point the tag there. */
MUST_CHECK int image_build_tag(struct image_work *work, struct image_head *head,
			       struct err *err);

/*
 * The layers of a record came out otherwise. If a store path is not what it
 * was, the error is to name it.
 */
void image_name_culprit(struct image_work *work, const struct record *record,
			struct err *err);

/* Make every blob of a record again that is not there. */
MUST_CHECK int image_remake(struct image_work *work,
			    const struct image_head *head,
			    const struct record *record, struct err *err);

/*
 * What the head of a record is to say of its manifest: of that digest, the
 * size and, where its bytes tell, the media type. ERR_REFUSED if the record
 * gives another one.
 */
MUST_CHECK int image_describe(const struct record *record,
			      struct descriptor *manifest, struct err *err);

/* The manifest of a record's config, layers and annotations. */
void image_format_manifest(struct strbuf *out, const struct record *record);

/*
 * Link config and layers of an image of this flake in its repository, where
 * they are not linked for it already.
 */
MUST_CHECK int image_link_blobs(const struct image_work *work,
				const struct image_head *head,
				const char *config, const struct layer *layers,
				size_t nr, struct err *err);

/*
 * Publish the links of all blobs and, when these are on disk, the config and
 * the manifest: one that is there has all that it names. The caller holds the
 * layers, and has written the record.
 */
MUST_CHECK int
image_publish_blobs(struct image_work *work, const struct image_head *head,
		    const char *config, const struct strbuf *manifest,
		    const struct layer *layers, size_t nr, struct err *err);

/*
 * layers_make(), until all of them are there at the same time. *hold, the
 * caller's to close, keeps them: to be held until what needs them is
 * published.
 */
MUST_CHECK int image_make_layers(struct image_work *work,
				 const struct layer_input *inputs, size_t nr,
				 enum compression compression,
				 struct layer *layers, int *hold,
				 struct err *err);

/* Tell the progress how much there is to do. */
void image_tell_layers(const struct image_work *work,
		       const struct layer_input *inputs, size_t nr);

/* What layers_make() tells, passed on to the build's progress. */
struct layer_progress image_work_progress(struct image_work *work);

/* Name of a GC root below roots/: of this process, or of a tag. */
char *image_root_of_process(const struct image_work *work);
char *image_root_of_tag(const struct image_work *work);

#endif
