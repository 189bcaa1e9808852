// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/alloc.h"
#include "tests/unit/check.h"

#include "common/flakeref.h"

#include "common/banned.h"

#define REV "0123456789abcdef0123456789abcdef01234567"

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static const struct {
	const char *text, *clone_url, *ref, *rev, *pinned;
	enum flakeref_kind kind;
} references[] = {
	{ "/srv/flake", NULL, NULL, NULL, NULL, FLAKEREF_FOLDER },
	{ "path:/srv/flake", NULL, NULL, NULL, NULL, FLAKEREF_PATH },
	{ "git://h/r", "git://h/r", NULL, NULL,
	  "git://h/r?ref=refs/heads/main&rev=" REV, FLAKEREF_GIT },
	{ "git+https://h/r?ref=v1&dir=a%2Fb", "https://h/r", "v1", NULL,
	  "git+https://h/r?dir=a%2Fb&ref=refs/heads/main&rev=" REV,
	  FLAKEREF_GIT },
	{ "git+ssh://git@h/r.git?rev=" REV, "ssh://git@h/r.git", NULL, REV,
	  "git+ssh://git@h/r.git?ref=refs/heads/main&rev=" REV, FLAKEREF_GIT },
	{ "git+file:///srv/r", "file:///srv/r", NULL, NULL,
	  "git+file:///srv/r?ref=refs/heads/main&rev=" REV, FLAKEREF_GIT },
	{ "git+file:///srv/a%20b", "file:///srv/a%20b", NULL, NULL, NULL,
	  FLAKEREF_GIT },
	{ "git+file:/srv/a%20b", "/srv/a b", NULL, NULL,
	  "git+file:/srv/a%20b?ref=refs/heads/main&rev=" REV, FLAKEREF_GIT },
	{ "git+file:/srv/r", "/srv/r", NULL, NULL,
	  "git+file:/srv/r?ref=refs/heads/main&rev=" REV, FLAKEREF_GIT },
	{ "github:o/r", "https://github.com/o/r.git", NULL, NULL,
	  "github:o/r/" REV, FLAKEREF_FORGE },
	{ "github:o/r/feat/x?dir=a&host=localhost", "https://localhost/o/r.git",
	  "feat/x", NULL, "github:o/r/" REV "?dir=a&host=localhost",
	  FLAKEREF_FORGE },
	{ "github:o/r/" REV, "https://github.com/o/r.git", NULL, REV,
	  "github:o/r/" REV, FLAKEREF_FORGE },
	{ "gitlab:g%2Fsub/r?ref=dev", "https://gitlab.com/g/sub/r.git", "dev",
	  NULL, "gitlab:g%2Fsub/r/" REV, FLAKEREF_FORGE },
	{ "github:o/r?host=[::1]:443", "https://[::1]:443/o/r.git", NULL, NULL,
	  "github:o/r/" REV "?host=[::1]:443", FLAKEREF_FORGE },
	{ "git+http://u:p@[::1]:80/r", "http://u:p@[::1]:80/r", NULL, NULL,
	  NULL, FLAKEREF_GIT },
	{ "sourcehut:~me/r", "https://git.sr.ht/~me/r", NULL, NULL,
	  "sourcehut:~me/r/" REV, FLAKEREF_FORGE },
	{ "https://h/x.tar.gz?dir=a&publicKey=b", NULL, NULL, NULL, NULL,
	  FLAKEREF_TARBALL },
};

static void test_parse(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(references); i++) {
		autoflakeref ref = FLAKEREF_INIT;
		struct err err = ERR_INIT;
		autostrbuf pinned = STRBUF_INIT;

		if (flakeref_parse(&ref, references[i].text, &err))
			fail_msg("%s: %s", references[i].text, err.msg);
		if (ref.kind != references[i].kind ||
		    !same(ref.clone_url, references[i].clone_url) ||
		    !same(ref.ref, references[i].ref) ||
		    !same(ref.rev, references[i].rev))
			fail_msg("%s: clone %s, ref %s, rev %s",
				 references[i].text, ref.clone_url, ref.ref,
				 ref.rev);
		if (!references[i].pinned)
			continue;
		flakeref_pin(&pinned, &ref, "refs/heads/main", REV);
		if (strcmp(pinned.buf, references[i].pinned))
			fail_msg("%s: %s", references[i].text, pinned.buf);
	}
}

static void test_malformed(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "", "absolute path" },
		{ "nixpkgs", "absolute path" },
		{ "./here", "absolute path" },
		{ "--option", "absolute path" },
		{ "flake:nixpkgs", "absolute path" },
		{ "github:", "OWNER/REPOSITORY" },
		{ "github:owner", "OWNER/REPOSITORY" },
		{ "github:owner/", "OWNER/REPOSITORY" },
		{ "github:o/r#x", "no '#'" },
		{ "git+https://h/r?rev=abc", "40 lowercase" },
		{ "git+https://h/r?ref=%zz", "broken escape" },
		{ "git+https://h/r?ref=%00", "broken escape" },
		{ "git+file:/srv/%zz", "broken escape" },
		{ "git+https://h/r?shallow", "key=value" },
		{ "git+https://u:geheim@h/r?rev=geheim", "40 lowercase" },
		{ "git+https://u:ge/heim@h/r", "%2F" },
		{ "https://u:ge?geheim=@h/r", "%3F" },
		{ "github:o/r?host=u:geheim@h", "host=" },
		{ "github:o/r?host=u%3Ageheim%40h", "host=" },
		{ "github:o/r?host=u:geheim", "host=" },
		{ "git+ssh://git@h:geheim@h/r", "take a password" },
		{ "git://u:geheim@h/r", "take a password" },
		{ "tarball+file://u:geheim@h/x.tar", "take a password" },
		{ "file://u:geheim@h/x.tar", "take a password" },
		{ "https://h/x.tar.gz?token=geheim", "credentials" },
		{ "https://h/x?dir=a&private_token=geheim", "credentials" },
		{ "git+https://h/r?Access%5fTOKEN=geheim", "credentials" },
		{ "github:o/r?dir=a&&sig=geheim", "credentials" },
		{ "path:/srv?password=geheim", "credentials" },
		{ "tarball+ftp://u:geheim@h/r", "begins with" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autoflakeref ref = FLAKEREF_INIT;
		struct err err = ERR_INIT;

		if (!flakeref_parse(&ref, cases[i].text, &err) ||
		    err.code != ERR_MALFORMED ||
		    !strstr(err.msg, cases[i].says) ||
		    strstr(err.msg, "geheim"))
			fail_msg("\"%s\": %s", cases[i].text, err.msg);
	}
}

static void test_login(void **state)
{
	static const struct {
		const char *text, *left, *host, *user, *password;
	} cases[] = {
		{ "git+https://me:secret@host:8080/x?ref=a@b",
		  "git+https://host:8080/x?ref=a@b", "host", "me", "secret" },
		{ "https://token@host/x.tar.gz", "https://host/x.tar.gz",
		  "host", "token", "x" },
		{ "http://us@er:p%40ss%3A@host/x", "http://host/x", "host",
		  "us@er", "p@ss:" },
		{ "tarball+https://a:b@host/x.tar",
		  "tarball+https://host/x.tar", "host", "a", "b" },
		{ "git+https://host/x@y", "git+https://host/x@y", NULL, NULL,
		  NULL },
		{ "git+ssh://git@host/x", "git+ssh://git@host/x", NULL, NULL,
		  NULL },
		{ "/srv/a@b", "/srv/a@b", NULL, NULL, NULL },
	};
	static const char *const bad[] = {
		"https://a%20b:c@host/",
		"https://a:%zz@host/",
		"https://a:b%0amachine@host/",
		"https://:x@host/",
		"https://a:@host/",
	};
	struct err err = ERR_INIT;
	struct login login;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autofree char *text = xstrdup(cases[i].text);

		if (flakeref_take_login(text, &login, &err))
			fail_msg("%s: %s", cases[i].text, err.msg);
		check_str(cases[i].text, text, cases[i].left);
		assert_int_equal(!login.user, !cases[i].user);
		if (login.user) {
			check_str(cases[i].text, login.host, cases[i].host);
			check_str(cases[i].text, login.user, cases[i].user);
			check_str(cases[i].text, login.password,
				  cases[i].password);
		}
		login_release(&login);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		autofree char *text = xstrdup(bad[i]);

		if (!flakeref_take_login(text, &login, &err))
			fail_msg("%s was taken", bad[i]);
		assert_int_equal(err.code, ERR_MALFORMED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
