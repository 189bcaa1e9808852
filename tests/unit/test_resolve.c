// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/resolve.h"
#include "common/spawn.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

/* A repository by the real git, and a cache. */
static char *folder, *repository;
static struct cache cache;

static void shell(const char *script, struct strbuf *out)
{
	const char *const argv[] = { "sh", "-ec", script, NULL };
	struct spawn_run run = { .argv = argv,
				 .out_max = SMALL_FILE_MAX,
				 .timeout_ms = 30000 };
	struct err err = ERR_INIT;
	int status;

	if (spawn_run(&run, out, &status, &err) || status)
		fail_msg("%s: %s", script, err.msg);
	if (out->len && out->buf[out->len - 1] == '\n')
		out->buf[--out->len] = 0;
}

static int setup(void **state)
{
	autofree char *path = NULL, *script = NULL;
	autostrbuf out = STRBUF_INIT;
	struct err err = ERR_INIT;

	folder = scratch_make();
	path = xasprintf("%s/cache", folder);
	repository = xasprintf("%s/r.git", folder);
	script = xasprintf(
		"cd %s; git init -q -b main w; cd w; "
		"git config user.name n; git config user.email e; "
		"for i in 1 2 3; do git commit -q --allow-empty -m $i; done; "
		"git branch feat/x HEAD~1; git tag -a -m v v1 HEAD~1; "
		"git clone -q --bare . ../r.git",
		folder);
	shell(script, &out);
	if (cache_open(&cache, path, CACHE_WRITE, &err))
		fail_msg("%s", err.msg);
	return 0;
}

static int teardown(void **state)
{
	cache_release(&cache);
	free(repository);
	scratch_remove(folder);
	return 0;
}

static char *commit(const char *name)
{
	autofree char *script = xasprintf("git -C %s rev-parse '%s^{commit}'",
					  repository, name);
	autostrbuf out = STRBUF_INIT;

	shell(script, &out);
	return strbuf_detach(&out, NULL);
}

static int resolve(const char *params, const char *tag_text,
		   struct flake_pin *pin, struct err *err)
{
	autofree char *text = xasprintf("[flake]\nurl = git+file://%s%s\n",
					repository, params);
	autosettings settings;
	autonix nix = NIX_INIT;
	struct resolve r = { .settings = &settings,
			     .cache = &cache,
			     .nix = &nix };
	struct tag tag;

	assert_int_equal(
		settings_parse(&settings, text, strlen(text), "test", err), 0);
	r.flake = &settings.flakes[0];
	assert_int_equal(tag_parse(&tag, tag_text, strlen(tag_text), err), 0);
	return resolve_tag(&r, &tag, pin, err);
}

static void test_tags(void **state)
{
	static const struct {
		const char *params, *tag, *commit, *ref;
	} cases[] = {
		{ "", "latest", "main", "ref=refs/heads/main" },
		{ "", "main", "main", "ref=refs/heads/main" },
		{ "", "feat-x", "main~1", "ref=refs/heads/feat/x" },
		{ "", "v1", "main~1", "ref=refs/tags/v1" },
		{ "?ref=v1", "latest", "main~1", "ref=refs/tags/v1" },
		{ "?dir=a", "main", "main", "?dir=a&ref=refs/heads/main" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autofree char *hash = commit(cases[i].commit);
		autopin pin = FLAKE_PIN_INIT;
		struct err err = ERR_INIT;

		if (resolve(cases[i].params, cases[i].tag, &pin, &err))
			fail_msg("%s: %s", cases[i].tag, err.msg);
		check_str(cases[i].tag, pin.revision, hash);
		check(cases[i].tag, strstr(pin.url, cases[i].ref) != NULL);
		check(cases[i].tag, strstr(pin.url, hash) != NULL);
	}
}

/* One that no ref names comes through a repository in the cache. */
static void test_revisions(void **state)
{
	autofree char *tip = commit("main"), *old = commit("main~2");
	autofree char *mirror = xasprintf("git+file://%s/cache/git/", folder);
	autofree char *kept = xasprintf("refs/flakehub/%s", old);
	autopin pin = FLAKE_PIN_INIT, old_pin = FLAKE_PIN_INIT;
	struct err err = ERR_INIT;

	if (resolve("", tip, &pin, &err))
		fail_msg("%s", err.msg);
	assert_non_null(strstr(pin.url, "ref=refs/heads/main"));
	if (resolve("", old, &old_pin, &err))
		fail_msg("%s", err.msg);
	assert_ptr_equal(strstr(old_pin.url, mirror), old_pin.url);
	assert_non_null(strstr(old_pin.url, kept));
	assert_string_equal(old_pin.revision, old);
}

/* Whose answer of git's is taken: by when git was asked for it. */
static void test_since(void **state)
{
	static const struct {
		const char *name;
		int64_t since_ms, asked_ms; /* from now; since 0: the call */
		bool is_taken;
	} cases[] = {
		{ "before the call", 0, -1, false },
		{ "since then", -1000, -1000, true },
		{ "before then", -1000, -1001, false },
		{ "the clock was set back", -1000, 60000, false },
	};
	autofree char *text =
		xasprintf("[flake]\nurl = git+file://%s\n", repository);
	autosettings settings;
	struct err err = ERR_INIT;

	assert_int_equal(
		settings_parse(&settings, text, strlen(text), "test", &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		static const char marker[] =
			"0123456789abcdef0123456789abcdef01234567\tHEAD\n";
		int64_t now = clock_realtime_ms();
		struct refs_record record = { .asked_ms =
						      now + cases[i].asked_ms };
		struct resolve r = { .settings = &settings,
				     .cache = &cache,
				     .flake = &settings.flakes[0] };
		autorefs refs = GIT_REFS_INIT;

		if (cases[i].since_ms)
			r.since_ms = now + cases[i].since_ms;
		assert_int_equal(cache_put_refs(&cache, &r.flake->id, &record,
						marker, strlen(marker), &err),
				 0);
		if (resolve_refs(&r, &refs, &err))
			fail_msg("%s: %s", cases[i].name, err.msg);
		check(cases[i].name, !refs.nr == cases[i].is_taken);
	}
}

static void test_unknown(void **state)
{
	static const struct {
		const char *params, *tag, *says;
	} cases[] = {
		{ "", "mian", "nearest: main" },
		{ "?ref=gone", "latest", "no ref gone" },
		{ "?rev=0123456789abcdef0123456789abcdef01234567", "main",
		  "pins one revision" },
		{ "", "0123456789abcdef0123456789abcdef01234567",
		  "0123456789abcdef0123456789abcdef01234567" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autopin pin = FLAKE_PIN_INIT;
		struct err err = ERR_INIT;

		check(cases[i].tag,
		      resolve(cases[i].params, cases[i].tag, &pin, &err) == -1);
		if (err.code != ERR_UNKNOWN || !strstr(err.msg, cases[i].says))
			fail_msg("%s: %s: %s", cases[i].tag,
				 err_code_name(err.code), err.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_revisions),
		cmocka_unit_test(test_since),
		cmocka_unit_test(test_unknown),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
