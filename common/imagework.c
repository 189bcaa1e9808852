// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/imagework.h"
#include "common/log.h"
#include "common/resolve.h"
#include "common/secret.h"

#include "common/banned.h"

static void write_log(struct image_work *work, const char *data, size_t len)
{
	if (len > work->log_left)
		return;
	if (write_all(work->log_fd, data, len))
		work->log_left = 0;
	else
		work->log_left -= len;
}

void image_work_begin_log(struct image_work *work)
{
	struct err ignored;

	if (work->log_fd >= 0 || !work->log_left)
		return;
	work->log_fd =
		cache_create_log(work->build->cache, &work->key, &ignored);
	if (work->log_fd < 0)
		work->log_left = 0;
	else
		write_log(work, work->log_early.buf, work->log_early.len);
	strbuf_release(&work->log_early);
}

void image_work_log(struct image_work *work, const char *data, size_t len)
{
	if (work->log_fd < 0 && work->log_left &&
	    work->log_early.len + len > SMALL_FILE_MAX)
		image_work_begin_log(work);
	if (work->log_fd >= 0)
		write_log(work, data, len);
	else if (work->log_left)
		strbuf_add(&work->log_early, data, len);
}

void image_work_phase(struct image_work *work, const char *phase)
{
	const struct image_progress *progress = work->build->progress;
	autofree char *line = xasprintf("flakehub: %s\n", phase);

	image_work_log(work, line, strlen(line));
	if (progress && progress->phase)
		progress->phase(progress->arg, phase);
}

/* What is kept of a line that is too long: no secret may be cut in two. */
#define KEPT (4 * SECRET_MAX)

/* Tell of the line, or of the start of one that is too long. */
static void put_line(struct image_work *work, bool whole)
{
	const struct image_progress *progress = work->build->progress;
	autostrbuf clean = STRBUF_INIT, rest = STRBUF_INIT;

	text_clean(&clean, work->line.buf, work->line.len);
	strbuf_reset(&work->line);
	if (!whole && clean.len > KEPT) {
		size_t end = clean.len - KEPT;

		while (end && ((unsigned char)clean.buf[end] & 0xc0) == 0x80)
			end--;
		strbuf_addstr(&rest, clean.buf + end);
		clean.len = end;
		clean.buf[end] = 0;
	}
	if (progress && progress->line)
		progress->line(progress->arg, clean.buf);
	strbuf_addch(&clean, '\n');
	image_work_log(work, clean.buf, clean.len);
	strbuf_add(&work->line, rest.buf, rest.len);
}

void image_work_stderr(void *arg, const char *data, size_t len)
{
	struct image_work *work = arg;

	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n') {
			put_line(work, true);
			continue;
		}
		strbuf_addch(&work->line, data[i]);
		if (work->line.len >= SMALL_FILE_MAX)
			put_line(work, false);
	}
}

static void on_bytes(void *arg, uint64_t tar_bytes)
{
	const struct image_progress *progress = arg;

	if (progress->bytes)
		progress->bytes(progress->arg, tar_bytes);
}

static void on_layer(void *arg, const struct layer_input *input,
		     const struct layer *layer, bool made)
{
	const struct image_progress *progress = arg;

	if (progress->layer)
		progress->layer(progress->arg, made);
}

static void on_warning(void *arg, const char *message)
{
	const struct image_progress *progress = arg;

	if (progress->warning)
		progress->warning(progress->arg, message);
}

int image_work_open(struct image_work *work, struct source *source,
		    const struct source_output *output, struct err *err)
{
	const struct image_progress *progress = work->build->progress;
	autostrbuf line = STRBUF_INIT, clean = STRBUF_INIT;

	if (source_open(source, output, err))
		return -1;
	if (!source->warning)
		return 0;
	text_clean(&clean, source->warning, strlen(source->warning));
	strbuf_addf(&line, "flakehub: warning: %s\n", clean.buf);
	image_work_log(work, line.buf, line.len);
	if (progress && progress->warning)
		progress->warning(progress->arg, clean.buf);
	return 0;
}

struct layer_progress image_work_progress(struct image_work *work)
{
	struct layer_progress none = { .bytes = NULL };

	if (!work->build->progress)
		return none;
	return (struct layer_progress){
		.bytes = on_bytes,
		.layer = on_layer,
		.warning = on_warning,
		/* Only its const functions are called. */
		.arg = (void *)(uintptr_t)work->build->progress,
	};
}

char *image_root_of_process(const struct image_work *work)
{
	/* Two containers on one cache give their processes the same numbers. */
	uint32_t random = 0;
	autofree char *name = NULL;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		abort();
	name = xasprintf("builder.%ld.%08x", (long)getpid(), random);

	return cache_root_path(work->build->cache, name);
}

char *image_root_of_tag(const struct image_work *work)
{
	char hex[DIGEST_HEX_SIZE];
	autofree char *name = xasprintf(
		"tag.%s.%s", digest_hex(&work->key, hex), work->system);

	return cache_root_path(work->build->cache, name);
}

int image_work_slot(struct image_work *work, struct err *err)
{
	const struct timespec pause = { .tv_nsec = 50000000 };
	const struct settings *settings = work->build->settings;

	image_work_begin_log(work);
	for (bool told = false;; told = true) {
		for (int64_t i = 0; i < settings->max_builds; i++) {
			char name[32];
			int fd;

			snprintf(name, sizeof(name), "slot.%jd", (intmax_t)i);
			fd = cache_lock(work->build->cache, name, 0, err);
			if (fd >= 0 || err->code != ERR_BUSY)
				return fd;
		}
		if (!told)
			image_work_phase(work, "waiting for other builds");
		if (clock_monotonic_ms() > work->nix.deadline_ms)
			return err_set(err, ERR_TIMED_OUT,
				       "other builds took all of "
				       "build-timeout");
		nanosleep(&pause, NULL);
	}
}

int image_work_resolve(struct image_work *work, const struct tag *tag,
		       struct flake_pin *pin, struct err *err)
{
	const struct resolve resolve = {
		.settings = work->build->settings,
		.cache = work->build->cache,
		.flake = work->flake,
		.nix = &work->nix,
		.env = work->nix.env,
	};

	return resolve_tag(&resolve, tag, pin, err);
}
