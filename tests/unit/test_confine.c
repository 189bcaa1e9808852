// SPDX-License-Identifier: MIT
/* What an evaluation is shown of this host, by bubblewrap's words. */
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/confine.h"
#include "tests/unit/fakeprogram.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

#define FORBIDDEN                                                              \
	"echo 'bwrap: setting up uid map: Permission denied' >&2; exit 1"

static char *folder, *bin;
static struct cache cache;

/* putenv(3) keeps what it is given, as long as the program runs. */
static void set(const char *pair)
{
	static char *kept[32];
	static size_t nr;

	assert_true(nr < ARRAY_SIZE(kept));
	kept[nr] = xstrdup(pair);
	assert_int_equal(putenv(kept[nr++]), 0);
}

static int setup(void **state)
{
	autofree char *path = NULL;
	struct err err = ERR_INIT;

	folder = scratch_make();
	path = xasprintf("%s/cache", folder);
	bin = xasprintf("%s/bin", folder);
	scratch_mkdir(bin);
	fakeprogram_use(bin);
	fakeprogram_write(bin, "bwrap", FORBIDDEN);
	set("NIX_REMOTE=local");
	if (cache_open(&cache, path, CACHE_WRITE, &err))
		fail_msg("%s", err.msg);
	return 0;
}

static int teardown(void **state)
{
	cache_release(&cache);
	free(bin);
	scratch_remove(folder);
	return 0;
}

/* All words of an evaluation of that flake, each with a blank after it. */
static void words_of(const char *settings_text, const char *url,
		     const struct credentials *credentials, struct strbuf *out,
		     struct confine *kept)
{
	autofree char *text =
		xasprintf("%s[flake]\nurl = %s\n", settings_text, url);
	autosettings settings;
	autoconfine c = CONFINE_INIT;
	struct err err = ERR_INIT;
	char *const *words, *const *again;
	size_t nr = 0;

	if (settings_parse(&settings, text, strlen(text), "test", &err))
		fail_msg("%s", err.msg);
	confine_init(&c, &cache, &settings, &settings.flakes[0], credentials);
	if (confine_words(&c, &words, &nr, &err))
		fail_msg("%s", err.msg);
	strbuf_reset(out);
	for (size_t i = 0; words && i < nr; i++)
		strbuf_addf(out, "%s ", words[i]);
	/* It is made once, also if it cannot be. */
	assert_int_equal(confine_words(&c, &again, &nr, &err), 0);
	assert_ptr_equal(again, words);
	assert_int_equal(confine_works(&c, &err), 0);
	assert_int_equal(confine_words(&c, &again, &nr, &err), 0);
	assert_null(again);
	if (kept)
		kept->why = steal_ptr(&c.why);
}

static void check_words(const char *name, const struct strbuf *words,
			const char *want, bool is_there)
{
	if (!strstr(words->buf, want) == is_there)
		fail_msg("%s: %s '%s' in: %s", name, is_there ? "no" : "a",
			 want, words->buf);
}

/* The store is to be written to only where there is no daemon. */
static void test_store(void **state)
{
	static const struct {
		const char *remote, *want, *not ;
	} cases[] = {
		{ "NIX_REMOTE=daemon", "--ro-bind /nix /nix ",
		  "--bind /nix /nix " },
		{ "NIX_REMOTE=unix:///run/other/socket",
		  "--bind-try /run/other/socket /run/other/socket ",
		  "--setenv NIX_REMOTE" },
		{ "NIX_REMOTE=local", "--bind /nix /nix ",
		  "--ro-bind /nix /nix " },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autostrbuf words = STRBUF_INIT;

		set(cases[i].remote);
		words_of("", "github:me/infra", NULL, &words, NULL);
		check_words(cases[i].remote, &words, cases[i].want, true);
		check_words(cases[i].remote, &words, cases[i].not, false);
	}
}

/* Folders of PATH are shown; no other of the host's, nor what is secret. */
static void test_environment(void **state)
{
	static const char *const hidden[] = {
		"/etc/shadow",	     "/root ", "/home ", "/var ", "/etc /etc",
		"/etc/nix /etc/nix", " / / "
	};
	autofree char *path =
		xasprintf("PATH=relative:/:/nonexistent:%s:/usr/bin:/bin", bin);
	autofree char *want = xasprintf("--ro-bind-try %s %s ", bin, bin);
	autofree char *wanted_path =
		xasprintf("--setenv PATH %s:/usr/bin:", bin);
	autostrbuf words = STRBUF_INIT;

	set(path);
	set("NIX_SSL_CERT_FILE=/srv/ca.crt");
	set("GIT_SSL_CAINFO=relative/ca.crt");
	words_of("", "github:me/infra", NULL, &words, NULL);
	check_words("PATH", &words, want, true);
	check_words("PATH", &words, wanted_path, true);
	check_words("NIX_SSL_CERT_FILE", &words,
		    "--ro-bind-try /srv/ca.crt /srv/ca.crt ", true);
	check_words("GIT_SSL_CAINFO", &words, "relative", false);
	check_words("agent", &words, "--unsetenv SSH_AUTH_SOCK ", true);
	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
		check_words("hidden", &words, hidden[i], false);
	fakeprogram_use(bin);
}

/* A flake in a folder, and what its repository borrows objects from. */
static void test_folder(void **state)
{
	autofree char *top = xasprintf("%s/top", folder);
	autofree char *flake = xasprintf("%s/flake", top);
	autofree char *git = xasprintf("%s/.git", top);
	autofree char *info = xasprintf("%s/objects/info", git);
	autofree char *alternates = xasprintf("%s/alternates", info);
	autofree char *script = xasprintf("echo %s; echo %s", git, top);
	autofree char *shown =
		xasprintf("--ro-bind-try %s %s --ro-bind-try %s %s "
			  "--ro-bind-try %s %s ",
			  flake, flake, top, top, git, git);
	autostrbuf words = STRBUF_INIT;

	scratch_mkdir(info);
	scratch_write(alternates, "/srv/objects\n../relative\n/srv/more", 35);
	fakeprogram_write(bin, "git", script);
	words_of("", flake, NULL, &words, NULL);
	check_words("folder", &words, shown, true);
	check_words("borrowed", &words,
		    "--ro-bind-try /srv/objects /srv/objects ", true);
	check_words("borrowed", &words, "--ro-bind-try /srv/more /srv/more ",
		    true);
	check_words("borrowed", &words, "relative", false);
	words_of("", "file:///srv/a%20b.tar.gz", NULL, &words, NULL);
	check_words("tarball", &words,
		    "--ro-bind-try /srv/a b.tar.gz /srv/a b.tar.gz ", true);
	check_words("tarball", &words, shown, false);
}

/* Its home is its own; of ours there are two files, and its credentials. */
static void test_home(void **state)
{
	const struct credentials credentials = { .netrc = "/srv/netrc" };
	autostrbuf words = STRBUF_INIT;

	set("HOME=/home/me");
	words_of("", "github:me/infra", &credentials, &words, NULL);
	check_words("home", &words, "--ro-bind-try /home/me/.gitconfig ", true);
	check_words("home", &words, "--ro-bind-try /home/me /", false);
	check_words("netrc", &words, "--ro-bind /srv/netrc ", true);
	check_words("netrc", &words, "--ro-bind-try /srv/netrc /srv/netrc ",
		    true);
	words_of("", "github:me/infra", NULL, &words, NULL);
	check_words("netrc", &words, "/srv/netrc", false);
}

/* Where it cannot be there are no words, and the reason is kept. */
static void test_given_up(void **state)
{
	struct confine c = CONFINE_INIT;
	autostrbuf words = STRBUF_INIT;

	words_of("import-from-derivation = yes\n", "github:me/infra", NULL,
		 &words, &c);
	assert_string_equal(words.buf, "");
	assert_non_null(strstr(c.why, "without a Nix daemon"));
	free(c.why);
	set("NIX_REMOTE=daemon");
	words_of("import-from-derivation = yes\n", "github:me/infra", NULL,
		 &words, NULL);
	check_words("with a daemon", &words, "bwrap ", true);
}

static void parse_flake(struct settings *settings)
{
	static const char text[] = "[flake]\nurl = github:me/infra\n";
	struct err err = ERR_INIT;

	if (settings_parse(settings, text, strlen(text), "test", &err))
		fail_msg("%s", err.msg);
}

/* Where its home cannot be made now there is an error, and another try. */
static void test_no_home(void **state)
{
	autofree char *git = xasprintf("%s/cache/git", folder);
	autosettings settings;
	autoconfine c = CONFINE_INIT;
	struct err err = ERR_INIT;
	char *const *words;
	size_t nr;

	parse_flake(&settings);
	confine_init(&c, &cache, &settings, &settings.flakes[0], NULL);
	scratch_remove(xstrdup(git));
	scratch_write(git, "", 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(confine_words(&c, &words, &nr, &err), -1);
		assert_non_null(strstr(err.msg, "cannot make "));
		assert_null(c.why);
	}
	assert_int_equal(unlink(git), 0);
	scratch_mkdir(git);
	assert_int_equal(confine_words(&c, &words, &nr, &err), 0);
	assert_string_equal(words[0], "bwrap");
}

/* What bubblewrap says, and whether it works: 0 is never, -1 not now. */
static const struct {
	const char *script;
	int works;
} tries[] = {
	{ "exit 0", 1 },
	{ FORBIDDEN, 0 },
	{ "echo 'bwrap: No permissions to create new namespace, likely "
	  "because'; exit 1",
	  0 },
	{ "echo 'bwrap: No permissions to creating new namespace, "
	  "likely'; exit 1",
	  0 },
	{ "echo 'bwrap: Creating new namespace failed, likely because "
	  "the kernel does not support user namespaces.  bwrap must'; "
	  "exit 1",
	  0 },
	{ "echo \"bwrap: Can't mount proc on /newroot/proc: Operation "
	  "not permitted\"; exit 1",
	  0 },
	{ "echo \"bwrap: Can't mount proc on /newroot/proc: Permission "
	  "denied\"; exit 1",
	  0 },
	{ "echo 'bwrap: Failed to make / slave: Permission denied'; "
	  "exit 1",
	  0 },
	{ "echo \"bwrap: Can't fork for pid 1: Resource temporarily "
	  "unavailable\"; exit 1",
	  -1 },
	{ "echo 'bwrap: Creating new namespace failed: Cannot allocate "
	  "memory'; exit 1",
	  -1 },
	/* As many as there may be are in use. */
	{ "echo 'bwrap: Creating new namespace failed: nesting depth "
	  "or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)'; "
	  "exit 1",
	  -1 },
	{ "echo \"bwrap: Can't find source path /x/netrc: Permission "
	  "denied\"; exit 1",
	  -1 },
	{ "echo \"bwrap: Can't create file at /x: No space left on "
	  "device\"; exit 1",
	  -1 },
	{ "echo '/bin/sh: 1: Cannot fork'; exit 2", -1 },
	{ "echo 'no: Operation not permitted'; exit 1", -1 },
	{ "exit 1", -1 },
	{ "exit 127", -1 },
	{ "kill -9 $$", -1 },
};

/* Only what this host permits never is done without. */
static void test_try(void **state)
{
	autosettings settings;
	struct err err = ERR_INIT;

	parse_flake(&settings);
	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		autoconfine c = CONFINE_INIT;
		char *const *words;
		size_t nr;
		int rc;

		confine_init(&c, &cache, &settings, &settings.flakes[0], NULL);
		fakeprogram_write(bin, "bwrap", tries[i].script);
		assert_int_equal(confine_words(&c, &words, &nr, &err), 0);
		rc = confine_works(&c, &err);
		if (rc != tries[i].works)
			fail_msg("%s: %d %s", tries[i].script, rc, err.msg);
		check(tries[i].script, !rc == !!c.why);
		check(tries[i].script, rc >= 0 || err.code == ERR_SYSTEM);
	}
}

static void test_not_installed(void **state)
{
	autofree char *path = xasprintf("PATH=%s/none:/proc/1/stat", folder);
	autosettings settings;
	autoconfine c = CONFINE_INIT;
	struct err err = ERR_INIT;
	char *const *words;
	size_t nr;

	parse_flake(&settings);
	confine_init(&c, &cache, &settings, &settings.flakes[0], NULL);
	set(path);
	assert_int_equal(confine_words(&c, &words, &nr, &err), 0);
	assert_int_equal(confine_works(&c, &err), 0);
	assert_string_equal(c.why, "bwrap is not on PATH");
	fakeprogram_use(bin);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_store, setup, teardown),
		cmocka_unit_test_setup_teardown(test_environment, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_folder, setup, teardown),
		cmocka_unit_test_setup_teardown(test_home, setup, teardown),
		cmocka_unit_test_setup_teardown(test_given_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_home, setup, teardown),
		cmocka_unit_test_setup_teardown(test_try, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_installed, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
