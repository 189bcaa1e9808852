// SPDX-License-Identifier: MIT
#include "common/git.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/nearest.h"
#include "common/spawn.h"

#include "common/banned.h"

/* Of what git says: more than an error has, as it is cut after masking. */
#define SAID_MAX SMALL_FILE_MAX
/* How many names an error offers. */
#define NEAREST	 3

void git_refs_release(struct git_refs *refs)
{
	for (size_t i = 0; i < refs->nr; i++)
		free(refs->refs[i].name);
	free(refs->refs);
	free(refs->head_name);
	*refs = (struct git_refs)GIT_REFS_INIT;
}

static void collect(void *arg, const char *data, size_t len)
{
	struct strbuf *text = arg;

	if (text->len < SAID_MAX)
		strbuf_add(text, data, len);
}

static int run(const char *const *argv, char *const *env, int64_t timeout_ms,
	       struct strbuf *out, struct err *err)
{
	autostrbuf said = STRBUF_INIT, clean = STRBUF_INIT;
	struct spawn_run r = {
		.argv = argv,
		.env = env,
		.on_stderr = collect,
		.arg = &said,
		.out_max = REFS_MAX,
		.timeout_ms = timeout_ms,
	};
	int status;

	if (spawn_run(&r, out, &status, err)) {
		if (err->code == ERR_TIMED_OUT)
			err->code = ERR_UPSTREAM;
		return -1;
	}
	if (!status)
		return 0;
	text_clean(&clean, said.buf, said.len);
	while (clean.len && clean.buf[clean.len - 1] == '\n')
		clean.buf[--clean.len] = 0;
	return err_set(err, ERR_UPSTREAM, "git: %s",
		       clean.len ? clean.buf : "failed and said nothing");
}

int git_ls_remote(const char *url, char *const *env, int64_t timeout_ms,
		  struct strbuf *out, struct err *err)
{
	const char *const argv[] = { "git",	     "ls-remote",   "--symref",
				     "--",	     url,	    "HEAD",
				     "refs/heads/*", "refs/tags/*", NULL };

	return run(argv, env, timeout_ms, out, err);
}

static bool is_hash(const char *s, size_t len)
{
	return (len == 40 || len == 64) && strspn(s, "0123456789abcdef") >= len;
}

static void add_ref(struct git_refs *refs, size_t *alloc, const char *name,
		    const char *hash, size_t hash_len)
{
	static const char peeled[] = "^{}";
	size_t len = strlen(name), n = sizeof(peeled) - 1;
	struct git_ref *ref;

	if (len > n && !strcmp(name + len - n, peeled)) {
		/* It follows the tag that it is the commit of. */
		if (!refs->nr ||
		    strlen(refs->refs[refs->nr - 1].name) != len - n ||
		    memcmp(refs->refs[refs->nr - 1].name, name, len - n))
			return;
		ref = &refs->refs[refs->nr - 1];
	} else {
		ALLOC_GROW(refs->refs, refs->nr, *alloc);
		ref = &refs->refs[refs->nr++];
		ref->name = xstrdup(name);
	}
	memcpy(ref->hash, hash, hash_len);
	ref->hash[hash_len] = 0;
}

/* "ref: refs/heads/main\tHEAD" or "HASH\tNAME" */
static int parse_line(struct git_refs *refs, size_t *alloc, const char *line)
{
	const char *tab = strchr(line, '\t');

	if (!tab)
		return -1;
	if (!strncmp(line, "ref: ", 5)) {
		if (!strcmp(tab + 1, "HEAD") && !refs->head_name)
			refs->head_name =
				xstrndup(line + 5, (size_t)(tab - line) - 5);
		return 0;
	}
	if (!is_hash(line, (size_t)(tab - line)))
		return -1;
	if (!strcmp(tab + 1, "HEAD")) {
		memcpy(refs->head, line, (size_t)(tab - line));
		refs->head[tab - line] = 0;
	} else if (!strncmp(tab + 1, "refs/heads/", 11) ||
		   !strncmp(tab + 1, "refs/tags/", 10)) {
		add_ref(refs, alloc, tab + 1, line, (size_t)(tab - line));
	}
	return 0;
}

int git_refs_parse(struct git_refs *refs, const char *text, size_t len,
		   struct err *err)
{
	autofree char *copy = xstrndup(text, len);
	size_t alloc = 0, number = 0;

	*refs = (struct git_refs)GIT_REFS_INIT;
	for (char *line = copy, *next; *line; line = next) {
		next = strchrnul(line, '\n');
		if (*next)
			*next++ = 0;
		number++;
		if (!parse_line(refs, &alloc, line))
			continue;
		git_refs_release(refs);
		return err_set(err, ERR_MALFORMED,
			       "git ls-remote: line %zu is no ref", number);
	}
	return 0;
}

/* "refs/heads/a/b" to "a/b". */
static const char *short_name(const char *name)
{
	return strchr(name + strlen("refs/"), '/') + 1;
}

static const struct git_ref *find_full(const struct git_refs *refs,
				       const char *folder, const char *name)
{
	size_t len = strlen(folder);

	for (size_t i = 0; i < refs->nr; i++)
		if (!strncmp(refs->refs[i].name, folder, len) &&
		    !strcmp(refs->refs[i].name + len, name))
			return &refs->refs[i];
	return NULL;
}

const struct git_ref *git_refs_named(const struct git_refs *refs,
				     const char *name)
{
	static const char *const folders[] = { "", "refs/", "refs/tags/",
					       "refs/heads/" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		const struct git_ref *ref = find_full(refs, folders[i], name);

		if (ref)
			return ref;
	}
	return NULL;
}

const struct git_ref *git_refs_of_commit(const struct git_refs *refs,
					 const char *hash)
{
	for (size_t i = 0; i < refs->nr; i++)
		if (!strcmp(refs->refs[i].hash, hash))
			return &refs->refs[i];
	return NULL;
}

int git_tag_of(const char *ref_name, struct tag *tag)
{
	autofree char *name = xstrdup(short_name(ref_name));
	struct err ignored;

	for (char *c = name; *c; c++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-",
			    *c))
			*c = '-';
	return tag_parse(tag, name, strlen(name), &ignored);
}

static int no_such_ref(const struct git_refs *refs, const struct tag *tag,
		       struct err *err)
{
	autofree const char **names = xcalloc(refs->nr, sizeof(*names));
	autostrbuf near = STRBUF_INIT;

	for (size_t i = 0; i < refs->nr; i++)
		names[i] = short_name(refs->refs[i].name);
	nearest_names(&near, tag->text, names, refs->nr, NEAREST);
	return err_set(err, ERR_UNKNOWN,
		       "there is no git tag, branch or revision %s%s%s%s",
		       tag->text, near.len ? " (nearest: " : "", near.buf,
		       near.len ? ")" : "");
}

int git_refs_find(const struct git_refs *refs, const struct tag *tag,
		  const struct git_ref **found, struct err *err)
{
	*found = find_full(refs, "refs/tags/", tag->text);
	if (!*found)
		*found = find_full(refs, "refs/heads/", tag->text);
	for (size_t i = 0; !*found && i < refs->nr; i++) {
		struct tag mapped;

		if (git_tag_of(refs->refs[i].name, &mapped) ||
		    strcmp(mapped.text, tag->text))
			continue;
		*found = &refs->refs[i];
		for (size_t j = i + 1; j < refs->nr; j++)
			if (!git_tag_of(refs->refs[j].name, &mapped) &&
			    !strcmp(mapped.text, tag->text))
				return err_set(
					err, ERR_UNKNOWN,
					"the tag %s could be %s or %s: pull "
					"the revision instead",
					tag->text, refs->refs[i].name,
					refs->refs[j].name);
	}
	return *found ? 0 : no_such_ref(refs, tag, err);
}

static int has_commit(const char *path, const char *hash)
{
	autofree char *commit = xasprintf("%s^{commit}", hash);
	const char *const argv[] = { "git", "-C", path,	  "cat-file",
				     "-e",  "--", commit, NULL };
	struct spawn_run r = { .argv = argv, .out_max = 0, .timeout_ms = -1 };
	autostrbuf out = STRBUF_INIT;
	struct err ignored;
	int status;

	return !spawn_run(&r, &out, &status, &ignored) && !status;
}

/* The server knows no such object, which spares us to fetch all others. */
static bool says_missing(const struct err *err)
{
	return strstr(err->msg, "not our ref") != NULL;
}

static int no_such_commit(const char *hash, struct err *err)
{
	return err_set(err, ERR_UNKNOWN, "the repository has no commit %s",
		       hash);
}

int git_fetch_commit(const char *path, const char *url, const char *hash,
		     bool alone, char *const *env, int64_t timeout_ms,
		     struct err *err)
{
	autofree char *one = xasprintf("+%s:refs/flakehub/%s", hash, hash);
	autofree char *keep = xasprintf("refs/flakehub/%s", hash);
	const char *const init[] = { "git", "init", "--quiet", "--bare",
				     "--",  path,   NULL };
	/* Servers may refuse a commit that is at no tip; all refs bring it. */
	const char *const fetch[] = {
		"git", "-C", path, "fetch", "--quiet",
		/* The other depth is git's word for all of it. */
		alone ? "--depth=1" : "--depth=2147483647", "--no-tags", "--",
		url, one, NULL
	};
	const char *const fetch_all[] = {
		"git",	 "-C",	    path,
		"fetch", "--quiet", "--no-tags",
		"--",	 url,	    "+refs/*:refs/upstream/*",
		NULL
	};
	const char *const name[] = { "git", "-C", path, "update-ref",
				     keep,  hash, NULL };
	autostrbuf out = STRBUF_INIT;

	if (access(path, F_OK) && run(init, NULL, timeout_ms, &out, err))
		return -1;
	if (has_commit(path, hash))
		return run(name, NULL, timeout_ms, &out, err);
	if (!run(fetch, env, timeout_ms, &out, err))
		return 0;
	if (says_missing(err))
		return no_such_commit(hash, err);
	if (run(fetch_all, env, timeout_ms, &out, err))
		return -1;
	if (!has_commit(path, hash))
		return no_such_commit(hash, err);
	return run(name, NULL, timeout_ms, &out, err);
}

/* It is in no work tree, or in one that git does not read. */
static int explain_no_top(const char *path, struct err *err)
{
	if (err->code != ERR_UPSTREAM)
		return -1;
	err->code = ERR_UNKNOWN;
	if (!strstr(err->msg, "dubious ownership"))
		return -1;
	return err_set(err, ERR_REFUSED,
		       "%s is in a git repository that belongs to another user "
		       "than the one who runs flakehub, so git does not read "
		       "it: let it belong to that user, or have root run git "
		       "config --system --add safe.directory with the "
		       "repository's path",
		       path);
}

int git_top_level(const char *path, struct strbuf *top, struct strbuf *prefix,
		  struct err *err)
{
	const char *const argv[] = {
		"git",		 "-C", path, "rev-parse", "--show-toplevel",
		"--show-prefix", NULL
	};
	autostrbuf out = STRBUF_INIT;
	char *newline, *end;

	if (run(argv, NULL, -1, &out, err))
		return explain_no_top(path, err);
	newline = strchr(out.buf, '\n');
	end = newline ? strchr(newline + 1, '\n') : NULL;
	if (!end)
		return err_set(err, ERR_UNKNOWN, "%s is in no git work tree",
			       path);
	strbuf_add(top, out.buf, (size_t)(newline - out.buf));
	if (end > newline + 1 && end[-1] == '/')
		end--;
	strbuf_add(prefix, newline + 1, (size_t)(end - newline - 1));
	return 0;
}

int git_folders(const char *path, struct strbuf *common, struct strbuf *top,
		struct err *err)
{
	const char *const argv[] = { "git",
				     "-C",
				     path,
				     "rev-parse",
				     "--path-format=absolute",
				     "--git-common-dir",
				     "--show-toplevel",
				     NULL };
	autostrbuf out = STRBUF_INIT;
	int rc = run(argv, NULL, -1, &out, err);
	size_t len = strcspn(out.buf, "\n");

	/* In a bare repository the second question fails. */
	if (!len)
		return rc ? -1 : err_set(err, ERR_UPSTREAM, "git said nothing");
	strbuf_add(common, out.buf, len);
	if (!rc && out.buf[len])
		strbuf_add(top, out.buf + len + 1,
			   strcspn(out.buf + len + 1, "\n"));
	return 0;
}
