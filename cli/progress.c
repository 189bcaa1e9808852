// SPDX-License-Identifier: MIT
#include "cli/progress.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/human.h"
#include "common/alloc.h"
#include "common/clock.h"

#include "common/banned.h"

/* A terminal need not be told more often. */
#define INTERVAL_MS 100

struct progress {
	struct image_progress calls;
	int fd;
	bool terminal;
	pthread_mutex_t lock; /* of all below */
	char phase[64];
	char line[256]; /* of Nix's */
	size_t layers, layers_done;
	uint64_t bytes;
	int64_t started_ms, shown_ms;
};

static size_t columns(int fd)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) || size.ws_col < 20)
		return 80;
	return size.ws_col;
}

static void write_line(const struct progress *p, const char *text)
{
	autostrbuf out = STRBUF_INIT;

	strbuf_addstr(&out, "\r\033[K");
	strbuf_add(&out, text, strnlen(text, columns(p->fd) - 1));
	/* A terminal that went away ends no build. */
	if (write_all(p->fd, out.buf, out.len))
		return;
}

/* The lock is held. */
static void show(struct progress *p, bool now)
{
	autostrbuf text = STRBUF_INIT;
	int64_t ms = clock_monotonic_ms();
	char bytes[HUMAN_SIZE], rate[HUMAN_SIZE];

	if (!p->terminal || (!now && ms - p->shown_ms < INTERVAL_MS))
		return;
	p->shown_ms = ms;
	strbuf_addstr(&text, p->phase);
	if (p->layers) {
		int64_t spent = ms - p->started_ms;

		strbuf_addf(&text, ": %zu of %zu, %s", p->layers_done,
			    p->layers, human_bytes(p->bytes, bytes));
		if (spent > 0 && p->bytes)
			strbuf_addf(
				&text, ", %s/s",
				human_bytes(p->bytes * 1000 / (uint64_t)spent,
					    rate));
	} else if (*p->line) {
		strbuf_addf(&text, ": %s", p->line);
	}
	write_line(p, text.buf);
}

static void on_phase(void *arg, const char *phase)
{
	struct progress *p = arg;

	pthread_mutex_lock(&p->lock);
	snprintf(p->phase, sizeof(p->phase), "%s", phase);
	p->line[0] = 0;
	show(p, true);
	pthread_mutex_unlock(&p->lock);
}

static void on_line(void *arg, const char *line)
{
	struct progress *p = arg;

	pthread_mutex_lock(&p->lock);
	snprintf(p->line, sizeof(p->line), "%s", line);
	for (char *c = p->line; *c; c++)
		if (*c == '\t')
			*c = ' ';
	show(p, false);
	pthread_mutex_unlock(&p->lock);
}

static void on_layers(void *arg, size_t nr, uint64_t nar_bytes)
{
	struct progress *p = arg;

	pthread_mutex_lock(&p->lock);
	p->layers = nr;
	p->started_ms = clock_monotonic_ms();
	show(p, true);
	pthread_mutex_unlock(&p->lock);
}

static void on_bytes(void *arg, uint64_t tar_bytes)
{
	struct progress *p = arg;

	pthread_mutex_lock(&p->lock);
	p->bytes += tar_bytes;
	show(p, false);
	pthread_mutex_unlock(&p->lock);
}

static void on_layer(void *arg, bool made)
{
	struct progress *p = arg;

	pthread_mutex_lock(&p->lock);
	p->layers_done++;
	show(p, false);
	pthread_mutex_unlock(&p->lock);
}

/* Take the line away, before something else is printed. */
static void clear(struct progress *p)
{
	pthread_mutex_lock(&p->lock);
	if (p->terminal && p->shown_ms)
		write_line(p, "");
	pthread_mutex_unlock(&p->lock);
}

static void on_warning(void *arg, const char *message)
{
	struct progress *p = arg;

	clear(p);
	fprintf(stderr, "flakehub: warning: %s\n", message);
}

struct progress *progress_new(int fd)
{
	struct progress *p = xcalloc(1, sizeof(*p));

	p->fd = fd;
	p->terminal = isatty(fd);
	pthread_mutex_init(&p->lock, NULL);
	p->calls = (struct image_progress){
		.phase = on_phase,
		.line = on_line,
		.layers = on_layers,
		.bytes = on_bytes,
		.layer = on_layer,
		.warning = on_warning,
		.arg = p,
	};
	return p;
}

void progress_free(struct progress *p)
{
	if (!p)
		return;
	clear(p);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

const struct image_progress *progress_calls(struct progress *p)
{
	return &p->calls;
}
