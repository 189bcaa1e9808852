// SPDX-License-Identifier: MIT
#ifndef FCGI_ORDER_H
#define FCGI_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/reference.h"
#include "common/task.h"

/*
 * An order is what the responder asks the keeper for: that one image be
 * built, or that something be asked anew (common/task.h). It travels as text:
 * what `flakehub build` takes, or the task's. A notice is what the keeper
 * says about it. One packet each, over a SOCK_SEQPACKET pair; only the keeper
 * and processes that it forked hold its ends.
 */
struct order {
	bool is_task;
	struct task task;	     /* if is_task */
	struct repository_name name; /* else */
	struct reference reference;
};

/* "NAME:TAG", "NAME@sha256:…", or the task's text, with a NUL. */
#define ORDER_STR_SIZE (REPOSITORY_NAME_MAX + REFERENCE_STR_SIZE + 2)

/* Write it; returns out. */
const char *order_str(const struct order *order, char out[ORDER_STR_SIZE]);

/* Parse that; the order is well formed whoever sent it. */
MUST_CHECK int order_parse(struct order *order, const char *text,
			   struct err *err);

/* The key of its build, common/cache.h. */
void order_key(const struct order *order, struct digest *key);

enum notice_kind {
	NOTICE_UNDER_WAY, /* started, or joined */
	NOTICE_BUSY,	  /* refused: too many builds */
	NOTICE_ENDED,
};

struct notice {
	enum notice_kind kind;
	int status;	    /* ENDED: as wait(2) gives it, or -1: not started */
	int64_t started_ms; /* UNDER_WAY: on CLOCK_MONOTONIC */
	struct digest key;
};

#endif
