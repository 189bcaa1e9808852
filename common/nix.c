// SPDX-License-Identifier: MIT
#include "common/nix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/spawn.h"
#include "common/store.h"

#include "common/banned.h"

/* Of stderr: enough to find the error in. */
#define TAIL_MAX  16384
/* Of the error: what a client of ours can show. */
#define ERROR_MAX 2048
/* Of a failed build's log, with the error. */
#define LOG_LINES 10
/* Words of a command before those of its caller. */
#define WORDS_MAX 24

void nix_release(struct nix *nix)
{
	strbuf_release(&nix->tail);
}

static void keep_tail(void *arg, const char *data, size_t len)
{
	struct nix *nix = arg;
	struct strbuf *tail = &nix->tail;

	if (nix->on_stderr)
		nix->on_stderr(nix->arg, data, len);
	strbuf_add(tail, data, len);
	if (tail->len > 2 * TAIL_MAX) {
		memmove(tail->buf, tail->buf + tail->len - TAIL_MAX, TAIL_MAX);
		tail->len = TAIL_MAX;
		tail->buf[tail->len] = 0;
	}
}

/* Up to that many lines before at. */
static const char *lines_before(const char *text, const char *at, int lines)
{
	while (at > text && (at[-1] != '\n' || --lines))
		at--;
	return at;
}

/*
 * The error of the derivation that failed first, with the end of its log
 * before it: nix-store prints a build's output as it comes, and then blames
 * each derivation that needed it. NULL if no build failed.
 */
static const char *find_build_error(const char *text)
{
	static const char *const starts[] = {
		"\nerror: builder for '",
		"\nerror: Cannot build '", /* since Nix 2.30 */
	};

	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		const char *p = strstr(text, starts[i]);

		if (p)
			return lines_before(text, p, LOG_LINES);
	}
	return NULL;
}

/*
 * The end of what Nix said, from its last "error:" on if there is one: a
 * warning after the error is not what the user looks for.
 */
static const char *find_error(const struct strbuf *text)
{
	const char *start = text->buf, *p = text->buf;
	const char *found = find_build_error(p);

	if (found && strlen(found) <= ERROR_MAX)
		return found;
	found = NULL;
	while ((p = strstr(p, "error:"))) {
		/* At the start of a line, after colours at most. */
		if (p == text->buf || p[-1] == '\n')
			found = p;
		p++;
	}
	if (found && strlen(found) <= ERROR_MAX)
		return found;
	if (text->len > ERROR_MAX) {
		start = text->buf + text->len - ERROR_MAX;
		p = strchr(start, '\n');
		if (p && p[1])
			start = p + 1;
	}
	return start;
}

static int fail(struct nix *nix, const char *command, int status,
		struct err *err)
{
	autostrbuf clean = STRBUF_INIT;
	const char *text;
	size_t len;

	text_clean(&clean, nix->tail.buf, nix->tail.len);
	text = find_error(&clean);
	len = strlen(text);
	while (len && (text[len - 1] == '\n' || text[len - 1] == ' '))
		len--;
	if (WIFSIGNALED(status))
		return err_set(err, ERR_NIX, "%s was killed by signal %d",
			       command, WTERMSIG(status));
	if (!len)
		return err_set(err, ERR_NIX, "%s failed with status %d",
			       command, WEXITSTATUS(status));
	return err_set(err, ERR_NIX, "%.*s", (int)len, text);
}

static int64_t left_ms(const struct nix *nix)
{
	struct timespec ts;
	int64_t left;

	if (nix->deadline_ms < 0)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	left = nix->deadline_ms - (int64_t)ts.tv_sec * 1000 -
	       ts.tv_nsec / 1000000;
	return left > 0 ? left : 0;
}

static int run(struct nix *nix, const char *const *argv, size_t out_max,
	       struct strbuf *out, struct err *err)
{
	struct spawn_run r = {
		.argv = argv,
		.env = nix->env,
		.on_stderr = keep_tail,
		.arg = nix,
		.out_max = out_max,
		.timeout_ms = left_ms(nix),
	};
	int status;

	strbuf_reset(&nix->tail);
	if (spawn_run(&r, out, &status, err))
		return -1;
	if (status)
		return fail(nix, argv[0], status, err);
	return 0;
}

/* Both of `nix`'s commands here are given the same options. */
static size_t nix_words(const struct nix *nix, const char **argv)
{
	const char *const words[] = {
		"nix",
		"--extra-experimental-features",
		"nix-command flakes",
		"--option",
		"accept-flake-config",
		"false",
		"--option",
		"allow-import-from-derivation",
		nix->import_from_derivation ? "true" : "false",
	};

	size_t n = ARRAY_SIZE(words);

	memcpy(argv, words, sizeof(words));
	if (nix->netrc) {
		argv[n++] = "--option";
		argv[n++] = "netrc-file";
		argv[n++] = nix->netrc;
	}
	return n;
}

int nix_flake_metadata(struct nix *nix, const char *url,
		       struct json_object **json, struct err *err)
{
	const char *argv[WORDS_MAX + 10];
	size_t n = nix_words(nix, argv);
	autostrbuf out = STRBUF_INIT;

	argv[n++] = "flake";
	argv[n++] = "metadata";
	argv[n++] = "--json";
	argv[n++] = "--refresh";
	argv[n++] = "--no-write-lock-file";
	argv[n++] = "--no-use-registries";
	argv[n++] = "--";
	argv[n++] = url;
	argv[n++] = NULL;
	if (run(nix, argv, NIX_JSON_MAX, &out, err))
		return -1;
	return json_parse(json, out.buf, out.len, "nix flake metadata", err);
}

int nix_eval(struct nix *nix, const char *installable, const char *function,
	     struct json_object **json, struct err *err)
{
	const char *argv[WORDS_MAX + 10];
	size_t n = nix_words(nix, argv);
	autostrbuf out = STRBUF_INIT;

	argv[n++] = "eval";
	argv[n++] = "--json";
	argv[n++] = "--no-write-lock-file";
	argv[n++] = "--no-use-registries";
	argv[n++] = "--apply";
	argv[n++] = function;
	argv[n++] = "--";
	argv[n++] = installable;
	argv[n++] = NULL;
	if (run(nix, argv, NIX_JSON_MAX, &out, err))
		return -1;
	return json_parse(json, out.buf, out.len, "nix eval", err);
}

void nix_quote(struct strbuf *out, const char *s)
{
	strbuf_addch(out, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\' || *s == '$')
			strbuf_addch(out, '\\');
		strbuf_addch(out, *s);
	}
	strbuf_addch(out, '"');
}

/*
 * root is a link that Nix replaces in the end, and only if it leads into the
 * store; what else is in its way is removed.
 */
static void make_way(const char *root)
{
	char target[sizeof(STORE_DIR)];
	ssize_t n = readlink(root, target, sizeof(target));

	if (n != sizeof(target) ||
	    memcmp(target, STORE_DIR "/", sizeof(target)))
		unlink(root);
}

static int realise(struct nix *nix, const char *what, const char *root,
		   struct strbuf *out, struct err *err)
{
	const char *const argv[] = {
		"nix-store", "--realise",  what, "--add-root",
		root,	     "--indirect", NULL,
	};

	make_way(root);
	return run(nix, argv, SMALL_FILE_MAX, out, err);
}

/*
 * A flake may say that anything is its derivation. Nix checks what it finds
 * there; that these are no options of its own, nor another path, we do.
 */
static int check_output(const char *drv_path, const char *output,
			struct err *err)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789+-._?=";
	size_t len = strlen(drv_path);

	if (!store_has_path(drv_path) || store_path_len(drv_path) != len ||
	    strcmp(drv_path + len - strlen(".drv"), ".drv"))
		return err_set(err, ERR_NIX,
			       "%s is no derivation in " STORE_DIR, drv_path);
	if (!*output || output[strspn(output, letters)])
		return err_set(err, ERR_NIX,
			       "'%s' is no name of an output of %s", output,
			       drv_path);
	return 0;
}

/*
 * nix-store prints the root, which for an output other than "out" has the
 * output's name appended; the store path is what it points to.
 */
int nix_realise_output(struct nix *nix, const char *drv_path,
		       const char *output, const char *root,
		       struct strbuf *path, struct err *err)
{
	autofree char *what = xasprintf("%s!%s", drv_path, output);
	autostrbuf out = STRBUF_INIT;
	char target[4096];
	char *newline;
	ssize_t n;

	if (check_output(drv_path, output, err) ||
	    realise(nix, what, root, &out, err))
		return -1;
	newline = strchr(out.buf, '\n');
	if (!newline || newline[1])
		return err_set(err, ERR_NIX,
			       "nix-store printed no path, or many, for %s",
			       what);
	*newline = 0;
	n = readlink(out.buf, target, sizeof(target));
	if (n < 0 || (size_t)n == sizeof(target))
		return err_errno(err, "cannot read the GC root %s", out.buf);
	strbuf_add(path, target, (size_t)n);
	if (!strcmp(out.buf, root))
		return 0;
	/* The root of another name can go when ours is there. */
	if (nix_realise_path(nix, path->buf, root, err))
		return -1;
	unlink(out.buf);
	return 0;
}

int nix_realise_path(struct nix *nix, const char *store_path, const char *root,
		     struct err *err)
{
	autostrbuf out = STRBUF_INIT;

	return realise(nix, store_path, root, &out, err);
}

int nix_closure(struct nix *nix, const char *store_path,
		struct closure *closure, struct err *err)
{
	const char *argv[WORDS_MAX + 10];
	size_t n = nix_words(nix, argv);
	autostrbuf out = STRBUF_INIT;
	autojson *json = NULL;

	argv[n++] = "path-info";
	argv[n++] = "--json";
	argv[n++] = "--recursive";
	argv[n++] = "--";
	argv[n++] = store_path;
	argv[n++] = NULL;
	if (run(nix, argv, NIX_CLOSURE_MAX, &out, err) ||
	    json_parse(&json, out.buf, out.len, "nix path-info", err))
		return -1;
	return closure_read(closure, json, err);
}
