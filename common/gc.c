// SPDX-License-Identifier: MIT
#include "common/gc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cachefile.h"
#include "common/evict.h"
#include "common/inventory.h"
#include "common/lease.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/removal.h"
#include "common/steadiness.h"
#include "common/sweep.h"

#include "common/banned.h"

#define WAIT_MS	    60000
#define USAGE_FILE  "usage"
/* An estimate is as good as what it does not count is small. */
#define USAGE_AGE_S 3600

void gc_tell(const struct gc *gc, enum gc_kind kind, uint64_t bytes,
	     const char *format, ...)
{
	autofree char *name = NULL;
	va_list ap;

	if (gc->removals)
		gc->removals->bytes += bytes;
	if (!gc->gone)
		return;
	va_start(ap, format);
	name = xvasprintf(format, ap);
	va_end(ap);
	gc->gone(gc->arg, kind, name, bytes);
}

/*
 * What the cache takes up, without looking through it: what it was when
 * somebody did, and the blobs that were published since.
 */
struct usage {
	uint64_t bytes;
	int64_t measured; /* seconds since 1970 */
};

static const struct field usage_fields[] = {
	{ "bytes", FIELD_UINT, offsetof(struct usage, bytes), 0 },
	{ "measured", FIELD_INT, offsetof(struct usage, measured), 0 },
};

/*
 * Written over and not replaced: a rename over another file waits for the
 * disk, after each build. One that a crash tore, or two who wrote at once, does
 * not parse; then, and without one, the next one looks through the cache.
 */
static int put_usage(const struct cache *cache, const struct usage *usage,
		     struct err *err)
{
	autostrbuf text = STRBUF_INIT;
	autoclose int fd = openat(
		cache->fd, USAGE_FILE,
		O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);

	fields_format(&text, usage_fields, ARRAY_SIZE(usage_fields), usage);
	if ((fd < 0 || write_all(fd, text.buf, text.len) ||
	     ftruncate(fd, (off_t)text.len)) &&
	    errno != ENOSPC && errno != EDQUOT)
		return err_errno(err, "cannot write %s in the cache",
				 USAGE_FILE);
	return 0;
}

static bool get_usage(const struct cache *cache, struct usage *usage)
{
	autostrbuf text = STRBUF_INIT;
	struct err ignored;

	return !cachefile_read(cache->fd, USAGE_FILE, SMALL_FILE_MAX, &text,
			       &ignored) &&
	       !fields_parse(usage_fields, ARRAY_SIZE(usage_fields), usage,
			     text.buf, text.len, NULL, "usage", &ignored) &&
	       llabs(time(NULL) - usage->measured) < USAGE_AGE_S;
}

static int measure(const struct cache *cache, struct usage *usage,
		   struct err *err)
{
	usage->measured = time(NULL);
	if (inventory_size(cache, &usage->bytes, err))
		return -1;
	return put_usage(cache, usage, err);
}

/* What the cache takes up now that this process has published so much. */
static int add_usage(const struct cache *cache, uint64_t added,
		     struct usage *usage, struct err *err)
{
	autoclose int lock = cache_lock(cache, "usage", -1, err);

	if (lock < 0)
		return -1;
	if (!get_usage(cache, usage))
		return measure(cache, usage, err);
	usage->bytes += added;
	return put_usage(cache, usage, err);
}

/* The oldest use, in seconds since 1970, of which a record stays. */
static int64_t too_old(const struct gc *gc)
{
	return time(NULL) - sweep_record_age(gc) + 1;
}

static int evict(const struct gc *gc, struct gc_result *result, bool is_steady,
		 struct err *err)
{
	autoinventory inventory = INVENTORY_INIT;
	int evicted;

	/* Times in the future are set right in any case. */
	if (inventory_take(&inventory, gc->cache, err))
		return -1;
	result->before = result->after = inventory.bytes;
	if (!is_steady)
		return 0;
	/* What it needs is not known, so nothing may go. */
	if (inventory.nr_unread)
		return err_set(err, ERR_SYSTEM,
			       "the disk does not give %zu manifests of the "
			       "cache (the log names them), so nothing is "
			       "evicted; flakehub verify moves them aside",
			       inventory.nr_unread);
	evicted =
		evict_images(gc, &inventory, (uint64_t)gc->settings->cache_size,
			     too_old(gc), err);
	if (evicted < 0)
		return -1;
	result->evicted = (size_t)evicted;
	result->after = inventory.bytes;
	return 0;
}

static int sweep(const struct gc *gc, bool is_steady, struct err *err)
{
	if (is_steady && (sweep_repositories(gc, err) ||
			  sweep_layers(gc, err) || sweep_builds(gc, err) ||
			  sweep_mirrors(gc, err) || sweep_temporary(gc, err)))
		return -1;
	return sweep_locks(gc, err);
}

/* What it takes up when all is gone that is to go. */
static int measure_after(const struct gc *gc, struct gc_result *result,
			 struct err *err)
{
	struct usage usage;

	if (gc->dry_run) {
		uint64_t gone = gc->removals->bytes;

		result->after =
			result->before > gone ? result->before - gone : 0;
		return 0;
	}
	if (measure(gc->cache, &usage, err))
		return -1;
	result->after = usage.bytes;
	return 0;
}

static int run(const struct gc *gc, struct gc_result *result, struct err *err)
{
	autoclose int lock = cache_lock(gc->cache, "gc", WAIT_MS, err);
	bool is_steady;

	*result = (struct gc_result){ .evicted = 0 };
	if (lock < 0)
		return err->code == ERR_BUSY
			       ? err_set(err, ERR_BUSY,
					 "another process cleans the cache")
			       : -1;
	if (steadiness_look(gc->cache, &is_steady, err) ||
	    evict(gc, result, is_steady, err) || sweep(gc, is_steady, err))
		return -1;
	return measure_after(gc, result, err);
}

int gc_run(const struct gc *gc, struct gc_result *result, struct err *err)
{
	autoremovals removals = { 0 };
	struct gc with_removals = *gc;

	with_removals.removals = &removals;
	return run(&with_removals, result, err);
}

int gc_evict(const struct gc *gc, struct gc_result *result, struct err *err)
{
	uint64_t limit = (uint64_t)gc->settings->cache_size;
	uint64_t added = blob_bytes_committed();
	autoclose int lock = -1;
	struct usage usage;
	bool is_steady;

	*result = (struct gc_result){ .evicted = 0 };
	if (!added)
		return 0;
	if (add_usage(gc->cache, added, &usage, err))
		return -1;
	result->before = result->after = usage.bytes;
	if (usage.bytes <= limit)
		return 0;
	lock = cache_lock(gc->cache, "gc", 0, err);
	if (lock < 0)
		return err->code == ERR_BUSY ? 0 : -1;
	if (steadiness_look(gc->cache, &is_steady, err) ||
	    evict(gc, result, is_steady, err))
		return -1;
	usage = (struct usage){ .bytes = result->after,
				.measured = time(NULL) };
	return put_usage(gc->cache, &usage, err);
}
