// SPDX-License-Identifier: MIT
/* What comes of a pull, told by a Nix that says what a test has it say. */
#include "tests/unit/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/strbuf.h"
#include "tests/unit/fakeflake.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

static int setup(void **state)
{
	struct fakeflake *f = xcalloc(1, sizeof(*f));

	fakeflake_init(f, "max-age = 1h\nerror-max-age = 1h\n");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	fakeflake_release(*state);
	free(*state);
	return 0;
}

static struct digest key_of(const struct fakeflake *f, const char *tag)
{
	struct reference reference;
	struct digest key;
	struct err err;

	assert_int_equal(reference_parse(&reference, tag, strlen(tag), &err),
			 0);
	build_key(&f->name, &reference, &key);
	return key;
}

/* A known revision needs Nix no more, nor git if the tag is the revision. */
static void test_known(void **state)
{
	struct fakeflake *f = *state;
	struct image_head first, again;

	fakeflake_build_ok(f, "latest", &first);
	assert_true(fakeflake_asked(f, "nix-store --realise"));
	fakeflake_forget(f);
	fakeflake_build_ok(f, "main", &again);
	assert_true(
		digest_equal(&first.manifest.digest, &again.manifest.digest));
	assert_true(fakeflake_asked(f, "git ls-remote"));
	assert_false(fakeflake_asked(f, "nix"));
	fakeflake_forget(f);
	fakeflake_build_ok(f, FAKE_REV, &again);
	assert_false(fakeflake_asked(f, "n"));
}

/* What another made of it while we waited for its lock is ours. */
static void test_made_by_another(void **state)
{
	struct fakeflake *f = *state;
	struct digest key = key_of(f, "latest");
	struct tag_record record;
	struct failure failure = { .when = time(NULL) + 100 };
	struct image_head head;
	struct err err = ERR_INIT;

	fakeflake_build_ok(f, "latest", &head);
	fakeflake_forget(f);
	assert_int_equal(cache_get_tag(&f->cache, &f->name, &f->reference.tag,
				       &record, &err),
			 0);
	record.resolved += 100;
	assert_int_equal(cache_put_tag(&f->cache, &f->name, &f->reference.tag,
				       &record, &err),
			 0);
	fakeflake_build_ok(f, "latest", &head);
	assert_false(fakeflake_asked(f, "n"));
	/* Not so if its manifest is gone, or if it was another flake's. */
	fakeflake_lose(f, &head.manifest.digest);
	fakeflake_build_ok(f, "latest", &head);
	assert_true(fakeflake_asked(f, "nix"));
	err_set(&failure.err, ERR_NIX, "it failed there");
	assert_int_equal(cache_put_failure(&f->cache, &key, &failure, &err), 0);
	record.image.flake = key;
	assert_int_equal(cache_put_tag(&f->cache, &f->name, &f->reference.tag,
				       &record, &err),
			 0);
	fakeflake_forget(f);
	fakeflake_build_ok(f, "latest", &head);
	assert_true(fakeflake_asked(f, "git"));
	failure.flake = f->settings.flakes[0].id;
	assert_int_equal(cache_put_failure(&f->cache, &key, &failure, &err), 0);
	fakeflake_build_fails(f, "latest", ERR_NIX, "it failed there");
}

/* A failure is recorded, with the log; a success clears it. */
static void test_failure(void **state)
{
	struct fakeflake *f = *state;
	struct digest key = key_of(f, "latest");
	char hex[DIGEST_HEX_SIZE];
	autofree char *log = xasprintf("%s/cache/builds/%s/log", f->dir,
				       digest_hex(&key, hex));
	struct failure failure;
	struct image_head head;
	struct err err = ERR_INIT;

	fakeflake_fails(f, "output.hello", "error: builder failed\n");
	fakeflake_build_fails(f, "latest", ERR_NIX, "builder failed");
	assert_int_equal(cache_get_failure(&f->cache, &key, &failure, &err), 0);
	assert_string_equal(failure.err.msg, "error: builder failed");
	assert_int_equal(access(log, F_OK), 0);
	fakeflake_add(f, FAKE_SYSTEM, "hello", "#!/bin/sh\n");
	fakeflake_build_ok(f, "latest", &head);
	assert_int_equal(cache_get_failure(&f->cache, &key, &failure, &err),
			 -1);
}

/* A failure that cannot be recorded is still the one that is told. */
static void test_failure_that_cannot_be_recorded(void **state)
{
	struct fakeflake *f = *state;
	autofree char *builds = xasprintf("%s/cache/builds", f->dir);

	assert_int_equal(rmdir(builds), 0);
	scratch_write(builds, "", 0);
	fakeflake_fails(f, "output.hello", "error: builder failed\n");
	fakeflake_build_fails(f, "latest", ERR_NIX, "builder failed");
}

/* Nix's garbage collector took the derivation: so often, then no more. */
static void test_collected(void **state)
{
	struct fakeflake *f = *state;

	fakeflake_fails(f, "output.hello", "error: path is not valid\n");
	fakeflake_build_fails(f, "latest", ERR_NIX, "not valid");
	assert_int_equal(access(FAKE_DRV, F_OK), -1);
	assert_int_equal(fakeflake_asked(f, "nix-store --realise"),
			 IMAGE_ATTEMPTS);
}

/* What the flake lacks is unknown; what Nix lacks later is an error. */
static void test_unknown(void **state)
{
	struct fakeflake *f = *state;

	fakeflake_says(f, "probe." FAKE_SYSTEM,
		       "{\"found\":false,\"depth\":0,\"names\":[\"hallo\"]}");
	fakeflake_build_fails(f, "latest", ERR_UNKNOWN, "nearest: hallo");
	fakeflake_build_fails(f, "nonesuch", ERR_UNKNOWN, "nonesuch");
	fakeflake_says(f, "probe." FAKE_SYSTEM, "{\"found\":7}");
	fakeflake_build_fails(f, "main", ERR_MALFORMED, "found");
}

static void test_no_flake(void **state)
{
	struct fakeflake *f = *state;
	autosettings none;

	settings_init(&none);
	f->build.settings = &none;
	fakeflake_build_fails(f, "latest", ERR_UNKNOWN,
			      "no flake is set for hello");
}

/* An output's closure must have it, and its tree must be in the store. */
static void test_bad_output(void **state)
{
	struct fakeflake *f = *state;
	struct image_head head;

	fakeflake_says(f, "closure.hello", "[]");
	fakeflake_build_fails(f, "latest", ERR_NIX,
			      "the closure of " FAKE_OUTPUT);
	fakeflake_says(f, "closure.hello", "{");
	fakeflake_build_fails(f, "latest", ERR_MALFORMED, "nix path-info");
	fakeflake_says(f, "output.hello", "/nix/store/" FAKE_HASH "-gone");
	fakeflake_add(f, "other", "gone", "");
	fakeflake_says(f, "closure.gone",
		       "[{\"path\":\"/nix/store/" FAKE_HASH "-gone\","
		       "\"narHash\":\"sha256-"
		       "LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=\","
		       "\"narSize\":1,\"references\":[],"
		       "\"registrationTime\":1}]");
	fakeflake_build_ok(f, "latest", &head);
}

/* A tag that git does not have may be what the image at latest calls itself. */
static void test_declared(void **state)
{
	struct fakeflake *f = *state;
	struct image_head head, declared;
	struct tag_record record;
	struct err err = ERR_INIT;

	fakeflake_build_fails(f, "v7", ERR_UNKNOWN, "v7");
	fakeflake_build_ok(f, "latest", &head);
	fakeflake_build_fails(f, "v7", ERR_UNKNOWN, "v7");
	fakeflake_forge(f, &head, "\"kind\"",
			"\"repoTag\":\"hello:v7\",\"kind\"");
	fakeflake_build_ok(f, "v7", &declared);
	assert_true(
		digest_equal(&head.manifest.digest, &declared.manifest.digest));
	assert_int_equal(cache_get_tag(&f->cache, &f->name, &f->reference.tag,
				       &record, &err),
			 0);
	assert_string_equal(record.revision, FAKE_REV);
	fakeflake_build_fails(f, "v8", ERR_UNKNOWN, "v8");
}

/* Of what latest failed to be a short time ago nothing is built anew. */
static void test_undeclared(void **state)
{
	struct fakeflake *f = *state;

	fakeflake_fails(f, "output.hello", "error: builder failed\n");
	fakeflake_build_fails(f, "v7", ERR_UNKNOWN, "v7");
	assert_true(fakeflake_asked(f, "nix-store --realise"));
	fakeflake_forget(f);
	fakeflake_build_fails(f, "v7", ERR_UNKNOWN, "v7");
	assert_false(fakeflake_asked(f, "nix-store --realise"));
}

/* What is told of a build, and what its log has. */
struct told {
	struct strbuf phases, lines, warnings;
	size_t layers, made;
	uint64_t bytes;
};

static void on_phase(void *arg, const char *phase)
{
	strbuf_addf(&((struct told *)arg)->phases, "%s.", phase);
}

static void on_line(void *arg, const char *line)
{
	strbuf_addf(&((struct told *)arg)->lines, "%s.", line);
}

static void on_layers(void *arg, size_t nr, uint64_t nar_bytes)
{
	struct told *told = arg;

	told->layers = nr;
	assert_int_equal(nar_bytes, strlen("#!/bin/sh\n") * 2);
}

static void on_bytes(void *arg, uint64_t tar_bytes)
{
	((struct told *)arg)->bytes += tar_bytes;
}

static void on_layer(void *arg, bool made)
{
	((struct told *)arg)->made += made;
}

static void on_warning(void *arg, const char *message)
{
	strbuf_addf(&((struct told *)arg)->warnings, "%s.", message);
}

static void test_progress(void **state)
{
	struct fakeflake *f = *state;
	struct told told = { .phases = STRBUF_INIT,
			     .lines = STRBUF_INIT,
			     .warnings = STRBUF_INIT };
	const struct image_progress progress = { .phase = on_phase,
						 .line = on_line,
						 .layers = on_layers,
						 .bytes = on_bytes,
						 .layer = on_layer,
						 .warning = on_warning,
						 .arg = &told };
	struct image_head head;

	f->build.progress = &progress;
	fakeflake_build_ok(f, "latest", &head);
	assert_string_equal(told.phases.buf,
			    "asking what the flake is now.evaluating."
			    "building.making layers.");
	assert_int_equal(told.layers, 2);
	assert_int_equal(told.made, 2);
	assert_true(told.bytes > 0);
	strbuf_release(&told.phases);
	strbuf_release(&told.lines);
	strbuf_release(&told.warnings);
}

/* Of an image that nothing is run in though it says what, in both. */
static void test_warning(void **state)
{
	static const char text[] =
		"warning: the image has no entrypoint: bin/gone, ";
	struct fakeflake *f = *state;
	struct told told = { .warnings = STRBUF_INIT };
	const struct image_progress progress = { .warning = on_warning,
						 .arg = &told };
	struct digest key = key_of(f, "latest");
	char hex[DIGEST_HEX_SIZE];
	autofree char *log = xasprintf("%s/cache/builds/%s/log", f->dir,
				       digest_hex(&key, hex));
	autofree char *dir = xasprintf("%s/" FAKE_HASH "-hello", f->store);
	autostrbuf logged = STRBUF_INIT;
	autoclose int fd = -1;
	struct image_head head;
	struct err err = ERR_INIT;

	fakeflake_says(f, "probe." FAKE_SYSTEM,
		       "{\"found\":true,\"part\":\"\",\"drvPath\":\"" FAKE_DRV
		       "\",\"output\":\"out\",\"mainProgram\":\"gone\"}");
	scratch_remove(xstrdup(dir));
	scratch_mkdir(dir);
	f->build.progress = &progress;
	fakeflake_build_ok(f, "latest", &head);
	assert_non_null(strstr(told.warnings.buf, strchr(text, ' ') + 1));
	fd = open(log, O_RDONLY | O_CLOEXEC);
	if (strbuf_read(&logged, fd, 10000, log, &err))
		fail_msg("%s", err.msg);
	assert_non_null(strstr(logged.buf, text));
	strbuf_release(&told.warnings);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_known),
		TEST(test_made_by_another),
		TEST(test_failure),
		TEST(test_failure_that_cannot_be_recorded),
		TEST(test_collected),
		TEST(test_unknown),
		TEST(test_no_flake),
		TEST(test_bad_output),
		TEST(test_declared),
		TEST(test_undeclared),
		TEST(test_progress),
		TEST(test_warning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
