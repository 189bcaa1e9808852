// SPDX-License-Identifier: MIT
/* An image whose blobs are gone is made again by its digest: the same. */
#include "tests/unit/check.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/composition.h"
#include "tests/unit/fakeflake.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

/* The image at latest, of which a layer and more may be lost. */
struct fixture {
	struct fakeflake flake;
	struct image_head head;
	char name[DIGEST_STR_SIZE];
	struct digest layer;
};

static void make_image(struct fixture *f, const char *settings)
{
	autorecord record = RECORD_INIT;
	struct err err;

	fakeflake_init(&f->flake, settings);
	if (fakeflake_build(&f->flake, "latest", &f->head, &err))
		fail_msg("%s", err.msg);
	digest_str(&f->head.manifest.digest, f->name);
	fakeflake_record(&f->flake, &f->head, &record);
	f->layer = record.layers[0].blob.digest;
	fakeflake_forget(&f->flake);
}

static int setup(void **state)
{
	*state = xcalloc(1, sizeof(struct fixture));
	make_image(*state, "");
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fakeflake_release(&f->flake);
	free(f);
	return 0;
}

/* Roots of processes, which none leaves behind. */
static size_t count_roots(const struct fixture *f)
{
	autofree char *path = xasprintf("%s/cache/roots", f->flake.dir);
	DIR *dir = opendir(path);
	const struct dirent *entry;
	size_t nr = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		nr += !strncmp(entry->d_name, "builder.", 8);
	closedir(dir);
	return nr;
}

static void check_remade(struct fixture *f)
{
	struct image_head head;
	struct err err;

	if (fakeflake_build(&f->flake, f->name, &head, &err))
		fail_msg("%s", err.msg);
	assert_true(
		digest_equal(&head.manifest.digest, &f->head.manifest.digest));
	assert_true(cache_has_blob(&f->flake.cache, &f->layer, NULL));
	assert_true(
		cache_has_blob(&f->flake.cache, &head.manifest.digest, NULL));
	assert_int_equal(count_roots(f), 0);
}

static void check_fails(struct fixture *f, enum err_code code, const char *says)
{
	struct image_head head;
	struct err err;

	check(says, fakeflake_build(&f->flake, f->name, &head, &err) == -1);
	if (err.code != code || !strstr(err.msg, says))
		fail_msg("%s: %s, not %s", err_code_name(err.code), err.msg,
			 says);
	check(says,
	      !cache_has_blob(&f->flake.cache, &f->head.manifest.digest, NULL));
	check(says, !count_roots(f));
}

static void lose(struct fixture *f)
{
	fakeflake_lose(&f->flake, &f->layer);
	fakeflake_lose(&f->flake, &f->head.manifest.digest);
}

static void test_whole(void **state)
{
	struct fixture *f = *state;

	check_remade(f);
	assert_int_equal(fakeflake_asked(&f->flake, "nix"), 0);
}

static void test_remade(void **state)
{
	struct fixture *f = *state;

	lose(f);
	check_remade(f);
	/* Evaluated below the set that it was found in. */
	assert_int_equal(fakeflake_asked(&f->flake,
					 "set: (set.\"hello\").drvPath -- "
					 "git+https://example.org/infra"),
			 1);
	assert_int_equal(
		fakeflake_asked(&f->flake, "#packages." FAKE_SYSTEM "\n"), 1);
}

/* Names that are no identifiers, and what a conf is a part of. */
static void test_attribute_paths(void **state)
{
	static const struct {
		const char *path, *asks;
	} cases[] = {
		{ "packages." FAKE_SYSTEM ".a.b.conf",
		  "set: (set.\"a\".\"b\".\"conf\")" },
		{ "packages." FAKE_SYSTEM ".2048-game",
		  "set: (set.\"2048-game\")" },
		{ "packages." FAKE_SYSTEM ".\\\"a.b\\\".c",
		  "set: (set.\"a.b\".\"c\")" },
		{ "packages." FAKE_SYSTEM ".\\\"a\\\\\\\"b\\\"",
		  "set: (set.\"a\\\"b\")" },
		{ "packages." FAKE_SYSTEM, "set: (set).drvPath" },
	};
	struct fixture *f = *state;
	const char *now = "packages." FAKE_SYSTEM ".hello";

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fakeflake_forge(&f->flake, &f->head, now, cases[i].path);
		now = cases[i].path;
		lose(f);
		check_remade(f);
		check(cases[i].path, fakeflake_asked(&f->flake, cases[i].asks));
		fakeflake_forget(&f->flake);
	}
}

static void test_composition(void **state)
{
	struct fixture *f = *state;
	autofree char *function = composition_function("+a+b");

	fakeflake_forge(&f->flake, &f->head, "\"drvPath\"",
			"\"composition\":\"+a+b\",\"drvPath\"");
	fakeflake_says(&f->flake, "probe." FAKE_SYSTEM, "\"" FAKE_DRV "\"");
	lose(f);
	check_remade(f);
	assert_int_equal(fakeflake_asked(&f->flake, function), 1);
}

/* Each says what cannot be had again; nothing is served. */
static void test_refused(void **state)
{
	static const struct {
		const char *text, *with; /* in the record */
		enum err_code code;
		const char *says;
	} cases[] = {
		{ "\"reproducible\":true",
		  "\"reproducible\":false,\"reason\":\"a dirty tree\"",
		  ERR_REFUSED,
		  FAKE_OUTPUT " is gone from the Nix store and cannot be "
			      "built again: a dirty tree" },
		{ "\"reproducible\":true", "\"reproducible\":false",
		  ERR_REFUSED, "cannot be built again: it says so" },
		{ "\"compression\":\"", "\"compression\":\"old-", ERR_REFUSED,
		  "which this flakehub does not have" },
		{ "\"revision\":\"", "\"revision\":\"/", ERR_MALFORMED, "tag" },
		{ "-hello\",\"kind\"", "-hallo\",\"kind\"", ERR_REFUSED,
		  "gives " FAKE_OUTPUT " now, and the image was made of" },
		{ "\\\"linux\\\"", "\\\"Linux\\\"", ERR_REFUSED,
		  "another manifest than its name says" },
		{ "\"version\":1", "\"version\":2", ERR_REFUSED,
		  "has version 2" },
		{ "\"tarSize\":", "\"size of the tar\":", ERR_MALFORMED,
		  "tarSize" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture f = { .name = "" };

		make_image(&f, "");
		fakeflake_forge(&f.flake, &f.head, cases[i].text,
				cases[i].with);
		lose(&f);
		check_fails(&f, cases[i].code, cases[i].says);
		fakeflake_release(&f.flake);
	}
}

/* What Nix says instead of the derivation, or of its output. */
static void test_nix_fails(void **state)
{
	struct fixture *f = *state;

	lose(f);
	fakeflake_says(&f->flake, "again." FAKE_SYSTEM, "null");
	check_fails(f, ERR_NIX,
		    "packages." FAKE_SYSTEM ".hello of " FAKE_REV
		    " is no derivation");
	fakeflake_fails(&f->flake, "again." FAKE_SYSTEM, "error: it throws\n");
	check_fails(f, ERR_NIX, "it throws");
	fakeflake_says(&f->flake, "again." FAKE_SYSTEM, "\"" FAKE_DRV "\"");
	fakeflake_fails(&f->flake, "output.hello", "error: no such thing\n");
	check_fails(f, ERR_NIX, "no such thing");
}

/* What is known of them beside the record, see cache.h. */
static void forget_layers(struct fixture *f)
{
	scratch_remove(xasprintf("%s/cache/layers", f->flake.dir));
}

/* The store has other bytes: Nix says which path, if it sees that. */
static void test_other_bytes(void **state)
{
	struct fixture *f = *state;

	lose(f);
	fakeflake_write(&f->flake, "hello", "#!/bin/sh\nexit\n");
	check_fails(f, ERR_REFUSED, "it was made again and is sha256:");
	forget_layers(f);
	check_fails(f, ERR_REFUSED,
		    "layer 0 of the image is made of other bytes now");
	forget_layers(f);
	fakeflake_fails(&f->flake, "verify",
			"error: path '" FAKE_OUTPUT "' was modified\n");
	check_fails(f, ERR_REFUSED, FAKE_OUTPUT);
	assert_int_equal(fakeflake_asked(&f->flake, "--verify-path"), 3);
	fakeflake_write(&f->flake, "hello", "#!/bin/sh\n");
	forget_layers(f);
	check_remade(f);
}

static void test_of_another_flake(void **state)
{
	struct fixture *f = *state;
	struct image_head head;
	struct err err;

	f->flake.settings.flakes[0].id.raw[0] ^= 1;
	lose(f);
	check_fails(f, ERR_UNKNOWN, "of another flake");
	snprintf(f->name, sizeof(f->name), "sha256:%064d", 7);
	assert_int_equal(fakeflake_build(&f->flake, f->name, &head, &err), -1);
	assert_int_equal(err.code, ERR_UNKNOWN);
	assert_non_null(strstr(err.msg, "nothing is known of what"));
}

/* Whoever makes layers; each that is made is evicted at once. */
struct thief {
	struct fixture *fixture;
	size_t stolen;
};

static void steal(void *arg, bool made)
{
	struct thief *thief = arg;

	(void)made;
	if (cache_has_blob(&thief->fixture->flake.cache, &thief->fixture->layer,
			   NULL)) {
		fakeflake_lose(&thief->fixture->flake, &thief->fixture->layer);
		thief->stolen++;
	}
}

static void test_evicted_meanwhile(void **state)
{
	struct fixture *f = *state;
	struct thief thief = { .fixture = f };
	const struct image_progress progress = { .layer = steal,
						 .arg = &thief };

	lose(f);
	f->flake.build.progress = &progress;
	check_fails(f, ERR_BUSY,
		    "layers went from the cache while others were made");
	assert_int_equal(thief.stolen, 3);
	f->flake.build.progress = NULL;
	check_remade(f);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_whole),
		TEST(test_remade),
		TEST(test_attribute_paths),
		TEST(test_composition),
		cmocka_unit_test(test_refused),
		TEST(test_nix_fails),
		TEST(test_other_bytes),
		TEST(test_of_another_flake),
		TEST(test_evicted_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
