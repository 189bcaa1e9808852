// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/nix.h"
#include "common/pin.h"
#include "tests/unit/fakeprogram.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

#define HASH "sha256-LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE="
#define PATH "/nix/store/00000000000000000000000000000000-x"
#define REV  "0123456789abcdef0123456789abcdef01234567"

static char *folder;

static int setup(void **state)
{
	folder = scratch_make();
	fakeprogram_use(folder);
	return 0;
}

static int teardown(void **state)
{
	scratch_remove(folder);
	return 0;
}

static void nix_says(const char *text)
{
	autofree char *script = xasprintf("cat <<'END'\n%s\nEND", text);

	fakeprogram_write(folder, "nix", script);
}

static void test_closure_of_any_version(void **state)
{
	static const struct {
		const char *name, *says;
	} cases[] = {
		{ "up to Nix 2.18: an array",
		  "[{\"path\":\"" PATH "\",\"narHash\":\"" HASH "\","
		  "\"narSize\":5,\"references\":[],"
		  "\"registrationTime\":7,\"valid\":true}]" },
		{ "Nix 2.19 on, and Lix: an object",
		  "{\"" PATH "\":{\"narHash\":\"" HASH "\",\"narSize\":5,"
		  "\"references\":[\"" PATH "\"],\"registrationTime\":7,"
		  "\"ca\":null}}" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autonix nix = NIX_INIT;
		autoclosure closure = CLOSURE_INIT;
		struct err err = ERR_INIT;

		nix_says(cases[i].says);
		if (nix_closure(&nix, PATH, &closure, &err))
			fail_msg("%s: %s", cases[i].name, err.msg);
		check(cases[i].name, closure.nr == 1);
		check_str(cases[i].name, closure.paths[0].path, PATH);
		check(cases[i].name, closure.paths[0].nar_size == 5);
		check(cases[i].name, closure.paths[0].nr_edges == 0);
	}
}

/* Nix is not asked: it would take some of these for options. */
static void test_realise_takes_derivations_alone(void **state)
{
	static const char drv[] = PATH ".drv";
	static const struct {
		const char *drv_path, *output, *says;
	} cases[] = {
		{ "--help", "out", "--help is no derivation" },
		{ "-vv", "out", "-vv is no derivation" },
		{ "", "out", " is no derivation" },
		{ "/etc/passwd", "out", "/etc/passwd is no derivation" },
		{ PATH, "out", PATH " is no derivation" },
		{ PATH "/x.drv", "out", PATH "/x.drv is no derivation" },
		{ "/nix/store/../x.drv", "out", "/x.drv is no derivation" },
		{ drv, "", "'' is no name of an output" },
		{ drv, "out,dev", "'out,dev' is no name of an output" },
		{ drv, "*", "'*' is no name of an output" },
	};

	fakeprogram_write(folder, "nix-store", "echo asked >&2; exit 1");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autonix nix = NIX_INIT;
		autostrbuf path = STRBUF_INIT;
		struct err err = ERR_INIT;

		check(cases[i].says,
		      nix_realise_output(&nix, cases[i].drv_path,
					 cases[i].output, "/nonexistent/root",
					 &path, &err) == -1);
		check(cases[i].says, err.code == ERR_NIX);
		if (!strstr(err.msg, cases[i].says))
			fail_msg("%s: %s", cases[i].says, err.msg);
	}
}

static void test_errors(void **state)
{
	static const struct {
		const char *name, *script, *says, *not ;
	} cases[] = {
		{ "the last error, without colours",
		  "printf 'warning: x\\n\\033[31;1merror:\\033[0m first\\n"
		  "error: the one\\n  at here\\n' >&2; exit 1",
		  "error: the one", "first" },
		{ "no password",
		  "echo 'error: https://me:geheim@host/x: 401' >&2; exit 1",
		  "401", "geheim" },
		{ "nothing said", "exit 3", "status 3", NULL },
		{ "killed", "kill -9 $$", "signal 9", NULL },
		{ "no JSON", "echo hello", "nix eval", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autonix nix = NIX_INIT;
		autojson *json = NULL;
		struct err err = ERR_INIT;

		fakeprogram_write(folder, "nix", cases[i].script);
		check(cases[i].name,
		      nix_eval(&nix, "x#y", "z", &json, &err) == -1);
		if (!strstr(err.msg, cases[i].says) ||
		    (cases[i].not &&strstr(err.msg, cases[i].not )))
			fail_msg("%s: %s", cases[i].name, err.msg);
	}
}

static void test_quote(void **state)
{
	autostrbuf out = STRBUF_INIT;

	nix_quote(&out, "a\"b\\c${d}");
	assert_string_equal(out.buf, "\"a\\\"b\\\\c\\${d}\"");
}

static void test_pin(void **state)
{
	static const struct {
		const char *name, *says, *url, *revision;
		bool reproducible, moves;
	} cases[] = {
		{ "a commit",
		  "{\"url\":\"git+file:///r?rev=" REV "\",\"revision\":\"" REV
		  "\",\"path\":\"" PATH "\",\"locked\":{\"narHash\":\"" HASH
		  "\"},\"locks\":{\"nodes\":{\"root\":{}}}}",
		  "git+file:///r?rev=" REV, REV, true, false },
		{ "a dirty tree is its copy in the store",
		  "{\"url\":\"git+file:///r\",\"path\":\"" PATH
		  "\",\"locked\":{\"lastModified\":7,\"narHash\":\"" HASH
		  "\"},\"locks\":{\"nodes\":{\"root\":{}}}}",
		  "path:" PATH "?lastModified=7&narHash=sha256-LXEWQrcmsEQBYnyp"
		  "%2B6wy9chTD7GQPMTbAiWHF5IaSIE%3D",
		  "", false, false },
		{ "a dirty tree's subfolder is asked of as it is",
		  "{\"url\":\"git+file:///r?dir=d\",\"path\":\"" PATH
		  "\",\"locked\":{\"dir\":\"d\",\"narHash\":\"" HASH
		  "\"},\"locks\":{\"nodes\":{\"root\":{}}}}",
		  "git+file:///r?dir=d", "", false, true },
		{ "no narHash: the store path is as good",
		  "{\"url\":\"u\",\"revision\":\"" REV "\",\"path\":\"" PATH
		  "\",\"locked\":{},\"locks\":{\"nodes\":{\"root\":{}}}}",
		  "u", REV, true, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autonix nix = NIX_INIT;
		autopin pin = FLAKE_PIN_INIT;
		struct err err = ERR_INIT;

		nix_says(cases[i].says);
		if (pin_now(&nix, "any", &pin, &err))
			fail_msg("%s: %s", cases[i].name, err.msg);
		check_str(cases[i].name, pin.url, cases[i].url);
		check_str(cases[i].name, pin.revision, cases[i].revision);
		check(cases[i].name, pin.reproducible == cases[i].reproducible);
		check(cases[i].name, pin.moves == cases[i].moves);
		check(cases[i].name, pin.reproducible == !pin.reason);
	}
}

static void test_pin_malformed(void **state)
{
	static const char *const cases[] = {
		"[]",
		"{}",
		"{\"url\":7}",
		"{\"url\":\"u\",\"path\":\"p\",\"locked\":[],\"locks\":{}}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autonix nix = NIX_INIT;
		autopin pin = FLAKE_PIN_INIT;
		struct err err = ERR_INIT;

		nix_says(cases[i]);
		check(cases[i], pin_now(&nix, "any", &pin, &err) == -1);
		check(cases[i], err.code == ERR_MALFORMED);
	}
}

static void test_complete(void **state)
{
	autonix nix = NIX_INIT;
	autopin pin = FLAKE_PIN_INIT;
	struct err err = ERR_INIT;

	pin_revision(&pin, xstrdup("git+https://h/r?rev=" REV), REV);
	assert_null(pin.nar_hash);
	nix_says("{\"url\":\"other\",\"revision\":\"" REV "\",\"path\":\"" PATH
		 "\",\"locked\":{\"narHash\":\"" HASH "\"},"
		 "\"locks\":{\"nodes\":{\"root\":{}}}}");
	assert_int_equal(pin_complete(&nix, &pin, &err), 0);
	assert_string_equal(pin.nar_hash, HASH);
	assert_string_equal(pin.url, "git+https://h/r?rev=" REV);
	assert_true(pin.reproducible);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_closure_of_any_version),
		cmocka_unit_test(test_realise_takes_derivations_alone),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_pin),
		cmocka_unit_test(test_pin_malformed),
		cmocka_unit_test(test_complete),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
