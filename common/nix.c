// SPDX-License-Identifier: MIT
#include "common/nix.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/confine.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/secret.h"
#include "common/settings.h"
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

void nix_configure(struct nix *nix, const struct settings *settings)
{
	const char *config = getenv("NIX_CONFIG");

	if (config)
		secret_learn_nix_config(config);
	nix->import_from_derivation = settings->import_from_derivation;
	nix->host_files = !settings->sandbox_eval;
	nix->eval_memory = settings->eval_memory;
	nix->max_silent_time = settings->max_silent_time;
	nix->max_build_log_size = settings->max_build_log_size;
}

void nix_release(struct nix *nix)
{
	strbuf_release(&nix->tail);
}

static void keep_tail(void *arg, const char *data, size_t len)
{
	struct nix *nix = arg;
	struct strbuf *tail = &nix->tail;
	const char *start, *newline;

	if (nix->on_stderr)
		nix->on_stderr(nix->arg, data, len);
	strbuf_add(tail, data, len);
	if (tail->len <= 2 * TAIL_MAX)
		return;
	/* Of whole lines: nobody could tell what a part of a secret is. */
	start = tail->buf + tail->len - TAIL_MAX;
	newline = memchr(start, '\n', TAIL_MAX);
	start = newline ? newline : start;
	tail->len -= (size_t)(start - tail->buf);
	memmove(tail->buf, start, tail->len + 1);
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
	int64_t left;

	if (nix->deadline_ms < 0)
		return -1;
	left = nix->deadline_ms - clock_monotonic_ms();
	return left > 0 ? left : 0;
}

/* What was wrong is told by what Nix said, and by the setting to change. */
static int explain(struct nix *nix, const struct spawn_run *r, int status,
		   struct err *err)
{
	const char *said = nix->tail.buf;

	if (r->data_max && (strstr(said, "error: out of memory") ||
			    (WIFSIGNALED(status) &&
			     strstr(said, "GC Warning: Out of Memory"))))
		return err_set(err, ERR_NIX,
			       "the evaluation needs more memory than the "
			       "%jd MiB of eval-memory in flakehub.conf",
			       (intmax_t)r->data_max >> 20);
	fail(nix, r->name ? r->name : r->argv[0], status, err);
	if (!nix->import_from_derivation &&
	    strstr(said, "allow-import-from-derivation' is disabled"))
		return err_wrap(err, "the flake builds while it is evaluated, "
				     "which import-from-derivation = yes in "
				     "flakehub.conf would allow");
	return -1;
}

static int run(struct nix *nix, struct spawn_run *r, struct strbuf *out,
	       struct err *err)
{
	int status;

	r->env = nix->env;
	r->on_stderr = keep_tail;
	r->arg = nix;
	r->timeout_ms = left_ms(nix);
	r->err_max = (uint64_t)nix->max_build_log_size;
	strbuf_reset(&nix->tail);
	if (spawn_run(r, out, &status, err)) {
		if (err->code == ERR_REFUSED)
			err_wrap(err, "max-build-log-size in flakehub.conf");
		return -1;
	}
	return status ? explain(nix, r, status, err) : 0;
}

/* With nr_words words before it. */
static int evaluate_with(struct nix *nix, char *const *words, size_t nr_words,
			 const char *const *argv, size_t nr, struct strbuf *out,
			 struct err *err)
{
	const char **all = xcalloc(nr_words + nr + 1, sizeof(*all));
	struct spawn_run r = { .argv = all,
			       .name = argv[0],
			       .out_max = NIX_JSON_MAX,
			       .data_max = nix->eval_memory,
			       .death_signal = SIGKILL,
			       .lifeline = words != NULL };
	int rc;

	for (size_t i = 0; i < nr_words; i++)
		all[i] = words[i];
	memcpy(all + nr_words, argv, nr * sizeof(*argv));
	rc = run(nix, &r, out, err);
	free(all);
	return rc;
}

/*
 * A command that evaluates a flake, or fetches it: out of sight of the host,
 * with so much memory. A loop in Nix's evaluator hears no SIGTERM. Only where
 * this host has no bubblewrap, or permits none, is it done without.
 */
static int evaluate(struct nix *nix, const char *const *argv, size_t nr,
		    struct strbuf *out, struct err *err)
{
	struct confine *confine = nix->confine;
	char *const *words = NULL;
	size_t nr_words = 0;

	if (confine && confine_words(confine, &words, &nr_words, err))
		return -1;
	if (!words)
		return evaluate_with(nix, NULL, 0, argv, nr, out, err);
	if (!evaluate_with(nix, words, nr_words, argv, nr, out, err)) {
		confine_worked(confine);
		return 0;
	}
	if (confine_works(confine, err))
		return -1;
	*err = (struct err)ERR_INIT;
	strbuf_reset(out);
	return evaluate_with(nix, NULL, 0, argv, nr, out, err);
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
	if (evaluate(nix, argv, n, &out, err))
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
	if (evaluate(nix, argv, n, &out, err))
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

/* "--option NAME VALUE", unless there is no limit. */
static size_t add_limit(const char **argv, size_t n, const char *name,
			int64_t value, char text[24])
{
	if (value < 0)
		return n;
	snprintf(text, 24, "%" PRId64, value);
	argv[n++] = "--option";
	argv[n++] = name;
	argv[n++] = text;
	return n;
}

/*
 * Nix itself ends what it builds when a limit is reached; its daemon takes
 * the last of them from those users alone that it trusts, so run() looks, too.
 */
static int realise(struct nix *nix, const char *what, const char *root,
		   struct strbuf *out, struct err *err)
{
	const char *argv[WORDS_MAX] = {
		"nix-store", "--realise", what, "--add-root", root, "--indirect"
	};
	struct spawn_run r = { .argv = argv, .out_max = SMALL_FILE_MAX };
	char text[3][24];
	int64_t left = left_ms(nix);
	size_t n = 6;

	n = add_limit(argv, n, "timeout", left < 0 ? -1 : left / 1000 + 1,
		      text[0]);
	if (nix->max_silent_time)
		n = add_limit(argv, n, "max-silent-time", nix->max_silent_time,
			      text[1]);
	if (nix->max_build_log_size)
		add_limit(argv, n, "max-build-log-size",
			  nix->max_build_log_size, text[2]);
	make_way(root);
	return run(nix, &r, out, err);
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

int nix_verify_paths(struct nix *nix, const struct closure *closure,
		     struct err *err)
{
	autofree const char **argv = xcalloc(closure->nr + 3, sizeof(*argv));
	autostrbuf out = STRBUF_INIT;
	struct spawn_run r = { .argv = argv, .out_max = SMALL_FILE_MAX };

	argv[0] = "nix-store";
	argv[1] = "--verify-path";
	for (size_t i = 0; i < closure->nr; i++)
		argv[i + 2] = closure->paths[i].path;
	return run(nix, &r, &out, err);
}

int nix_closure(struct nix *nix, const char *store_path,
		struct closure *closure, struct err *err)
{
	const char *argv[WORDS_MAX + 10];
	size_t n = nix_words(nix, argv);
	autostrbuf out = STRBUF_INIT;
	struct spawn_run r = { .argv = argv, .out_max = NIX_CLOSURE_MAX };
	autojson *json = NULL;

	argv[n++] = "path-info";
	argv[n++] = "--json";
	argv[n++] = "--recursive";
	argv[n++] = "--";
	argv[n++] = store_path;
	argv[n++] = NULL;
	if (run(nix, &r, &out, err) ||
	    json_parse_large(&json, out.buf, out.len, CLOSURE_MEMORY_MAX,
			     "nix path-info", err))
		return -1;
	return closure_read(closure, json, err);
}
