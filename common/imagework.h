// SPDX-License-Identifier: MIT
#ifndef COMMON_IMAGEWORK_H
#define COMMON_IMAGEWORK_H

#include <stdint.h>

#include "common/flake.h"
#include "common/image.h"
#include "common/nix.h"
#include "common/record.h"

/*
 * What one image_build() carries along, for the modules behind image.h.
 */
struct image_work {
	const struct image_build *build;
	const struct flake_settings *flake;
	const char *attribute; /* what of the name is left for the flake */
	const char *system;
	struct digest key; /* of the build: name and reference */
	int64_t started;   /* seconds since 1970 */
	struct nix nix;
	int log_fd;
	uint64_t log_left;  /* bytes that the log may still grow */
	struct strbuf line; /* of Nix's, not ended yet */
};

/* A line of our own in the build's log, and the phase of the progress. */
void image_work_phase(struct image_work *work, const char *phase);

/*
 * Take one of the max-builds slots, waiting for it until the deadline.
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

/* Make every blob of a record again that is not there. */
MUST_CHECK int image_remake(struct image_work *work,
			    const struct image_head *head,
			    const struct record *record, struct err *err);

/* The manifest of a config and layers. */
void image_format_manifest(struct strbuf *out, const char *config,
			   size_t config_len, const struct layer *layers,
			   size_t nr);

/*
 * Publish the config, the links of all blobs and, when these are on disk, the
 * manifest: one that is there has all that it names.
 */
MUST_CHECK int
image_publish_blobs(struct image_work *work, const struct image_head *head,
		    const char *config, const struct strbuf *manifest,
		    const struct layer *layers, size_t nr, struct err *err);

/* Tell the progress how much there is to do. */
void image_tell_layers(const struct image_work *work,
		       const struct layer_input *inputs, size_t nr);

/* What layers_make() tells, passed on to the build's progress. */
struct layer_progress image_work_progress(struct image_work *work);

/* Name of a GC root below roots/: of this process, or of a tag. */
char *image_root_of_process(const struct image_work *work);
char *image_root_of_tag(const struct image_work *work);

#endif
