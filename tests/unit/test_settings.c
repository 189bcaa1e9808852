// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/settings.h"

#include "common/banned.h"

static int parse(struct settings *settings, const char *text, struct err *err)
{
	return settings_parse(settings, text, strlen(text), "f", err);
}

static void check_defaults(const struct settings *s)
{
	assert_string_equal(s->cache_dir, "/var/cache/flakehub");
	assert_int_equal(s->image.nr_systems, 1);
	assert_string_equal(s->image.systems[0], "x86_64-linux");
	assert_int_equal(s->image.compression, COMPRESSION_GZIP);
	assert_int_equal(s->image.max_layers, 100);
	assert_int_equal(s->image.max_age, 10);
	assert_int_equal(s->image.stale_while_revalidate, 0);
	assert_int_equal(s->image.stale_if_error, 86400);
	assert_int_equal(s->image.error_max_age, 10);
	assert_int_equal(s->refresh_timeout, 10);
	assert_int_equal(s->build_timeout, 3600);
	assert_int_equal(s->max_builds, 2);
	assert_int_equal(s->max_queue, 100);
	assert_int_equal(s->cache_size, 20LL << 30);
	assert_int_equal(s->record_max_age, 90 * 86400);
	assert_true(s->sandbox_eval);
	assert_int_equal(s->eval_memory, 4LL << 30);
	assert_false(s->import_from_derivation);
	assert_int_equal(s->sendfile, SENDFILE_X_SENDFILE);
	assert_int_equal(s->nr_flakes, 0);
}

static void test_defaults(void **state)
{
	autosettings init = { 0 }, empty = { 0 }, formatted = { 0 };
	autostrbuf text = STRBUF_INIT;
	struct err err = ERR_INIT;

	settings_init(&init);
	check_defaults(&init);
	assert_int_equal(parse(&empty, "", &err), 0);
	check_defaults(&empty);
	settings_format_defaults(&text);
	if (parse(&formatted, text.buf, &err) < 0)
		fail_msg("%s", err.msg);
	check_defaults(&formatted);
}

static const char every_setting[] =
	"# all of them\n"
	"cache-dir = /srv/with blank  # and a comment\n"
	"  systems =  aarch64-linux\tx86_64-linux \r\n"
	"compression=zstd\n"
	"max-layers = 125\n"
	"max-age = 5m\n"
	"stale-while-revalidate = 1h\n"
	"stale-if-error = 0s\n"
	"error-max-age = 1d\n"
	"refresh-timeout = 1s\n"
	"build-timeout = 2h\n"
	"max-builds = 1\n"
	"max-queue = 7\n"
	"cache-size = 512M\n"
	"record-max-age = 1d\n"
	"sandbox-eval = no\n"
	"eval-memory = 65536K\n"
	"import-from-derivation = yes\n"
	"sendfile = x-accel-redirect\n"
	"\n"
	"[flake]\n"
	"url = github:me/infra\n"
	"[ flake  blog ]\n";

static const char two_flakes[] = "[flake]\n"
				 "url = github:me/infra\n"
				 "[flake\tblog]\n"
				 "url = git+https://git.example.org/blog\n"
				 "credentials = /etc/flakehub/blog.netrc\n"
				 "compose = yes\n"
				 "max-age = 3s\n"
				 "systems = riscv64-linux";

static void test_all(void **state)
{
	autosettings s = { 0 }, t = { 0 };
	struct err err = ERR_INIT;

	assert_int_equal(parse(&s, every_setting, &err), -1);
	assert_string_equal(err.msg,
			    "f:23: a section is [flake] or [flake NAME]");
	assert_string_equal(s.cache_dir, "/srv/with blank");
	assert_int_equal(s.image.nr_systems, 2);
	assert_string_equal(s.image.systems[0], "aarch64-linux");
	assert_string_equal(s.image.systems[1], "x86_64-linux");
	assert_int_equal(s.image.compression, COMPRESSION_ZSTD);
	assert_int_equal(s.image.max_age, 300);
	assert_int_equal(s.build_timeout, 7200);
	assert_int_equal(s.cache_size, 512 << 20);
	assert_int_equal(s.eval_memory, 64 << 20);
	assert_false(s.sandbox_eval);
	assert_true(s.import_from_derivation);
	assert_int_equal(s.sendfile, SENDFILE_X_ACCEL_REDIRECT);

	if (parse(&t, two_flakes, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(t.nr_flakes, 2);
	assert_string_equal(t.flakes[0].name, "");
	assert_string_equal(t.flakes[0].url, "github:me/infra");
	assert_null(t.flakes[0].credentials);
	assert_false(t.flakes[0].compose);
	assert_int_equal(t.flakes[0].image.max_age, 10);
	assert_string_equal(t.flakes[0].image.systems[0], "x86_64-linux");
	assert_string_equal(t.flakes[1].name, "blog");
	assert_string_equal(t.flakes[1].credentials,
			    "/etc/flakehub/blog.netrc");
	assert_true(t.flakes[1].compose);
	assert_int_equal(t.flakes[1].image.max_age, 3);
	assert_int_equal(t.flakes[1].image.nr_systems, 1);
	assert_string_equal(t.flakes[1].image.systems[0], "riscv64-linux");
	assert_int_equal(t.image.max_age, 10);
}

/* A flake's section starts from what was set for all. */
static void test_inherit(void **state)
{
	autosettings s = { 0 };
	struct err err = ERR_INIT;
	struct digest id;

	if (parse(&s,
		  "max-age = 1h\nsystems = a-linux b-linux\n"
		  "[flake x]\nurl = path:/srv/x\ncompression = none\n",
		  &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(s.flakes[0].image.max_age, 3600);
	assert_int_equal(s.flakes[0].image.nr_systems, 2);
	assert_int_equal(s.flakes[0].image.compression, COMPRESSION_NONE);
	assert_int_equal(s.image.compression, COMPRESSION_GZIP);
	digest_of("path:/srv/x", 11, &id);
	assert_true(digest_equal(&id, &s.flakes[0].id));
}

#define NO_SCHEME                                                              \
	"f:2: url: a flake reference is an absolute path or begins with "      \
	"path:, git:, git+https:, git+http:, git+ssh:, git+file:, github:, "   \
	"gitlab:, sourcehut:, https: or http:"

static const struct {
	const char *text, *message;
} wrong[] = {
	{ "max-ages = 1s", "f:1: unknown key max-ages" },
	{ "\n\nMax-age = 1s", "f:3: what is before the '=' is no key" },
	{ "= 1s", "f:1: what is before the '=' is no key" },
	{ "max-age = 1s\n#\nmax-age = 1s",
	  "f:3: max-age is set already in line 1" },
	{ "max-age", "f:1: a line is key = value, [flake] or [flake NAME]" },
	{ "max-age =", "f:1: max-age has no value" },
	{ "max-age =   \nmax-builds = 1", "f:1: max-age has no value" },
	{ "max-age = # 1s", "f:1: max-age has no value" },
	{ "max-age = 10", "f:1: max-age is a time with its unit, such as 10s, "
			  "5m, 1h or 1d" },
	{ "max-age = s", "f:1: max-age is a time with its unit, such as 10s, "
			 "5m, 1h or 1d" },
	{ "max-age = 1 s", "f:1: max-age is a time with its unit, such as 10s, "
			   "5m, 1h or 1d" },
	{ "max-age = -1s", "f:1: max-age is a time with its unit, such as 10s, "
			   "5m, 1h or 1d" },
	{ "max-age = 1w", "f:1: max-age is a time with its unit, such as 10s, "
			  "5m, 1h or 1d" },
	{ "max-age = 99999999999999999999d",
	  "f:1: max-age is a time with its unit, such as 10s, 5m, 1h or 1d" },
	{ "max-age = 999999999999999999d",
	  "f:1: max-age is a time with its unit, such as 10s, 5m, 1h or 1d" },
	{ "max-age = 366d", "f:1: max-age is 0s to 365d" },
	{ "refresh-timeout = 0s", "f:1: refresh-timeout is 1s to 1h" },
	{ "cache-size = 20", "f:1: cache-size is a size with its unit, such as "
			     "512M or 20G" },
	{ "cache-size = 20g", "f:1: cache-size is a size with its unit, such "
			      "as 512M or 20G" },
	{ "cache-size = 20GB", "f:1: cache-size is a size with its unit, such "
			       "as 512M or 20G" },
	{ "eval-memory = 1M", "f:1: eval-memory is 64M to 16T" },
	{ "max-builds = 2x", "f:1: max-builds is a number" },
	{ "max-builds = 0", "f:1: max-builds is 1 to 1024" },
	{ "max-layers = 1", "f:1: max-layers is 2 to 125" },
	{ "max-layers = 126", "f:1: max-layers is 2 to 125" },
	{ "sandbox-eval = true", "f:1: sandbox-eval is yes or no" },
	{ "compression = xz", "f:1: compression is gzip, zstd or none" },
	{ "compression = gzi", "f:1: compression is gzip, zstd or none" },
	{ "sendfile = yes",
	  "f:1: sendfile is x-sendfile, x-accel-redirect or none" },
	{ "systems = linux",
	  "f:1: systems are such as x86_64-linux, divided by blanks" },
	{ "systems = a-linux, b-linux",
	  "f:1: systems are such as x86_64-linux, divided by blanks" },
	{ "systems = a-linux b-",
	  "f:1: systems are such as x86_64-linux, divided by blanks" },
	{ "systems = a-linux a-linux", "f:1: systems has one of them twice" },
	{ "cache-dir = var", "f:1: cache-dir is an absolute path" },
	{ "url = github:a/b", "f:1: url belongs in a [flake] section" },
	{ "[flake]\nurl = github:a/b\nmax-builds = 1",
	  "f:3: max-builds is for all flakes: it belongs before the first "
	  "section" },
	{ "[flake", "f:1: a section's line ends with ']'" },
	{ "[", "f:1: a section's line ends with ']'" },
	{ "[]", "f:1: a section is [flake] or [flake NAME]" },
	{ "[flakes]", "f:1: a section is [flake] or [flake NAME]" },
	{ "[flake] x", "f:1: a section's line ends with ']'" },
	{ "[flake a/b]", "f:1: a flake's name is lower-case letters and "
			 "digits, with single '.', '_', '__' or '-' inside" },
	{ "[flake Blog]", "f:1: a flake's name is lower-case letters and "
			  "digits, with single '.', '_', '__' or '-' inside" },
	{ "[flake ..]", "f:1: a flake's name is lower-case letters and "
			"digits, with single '.', '_', '__' or '-' inside" },
	{ "\n[flake]\n\n", "f:2: [flake] has no url" },
	{ "[flake b]\n[flake]\nurl = github:a/b", "f:1: [flake b] has no url" },
	{ "[flake]\nurl = github:a/b\n[flake]",
	  "f:3: [flake] stands already in line 1" },
	{ "[flake a]\nurl = github:a/b\n[flake  a ]",
	  "f:3: [flake a] stands already in line 1" },
	{ "[flake]\nurl = nixpkgs", NO_SCHEME },
	{ "[flake]\nurl = ./here", NO_SCHEME },
	{ "[flake]\nurl = flake:nixpkgs", NO_SCHEME },
	{ "[flake]\nurl = path:./here",
	  "f:2: url: an absolute path follows path:" },
	{ "[flake]\nurl = --option", NO_SCHEME },
	{ "[flake]\nurl = github:a/b x",
	  "f:2: url has a blank in it: in git+file: and others it is written "
	  "%20" },
	{ "[flake]\nurl = github:a/b#x",
	  "f:2: url: a flake reference here has no '#': the repository name "
	  "says which output" },
	{ "[flake]\nurl = github:a/b\ncredentials = netrc",
	  "f:3: credentials is an absolute path" },
	{ "max-age = 1s\001", "f:1: a control character" },
};

static void test_wrong(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct err err = ERR_INIT;
		autosettings s = { 0 };

		check(wrong[i].text, parse(&s, wrong[i].text, &err) < 0);
		check(wrong[i].text, err.code == ERR_MALFORMED);
		check_str(wrong[i].text, err.msg, wrong[i].message);
	}
}

static void test_nul(void **state)
{
	struct err err = ERR_INIT;
	autosettings s = { 0 };

	assert_int_equal(settings_parse(&s, "max-age = 1s\0", 13, "f", &err),
			 -1);
	assert_string_equal(err.msg, "f:1: a control character");
}

/* A password in a wrong place is not shown. */
static void test_password(void **state)
{
	static const char *const texts[] = {
		"https://u:secret@h/",
		"https://u:secret@h/?a=b",
		"[https://u:secret@h/]",
		"[flake https://u:secret@h/]",
		"cache-dir = https://u:secret@h/",
		"systems = https://u:secret@h/",
		"max-age = https://u:secret@h/",
		"[flake]\nurl = git+https://u:secret@h/ x",
		"[flake]\nurl = u:secret@h/#x",
		"[flake]\nurl = U:secret@h/",
		"[flake]\nurl = git+https://u:secret@h/\ncompose = secret",
		"[flake]\nurl = git+https://u:secret@h/\n[flake]",
	};
	autosettings good = { 0 };
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		autosettings s = { 0 };

		check(texts[i], parse(&s, texts[i], &err) < 0);
		check(err.msg, !strstr(err.msg, "secret"));
	}
	assert_int_equal(
		parse(&good, "[flake]\nurl = git+https://u:s@h/", &err), 0);
}

static void test_load(void **state)
{
	char name[] = "/tmp/test_settings.XXXXXX";
	static const char text[] = "max-builds = 9\n";
	autosettings s = { 0 }, t = { 0 };
	struct err err = ERR_INIT;
	autofree char *path = NULL;
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
	close(fd);
	assert_int_equal(settings_load(&s, name, &path, &err), 0);
	assert_string_equal(path, name);
	assert_int_equal(s.max_builds, 9);
	unlink(name);
	assert_int_equal(settings_load(&t, name, NULL, &err), -1);
	assert_int_equal(err.code, ERR_SYSTEM);
	assert_int_equal(err.sys, ENOENT);
	assert_ptr_equal(strstr(err.msg, name), err.msg);
}

static void test_find_flake(void **state)
{
	static const char both[] = "[flake]\nurl = github:a/b\n"
				   "[flake blog]\nurl = github:a/c\n";
	static const struct {
		const char *name, *flake, *attribute;
	} cases[] = {
		{ "web", "", "web" },	    { "web/blog", "", "web/blog" },
		{ "blog", "blog", "" },	    { "blog/x/y", "blog", "x/y" },
		{ "blo", "", "blo" },	    { "blogs", "", "blogs" },
		{ "blog.x", "", "blog.x" },
	};
	struct repository_name name;
	autosettings s = { 0 }, t = { 0 };
	struct err err = ERR_INIT;
	const char *attribute;

	assert_int_equal(parse(&s, both, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *text = cases[i].name;
		const struct flake_settings *flake;

		assert_int_equal(
			repository_name_parse(&name, text, strlen(text), &err),
			0);
		flake = settings_find_flake(&s, &name, &attribute);
		check(text, flake);
		check_str(text, flake->name, cases[i].flake);
		check_str(text, attribute, cases[i].attribute);
	}
	assert_int_equal(parse(&t, strstr(both, "[flake blog]"), &err), 0);
	assert_int_equal(repository_name_parse(&name, "web", 3, &err), 0);
	assert_null(settings_find_flake(&t, &name, &attribute));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_inherit),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_password),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_find_flake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
