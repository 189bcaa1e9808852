// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/flakeref.h"

#include "common/banned.h"

#define REV "0123456789abcdef0123456789abcdef01234567"

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static void test_parse(void **state)
{
	static const struct {
		const char *text, *clone_url, *ref, *rev, *pinned;
		enum flakeref_kind kind;
	} cases[] = {
		{ "/srv/flake", NULL, NULL, NULL, NULL, FLAKEREF_FOLDER },
		{ "path:/srv/flake", NULL, NULL, NULL, NULL, FLAKEREF_PATH },
		{ "git://h/r", "git://h/r", NULL, NULL,
		  "git://h/r?ref=refs/heads/main&rev=" REV, FLAKEREF_GIT },
		{ "git+https://h/r?ref=v1&dir=a%2Fb", "https://h/r", "v1", NULL,
		  "git+https://h/r?dir=a%2Fb&ref=refs/heads/main&rev=" REV,
		  FLAKEREF_GIT },
		{ "git+ssh://git@h/r.git?rev=" REV, "ssh://git@h/r.git", NULL,
		  REV, "git+ssh://git@h/r.git?ref=refs/heads/main&rev=" REV,
		  FLAKEREF_GIT },
		{ "git+file:///srv/r", "file:///srv/r", NULL, NULL,
		  "git+file:///srv/r?ref=refs/heads/main&rev=" REV,
		  FLAKEREF_GIT },
		{ "git+file:/srv/r", "/srv/r", NULL, NULL,
		  "git+file:/srv/r?ref=refs/heads/main&rev=" REV,
		  FLAKEREF_GIT },
		{ "github:o/r", "https://github.com/o/r.git", NULL, NULL,
		  "github:o/r/" REV, FLAKEREF_FORGE },
		{ "github:o/r/feat/x?dir=a&host=localhost",
		  "https://localhost/o/r.git", "feat/x", NULL,
		  "github:o/r/" REV "?dir=a&host=localhost", FLAKEREF_FORGE },
		{ "github:o/r/" REV, "https://github.com/o/r.git", NULL, REV,
		  "github:o/r/" REV, FLAKEREF_FORGE },
		{ "gitlab:g%2Fsub/r?ref=dev", "https://gitlab.com/g/sub/r.git",
		  "dev", NULL, "gitlab:g%2Fsub/r/" REV, FLAKEREF_FORGE },
		{ "sourcehut:~me/r", "https://git.sr.ht/~me/r", NULL, NULL,
		  "sourcehut:~me/r/" REV, FLAKEREF_FORGE },
		{ "https://h/x.tar.gz?dir=a", NULL, NULL, NULL, NULL,
		  FLAKEREF_TARBALL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autoflakeref ref = FLAKEREF_INIT;
		struct err err = ERR_INIT;
		autostrbuf pinned = STRBUF_INIT;

		if (flakeref_parse(&ref, cases[i].text, &err))
			fail_msg("%s: %s", cases[i].text, err.msg);
		if (ref.kind != cases[i].kind ||
		    !same(ref.clone_url, cases[i].clone_url) ||
		    !same(ref.ref, cases[i].ref) ||
		    !same(ref.rev, cases[i].rev))
			fail_msg("%s: clone %s, ref %s, rev %s", cases[i].text,
				 ref.clone_url, ref.ref, ref.rev);
		if (!cases[i].pinned)
			continue;
		flakeref_pin(&pinned, &ref, "refs/heads/main", REV);
		if (strcmp(pinned.buf, cases[i].pinned))
			fail_msg("%s: %s", cases[i].text, pinned.buf);
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
		{ "git+https://h/r?shallow", "key=value" },
		{ "git+https://u:geheim@h/r?rev=geheim", "40 lowercase" },
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
