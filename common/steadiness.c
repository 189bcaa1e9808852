// SPDX-License-Identifier: MIT
#include "common/steadiness.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cachefile.h"
#include "common/clock.h"
#include "common/lease.h"
#include "common/limits.h"
#include "common/log.h"

#include "common/banned.h"

#define FILE_NAME "./clock"
#define BOOT_ID	  "/proc/sys/kernel/random/boot_id"
/* Clocks are set right by so much without anybody's doing. */
#define DRIFT_S	  60

struct look {
	int64_t real, boot;  /* seconds, of either clock */
	int64_t unsteady_to; /* of boot */
	char boot_id[40];    /* boot is of this start of the machine */
};

static const struct field fields[] = {
	{ "real", FIELD_INT, offsetof(struct look, real), 0 },
	{ "boot", FIELD_INT, offsetof(struct look, boot), 0 },
	{ "unsteady-to", FIELD_INT, offsetof(struct look, unsteady_to), 0 },
	{ "boot-id", FIELD_TEXT, offsetof(struct look, boot_id),
	  sizeof(((struct look *)0)->boot_id) },
};

/* Without it nobody can tell whether both looks were by the same clocks. */
static int read_boot_id(char *out, size_t size, struct err *err)
{
	autoclose int fd = open(BOOT_ID, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);

	if (n < 0)
		return err_errno(err,
				 "cannot tell whether the clock was set, so "
				 "nothing may go by its age: %s",
				 BOOT_ID);
	out[n] = 0;
	out[strcspn(out, "\n")] = 0;
	return 0;
}

static int look_now(struct look *look, struct err *err)
{
	*look = (struct look){ .real = time(NULL),
			       .boot = clock_boottime_ms() / 1000 };
	return read_boot_id(look->boot_id, sizeof(look->boot_id), err);
}

static bool was_set(const struct look *last, const struct look *now)
{
	/* How long the machine was off nobody can tell. */
	if (strcmp(last->boot_id, now->boot_id))
		return now->real < last->real - DRIFT_S;
	return llabs((now->real - last->real) - (now->boot - last->boot)) >
	       DRIFT_S;
}

int steadiness_look(const struct cache *cache, bool *is_steady, struct err *err)
{
	autostrbuf text = STRBUF_INIT;
	struct look last, now;
	struct err none;

	if (look_now(&now, err))
		return -1;
	if (!cachefile_read(cache->fd, FILE_NAME, SMALL_FILE_MAX, &text,
			    &none) &&
	    !fields_parse(fields, ARRAY_SIZE(fields), &last, text.buf, text.len,
			  NULL, "clock", &none)) {
		if (!strcmp(last.boot_id, now.boot_id))
			now.unsteady_to = last.unsteady_to;
		if (was_set(&last, &now)) {
			now.unsteady_to = now.boot + LEASE_S;
			log_event(
				LOG_LEVEL_WARN, "event", "clock-was-set", "msg",
				"nothing goes by its age for 10 minutes", NULL);
		}
	}
	*is_steady = now.boot >= now.unsteady_to;
	if (!cache->writable)
		return 0;
	strbuf_reset(&text);
	fields_format(&text, fields, ARRAY_SIZE(fields), &now);
	/* On a disk that is full this is what makes room. */
	if (cachefile_replace(cache->fd, FILE_NAME, text.buf, text.len,
			      CACHEFILE_NO_SYNC, err) &&
	    err->sys != ENOSPC && err->sys != EDQUOT)
		return -1;
	return 0;
}
