// SPDX-License-Identifier: MIT
#ifndef COMMON_TASK_H
#define COMMON_TASK_H

#include <stdbool.h>

#include "common/digest.h"
#include "common/reference.h"

/*
 * A task is what a process of its own does for the registry besides building
 * images: ask something of git or Nix that the responder, which runs no
 * program, wants to know. Its text begins with a '*', as no image name does.
 */
enum task_kind {
	TASK_TAGS,   /* the refs of a flake's repository */
	TASK_NAMES,  /* those and the packages, of every flake */
	TASK_HEALTH, /* is all there that a build needs? */
	TASK_KINDS,  /* how many there are */
};

struct task {
	enum task_kind kind;
	/* TASK_TAGS: the flake, "" for the unnamed one; else "". */
	char flake[REPOSITORY_NAME_MAX + 1];
	char text[REPOSITORY_NAME_MAX + 16];
};

/* A task of that kind, for the flake of that name where it is for one. */
void task_init(struct task *task, enum task_kind kind, const char *flake);

/* "*tags blog", "*names", "*health". */
const char *task_str(const struct task *task);
bool task_is(const char *text);
MUST_CHECK int task_parse(struct task *task, const char *text, struct err *err);

/* The key of its failure record, as build_key() is that of an image's. */
void task_key(const struct task *task, struct digest *key);

#endif
