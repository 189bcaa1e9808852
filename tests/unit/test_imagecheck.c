// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "common/imagework.h"
#include "tests/unit/fakeprogram.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

#define SAID "sha256-LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE="
/* The same, as it is kept. */
#define HASH                                                                   \
	"sha256:2d711642b726b04401627ca9fbac32f5"                              \
	"c8530fb1903cc4db02258717921a4881"
#define OTHER                                                                  \
	"sha256:00000000000000000000000000000000"                              \
	"00000000000000000000000000000000"
#define PATH "/nix/store/00000000000000000000000000000000-x"
#define ELSE "/nix/store/11111111111111111111111111111111-y"

/*
 * Layers came out otherwise: of which store path is that? As Nix's database
 * and `nix-store --verify-path` have it, which programs here stand in for.
 */
static void test_culprit(void **state)
{
	static const struct {
		const char *name, *path, *hash, *verify;
		enum err_code code;
		const char *says;
	} cases[] = {
		{ "all as it was", PATH, HASH, "exit 0", ERR_MALFORMED,
		  "the layer is another" },
		{ "another hash", PATH, OTHER, "exit 0", ERR_REFUSED,
		  PATH " has other contents now: its hash is " HASH },
		{ "another closure", ELSE, HASH, "exit 0", ERR_REFUSED,
		  ELSE " is not in the closure any more" },
		{ "changed on disk", PATH, HASH,
		  "echo \"error: path '$2' was modified\" >&2; exit 1",
		  ERR_REFUSED, "path '" PATH "' was modified" },
		{ "Nix says nothing", NULL, HASH, "exit 0", ERR_MALFORMED,
		  "the layer is another" },
	};
	char *folder = scratch_make();

	fakeprogram_use(folder);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct layer_path path = {
			.path = xstrdup(cases[i].path ? cases[i].path : PATH),
			.nar_hash = xstrdup(cases[i].hash),
		};
		struct layer_input input = { .paths = &path, .nr_paths = 1 };
		struct record record = { .output_path = xstrdup(PATH),
					 .inputs = &input,
					 .nr = 1 };
		struct image_work work = { .nix = NIX_INIT };
		struct err err = ERR_INIT;

		fakeprogram_write(folder, "nix",
				  cases[i].path
					  ? "echo '[{\"path\":\"" PATH
					    "\",\"narHash\":\"" SAID
					    "\",\"narSize\":5,\"references\":"
					    "[],\"registrationTime\":7,"
					    "\"valid\":true}]'"
					  : "exit 1");
		fakeprogram_write(folder, "nix-store", cases[i].verify);
		err_set(&err, ERR_MALFORMED, "the layer is another");
		image_name_culprit(&work, &record, &err);
		check(cases[i].name, err.code == cases[i].code);
		check(err.msg, strstr(err.msg, cases[i].says));
		check(err.msg, strstr(err.msg, "the layer is another"));
		nix_release(&work.nix);
		free(path.path);
		free(path.nar_hash);
		free(record.output_path);
	}
	scratch_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_culprit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
