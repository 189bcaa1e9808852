// SPDX-License-Identifier: MIT
#ifndef COMMON_MEMO_H
#define COMMON_MEMO_H

#include <stdbool.h>
#include <sys/stat.h>

#include "common/strbuf.h"

/*
 * What small files of the cache held when they were read last, for a process
 * that reads the same ones for every request. A file is the same while its
 * inode, size and times are: whoever asks has looked at it just now, so that
 * what was replaced or is gone is never answered. Files are replaced by rename
 * here; one that was changed so lately that a second change could leave its
 * times as they are is not remembered. For any number of threads.
 */

struct memo;

/* Of at most that many bytes, paths and all. */
struct memo *memo_new(size_t max_bytes);
void memo_free(struct memo *memo);

/* Append what the file of that path held; false if that is not known. */
bool memo_get(struct memo *memo, const char *path, const struct stat *st,
	      struct strbuf *out);

/* It holds this; st is from before it was read. */
void memo_put(struct memo *memo, const char *path, const struct stat *st,
	      const char *data, size_t len);

#endif
