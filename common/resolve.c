// SPDX-License-Identifier: MIT
#include "common/resolve.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/flakeref.h"

#include "common/banned.h"

/*
 * Does a git+file: URL name a work tree, which may be dirty? One with escapes
 * in its path Nix takes for a bare repository.
 */
static bool has_work_tree(const struct flakeref *ref)
{
	const char *url = ref->clone_url;
	autofree char *git = NULL;

	if (!strncmp(url, "file://", 7))
		url += 7;
	if (!flakeref_is_plain_path(url))
		return false;
	git = xasprintf("%s/.git", url);
	return !access(git, F_OK);
}

/* A folder in a git work tree is that repository's flake, as Nix sees it. */
static int folder_to_git(struct flakeref *ref, struct err *err)
{
	autostrbuf top = STRBUF_INIT, prefix = STRBUF_INIT;
	autostrbuf base = STRBUF_INIT, params = STRBUF_INIT;

	if (git_top_level(ref->base, &top, &prefix, err))
		return err->code == ERR_UNKNOWN ? 0 : -1;
	strbuf_addstr(&base, "git+file://");
	url_encode(&base, top.buf);
	if (prefix.len) {
		strbuf_addstr(&params, "dir=");
		url_encode(&params, prefix.buf);
	}
	if (*ref->params)
		strbuf_addf(&params, "%s%s", params.len ? "&" : "",
			    ref->params);
	free(ref->base);
	ref->base = strbuf_detach(&base, NULL);
	free(ref->params);
	ref->params = strbuf_detach(&params, NULL);
	ref->clone_url = strbuf_detach(&top, NULL);
	return 0;
}

static int parse(const struct resolve *r, struct flakeref *ref, struct err *err)
{
	if (flakeref_parse(ref, r->flake->url, err))
		return -1;
	return ref->kind == FLAKEREF_FOLDER ? folder_to_git(ref, err) : 0;
}

/* Of refresh-timeout, what is left since began_ms. */
static int time_left_ms(const struct resolve *r, int64_t began_ms)
{
	int64_t left_ms = r->settings->refresh_timeout * 1000 -
			  (clock_monotonic_ms() - began_ms);

	return left_ms <= 0 ? 0 : left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

static int no_answer(const struct resolve *r, struct err *err)
{
	return err_set(err, ERR_UPSTREAM, "git did not end within %jd s",
		       (intmax_t)r->settings->refresh_timeout);
}

/* Did somebody ask git since then? Not if the clock was set back meanwhile. */
static bool is_asked_since(const struct refs_record *record, int64_t since_ms)
{
	return record->asked_ms >= since_ms &&
	       record->asked_ms <= clock_realtime_ms();
}

/*
 * One ls-remote serves all who wait for it: whoever gets the lock looks
 * whether another asked since it began to wait; what was asked before may lack
 * what was pushed meanwhile. The wait counts, else those who ask a host that
 * hangs would do so one after another.
 */
static int ask_git(const struct resolve *r, const struct flakeref *ref,
		   struct git_refs *refs, struct err *err)
{
	struct refs_record record;
	autostrbuf text = STRBUF_INIT;
	autoclose int lock = -1;
	char name[DIGEST_HEX_SIZE + 8], hex[DIGEST_HEX_SIZE];
	int64_t since_ms = r->since_ms ? r->since_ms : clock_realtime_ms();
	int64_t began_ms = clock_monotonic_ms();
	int left_ms;

	snprintf(name, sizeof(name), "refs.%s", digest_hex(&r->flake->id, hex));
	lock = cache_lock(r->cache, name, time_left_ms(r, began_ms), err);
	if (lock < 0)
		return err->code == ERR_BUSY ? no_answer(r, err) : -1;
	if (!cache_get_refs(r->cache, &r->flake->id, &record, &text, err) &&
	    is_asked_since(&record, since_ms))
		return git_refs_parse(refs, text.buf, text.len, err);
	strbuf_reset(&text);
	left_ms = time_left_ms(r, began_ms);
	if (!left_ms)
		return no_answer(r, err);
	record.asked_ms = clock_realtime_ms();
	if (git_ls_remote(ref->clone_url, r->env, left_ms, &text, err))
		return time_left_ms(r, began_ms) ? -1 : no_answer(r, err);
	if (git_refs_parse(refs, text.buf, text.len, err))
		return -1;
	return cache_put_refs(r->cache, &r->flake->id, &record, text.buf,
			      text.len, err);
}

int resolve_fixed(const struct flake_settings *flake, const struct tag *tag,
		  char revision[GIT_HASH_SIZE])
{
	autoflakeref ref = FLAKEREF_INIT;
	const char *fixed = tag->text;
	struct err err;

	if (flakeref_parse(&ref, flake->url, &err))
		return -1;
	if (ref.rev && !strcmp(tag->text, "latest"))
		fixed = ref.rev;
	if (!is_revision(fixed))
		return -1;
	memcpy(revision, fixed, strlen(fixed) + 1);
	return 0;
}

int resolve_refs(const struct resolve *r, struct git_refs *refs,
		 struct err *err)
{
	struct refs_record none = { .asked_ms = clock_realtime_ms() };
	autoflakeref ref = FLAKEREF_INIT;

	*refs = (struct git_refs)GIT_REFS_INIT;
	if (parse(r, &ref, err))
		return -1;
	if (ref.clone_url && !ref.rev)
		return ask_git(r, &ref, refs, err);
	return cache_put_refs(r->cache, &r->flake->id, &none, "", 0, err);
}

static void pin_to(const struct flakeref *ref, const char *git_ref,
		   const char *hash, struct flake_pin *pin)
{
	autostrbuf url = STRBUF_INIT;

	flakeref_pin(&url, ref, git_ref, hash);
	pin_revision(pin, strbuf_detach(&url, NULL), hash);
}

/* Have a commit that no ref names in a repository of our own, *path. */
static int fetch(const struct resolve *r, const struct flakeref *ref,
		 const char *hash, bool alone, char **path, struct err *err)
{
	char lock_name[DIGEST_HEX_SIZE + 8], hex[DIGEST_HEX_SIZE];
	autoclose int lock = -1;

	digest_hex(&r->flake->id, hex);
	*path = xasprintf("%s/git/%s.git", r->cache->path, hex);
	snprintf(lock_name, sizeof(lock_name), "git.%s", hex);
	lock = cache_lock(r->cache, lock_name, -1, err);
	return lock < 0 ? -1
			: git_fetch_commit(
				  *path, ref->clone_url, hash, alone, r->env,
				  r->settings->build_timeout * 1000, err);
}

static int pin_mirrored(const struct resolve *r, const struct flakeref *ref,
			const char *hash, struct flake_pin *pin,
			struct err *err)
{
	autofree char *path = NULL, *params = xstrdup(ref->params);
	autofree char *git_ref = xasprintf("refs/flakehub/%s", hash);
	struct flakeref mirror = { .kind = FLAKEREF_GIT, .params = params };
	autostrbuf base = STRBUF_INIT;

	if (fetch(r, ref, hash, false, &path, err))
		return -1;
	strbuf_addstr(&base, "git+file://");
	url_encode(&base, path);
	mirror.base = base.buf;
	pin_to(&mirror, git_ref, hash, pin);
	return 0;
}

/*
 * Nix takes a forge's commit out of its cache by the hash alone, of whatever
 * repository it is: that it is one of this flake's, git must say.
 */
static int pin_at_forge(const struct resolve *r, const struct flakeref *ref,
			const char *hash, struct flake_pin *pin,
			struct err *err)
{
	autofree char *path = NULL;

	if (fetch(r, ref, hash, true, &path, err))
		return -1;
	pin_to(ref, NULL, hash, pin);
	return 0;
}

static int resolve_revision(const struct resolve *r, const struct flakeref *ref,
			    const char *hash, struct flake_pin *pin,
			    struct err *err)
{
	autorefs refs = GIT_REFS_INIT;
	const struct git_ref *tip;

	if (ask_git(r, ref, &refs, err))
		return -1;
	tip = git_refs_of_commit(&refs, hash);
	if (!tip)
		return ref->kind == FLAKEREF_FORGE
			       ? pin_at_forge(r, ref, hash, pin, err)
			       : pin_mirrored(r, ref, hash, pin, err);
	pin_to(ref, tip->name, hash, pin);
	return 0;
}

/* Of a plain path with a query Nix takes the path alone. */
static int pin_work_tree(const struct resolve *r, const struct flakeref *ref,
			 struct flake_pin *pin, struct err *err)
{
	autofree char *url = NULL;

	if (flakeref_is_plain_path(r->flake->url))
		return pin_now(r->nix, r->flake->url, pin, err);
	url = xasprintf("%s%s%s", ref->base, *ref->params ? "?" : "",
			ref->params);
	return pin_now(r->nix, url, pin, err);
}

/* What git has no part in, as Nix alone sees it. */
static int pin_as_it_is(const struct resolve *r, const struct flakeref *ref,
			struct flake_pin *pin, struct err *err)
{
	if (ref->kind == FLAKEREF_FOLDER && !flakeref_is_plain_path(ref->base))
		return err_set(err, ERR_REFUSED,
			       "Nix takes no folder that has blanks or odd "
			       "characters in its path unless it is a git "
			       "repository: %s",
			       ref->base);
	return pin_now(r->nix, r->flake->url, pin, err);
}

static int resolve_latest(const struct resolve *r, const struct flakeref *ref,
			  struct flake_pin *pin, struct err *err)
{
	autorefs refs = GIT_REFS_INIT;
	const struct git_ref *tip;

	/* What is in the folder now, committed or not. */
	if (ref->kind == FLAKEREF_FOLDER && ref->clone_url && !ref->ref &&
	    flakeref_is_plain_path(ref->clone_url))
		return pin_work_tree(r, ref, pin, err);
	if (!ref->clone_url || (!ref->ref && has_work_tree(ref)))
		return pin_as_it_is(r, ref, pin, err);
	if (ask_git(r, ref, &refs, err))
		return -1;
	if (ref->ref) {
		tip = git_refs_named(&refs, ref->ref);
		if (!tip)
			return err_set(err, ERR_UNKNOWN,
				       "the flake's repository has no ref %s",
				       ref->ref);
		pin_to(ref, tip->name, tip->hash, pin);
		return 0;
	}
	if (!*refs.head)
		return err_set(err, ERR_UNKNOWN,
			       "the flake's repository has no HEAD: it is "
			       "empty, or its default branch is gone");
	tip = refs.head_name ? NULL : git_refs_of_commit(&refs, refs.head);
	pin_to(ref, refs.head_name ? refs.head_name : (tip ? tip->name : NULL),
	       refs.head, pin);
	return 0;
}

/* The revision that the URL itself names. */
static int pin_given(const struct resolve *r, const struct flakeref *ref,
		     struct flake_pin *pin, struct err *err)
{
	/* A ref beside it says where Nix finds it. */
	if (ref->kind == FLAKEREF_GIT && ref->ref) {
		pin_revision(pin, xstrdup(r->flake->url), ref->rev);
		return 0;
	}
	return ref->clone_url ? resolve_revision(r, ref, ref->rev, pin, err)
			      : pin_now(r->nix, r->flake->url, pin, err);
}

static int no_tags(const char *why, const struct tag *tag, struct err *err)
{
	return err_set(err, ERR_UNKNOWN, "there is no tag %s: %s", tag->text,
		       why);
}

int resolve_tag(const struct resolve *r, const struct tag *tag,
		struct flake_pin *pin, struct err *err)
{
	bool latest = !strcmp(tag->text, "latest");
	autoflakeref ref = FLAKEREF_INIT;
	autorefs refs = GIT_REFS_INIT;
	const struct git_ref *found;

	if (parse(r, &ref, err))
		return -1;
	if (ref.rev && (latest || !strcmp(tag->text, ref.rev)))
		return pin_given(r, &ref, pin, err);
	if (ref.rev)
		return no_tags("the flake's URL pins one revision, which is "
			       "latest",
			       tag, err);
	if (latest)
		return resolve_latest(r, &ref, pin, err);
	if (!ref.clone_url)
		return no_tags("the flake is in no git repository and has "
			       "latest alone",
			       tag, err);
	if (is_revision(tag->text))
		return resolve_revision(r, &ref, tag->text, pin, err);
	if (ask_git(r, &ref, &refs, err) ||
	    git_refs_find(&refs, tag, &found, err))
		return -1;
	pin_to(&ref, found->name, found->hash, pin);
	return 0;
}
