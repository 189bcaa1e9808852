// SPDX-License-Identifier: MIT
#ifndef TESTS_UNIT_SOURCEFIXTURE_H
#define TESTS_UNIT_SOURCEFIXTURE_H

#include <stddef.h>

#include "common/closure.h"
#include "common/source.h"
#include "common/store.h"

/*
 * What tests of an output's kinds begin with: a store of a test program's own,
 * whose files they write, and a closure of paths in it. What fails in here
 * fails the test.
 */

int sourcefixture_set_up(void **state);
int sourcefixture_tear_down(void **state);

#define STORE_HASH "00000000000000000000000000000000"
#define PATH(name) STORE_DIR "/" STORE_HASH "-" name

#define A    PATH("a")
#define B    PATH("b")
#define DEEP PATH("deep")
#define TOP  PATH("top-customisation-layer")
#define BASE PATH("base.tar")
#define CONF PATH("web-conf.json")

/*
 * CONF's: it needs A, B, TOP and BASE; A needs DEEP, and TOP and BASE need
 * what nobody else does, PATH("of-top") and PATH("of-base").
 */
void make_closure(struct closure *closure);

/* Where a path of the store really is, the caller's to free. */
char *store_file(const char *path);
/* Write a file of the store. */
void put_file(const char *path, const char *text, size_t len);

/* source_open() of an output with that closure. */
int open_output(struct source *source, const char *path, size_t max_layers,
		struct err *err);

/* An input has these paths, with spaces between. */
void check_paths(const struct layer_input *input, const char *want);
/* The image config has this part. */
void check_config(const struct source *source, const char *part);

/* Confs as ours begins and ends; between them what a test is about. */
#define CONF_HEAD                                                              \
	"{\"architecture\":\"amd64\",\"os\":\"linux\","                        \
	"\"store_dir\":\"/nix/store\",\"config\":{\"Cmd\":[\"x\"]},"
#define OURS                                                                   \
	CONF_HEAD "\"roots\":[\"" A "\",\"" B "/share\"],"                     \
		  "\"repo_tag\":\"web:1\","
#define OWNER                                                                  \
	"\"uid\":\"1000\",\"gid\":100,\"uname\":\"app\",\"gname\":\"users\"}"
#define TIMES "\"created\":\"2024-02-29T12:34:56Z\",\"mtime\":\"1970-01-02\","

#endif
