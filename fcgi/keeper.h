// SPDX-License-Identifier: MIT
#ifndef FCGI_KEEPER_H
#define FCGI_KEEPER_H

#include <stdint.h>

#include "common/cache.h"
#include "common/settings.h"

/*
 * The keeper holds the listening socket, starts the responder again should it
 * die, and starts and reaps builders when the responder asks. It has one
 * thread, reads nothing from clients, and so outlives what they may do. One
 * build at a time for each name and reference; builders end on their own and
 * are left running when the keeper goes.
 */

struct keeper {
	const struct settings *settings;
	const char *settings_file;
	const struct cache *cache;
	const char *flakehub; /* the program whose `build` is the builder */
	int listener;
	int64_t hold_ms; /* the responder's */
};

/*
 * Serve until SIGTERM or SIGINT. Returns an exit status, in the keeper and,
 * since it is forked from here, in each responder.
 */
int keeper_run(const struct keeper *keeper);

#endif
