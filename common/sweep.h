// SPDX-License-Identifier: MIT
#ifndef COMMON_SWEEP_H
#define COMMON_SWEEP_H

#include "common/gc.h"

/*
 * Removing what is of no use any more and is no blob. Each goes on where it
 * was ended the last time; none removes what is leased or locked.
 */

/*
 * Records older than record-max-age; then tags, identities and links of
 * records that are gone. A link whose blob another record needs is made over
 * to that.
 */
MUST_CHECK int sweep_repositories(const struct gc *gc, struct err *err);

/* Layer entries whose blob is gone. */
MUST_CHECK int sweep_layers(const struct gc *gc, struct err *err);

/*
 * GC roots of tags whose image is not there; logs and failures of builds
 * older than record-max-age, or than a day if no image came of them.
 */
MUST_CHECK int sweep_builds(const struct gc *gc, struct err *err);

/* What is kept of the git repositories of flakes that are not set. */
MUST_CHECK int sweep_mirrors(const struct gc *gc, struct err *err);

/* Locks that nobody holds. */
MUST_CHECK int sweep_locks(const struct gc *gc, struct err *err);

/* Folders in tmp/ that a killed builder left; bad blobs of long ago. */
MUST_CHECK int sweep_temporary(const struct gc *gc, struct err *err);

/* After so long what may be in use by somebody who holds no lock goes. */
#define SWEEP_AFTER_S (24 * 3600)

/* Has nothing been done to the file for so long? False if it is not there. */
bool sweep_is_older(const struct gc *gc, const char *path, int64_t age_s);

/* The age at which records go. */
int64_t sweep_record_age(const struct gc *gc);

/* Unlink a file and tell of it, unless it is a dry run. */
MUST_CHECK int sweep_file(const struct gc *gc, enum gc_kind kind,
			  const char *path, struct err *err);

#endif
