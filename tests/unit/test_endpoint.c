// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/health.h"
#include "fcgi/endpoint.h"
#include "tests/unit/broken.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

#define SETTINGS                                                               \
	"max-age = 10s\nstale-while-revalidate = 20s\nstale-if-error = 1h\n"   \
	"error-max-age = 5s\n[flake]\nurl = github:me/infra\n"
#define MANIFEST "{\"a manifest\":0}"

struct fixture {
	char *dir;
	struct cache cache;
	struct settings settings;
	struct service service;
	struct repository_name name;
	struct tag_record record;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct image_head *image = &f->record.image;
	struct err err = ERR_INIT;
	const char *attribute;

	f->dir = scratch_make();
	if (cache_open(&f->cache, f->dir, CACHE_WRITE, &err) ||
	    settings_parse(&f->settings, SETTINGS, strlen(SETTINGS), "f",
			   &err) ||
	    repository_name_parse(&f->name, "web", 3, &err) ||
	    cache_put_blob(&f->cache, MANIFEST, strlen(MANIFEST),
			   &image->manifest.digest, &err))
		fail_msg("%s", err.msg);
	image->manifest.size = strlen(MANIFEST);
	image->manifest.media_type = MEDIA_MANIFEST;
	image->flake =
		settings_find_flake(&f->settings, &f->name, &attribute)->id;
	image->identity = image->flake;
	f->service.cache = &f->cache;
	f->service.settings = &f->settings;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	cache_release(&f->cache);
	settings_release(&f->settings);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

/* As Nix 2.26 says it. */
#define FAILURE                                                                \
	"error:\n       \u2026 while calling the 'throw' builtin\n\n"          \
	"       error: it failed"

/* Into the cache, as resolved age seconds ago, unless age is ABSENT. */
#define ABSENT (-99999)
static void put_image(struct fixture *f, const struct tag *tag, int64_t age)
{
	struct err err = ERR_INIT;

	if (age == ABSENT)
		return;
	f->record.resolved = time(NULL) - age;
	if (cache_put_record(&f->cache, &f->name, &f->record.image, "{}", 2,
			     &err) ||
	    cache_put_tag(&f->cache, &f->name, tag, &f->record, &err))
		fail_msg("%s", err.msg);
}

static void put_failure(struct fixture *f, const struct order *order,
			enum err_code code, int64_t age)
{
	struct failure failure = { .when = time(NULL) - age,
				   .flake = f->record.image.flake };
	struct err err = ERR_INIT;
	struct digest key;

	if (age == ABSENT)
		return;
	err_set(&failure.err, code, FAILURE);
	order_key(order, &key);
	if (cache_put_failure(&f->cache, &key, &failure, &err))
		fail_msg("%s", err.msg);
}

struct scenario {
	const char *name;
	const char *tag;
	int64_t age;	     /* of the image */
	enum err_code code;  /* of the recorded failure */
	int64_t failure_age; /* ABSENT for none */
	enum turn turn;
	enum answer answer;
	int status;
	bool warns;
};

/* The answer to GET of the scenario's tag. */
static void play(struct fixture *f, const struct scenario *s)
{
	char method[] = "REQUEST_METHOD=GET", uri[] = "REQUEST_URI=/v2/";
	char *params[] = { method, uri, NULL };
	autorequest request = REQUEST_INIT;
	autoresponse response = RESPONSE_INIT;
	struct target target = { .route = ROUTE_MANIFESTS, .name = f->name };
	struct order order = { .name = f->name };
	struct err err = ERR_INIT;
	struct err failure = ERR_INIT;
	struct call call = { .request = &request,
			     .target = &target,
			     .turn = s->turn,
			     .failure = &failure };

	err_set(&failure, s->code, FAILURE);
	assert_int_equal(request_parse(&request, params, &response), 0);
	assert_int_equal(
		tag_parse(&target.reference.tag, s->tag, strlen(s->tag), &err),
		0);
	order.reference = target.reference;
	put_image(f, &target.reference.tag, s->age);
	put_failure(f, &order, s->code, s->failure_age);
	check(s->name,
	      manifest_answer(&f->service, &call, &response) == s->answer);
	if (s->answer == ANSWER_LATER)
		return;
	check(s->name, response.status == s->status);
	check(s->name, (strstr(response.fields.buf, "Warning: 299 - ") !=
			NULL) == s->warns);
	check(s->name, !s->warns || strstr(response.fields.buf,
					   "anew failed: error: it failed\""));
	if (s->status == 200)
		check_str(s->name, response.body.buf, MANIFEST);
	else
		check(s->name, strstr(response.body.buf, "\"errors\""));
}

static void test_freshness(void **state)
{
#define NEVER	  ERR_NONE, ABSENT
#define FAILED(s) ERR_NIX, s
	static const struct scenario scenarios[] = {
		{ "nothing", "a", ABSENT, NEVER, TURN_FIRST, ANSWER_LATER, 0,
		  false },
		{ "fresh", "b", 5, NEVER, TURN_FIRST, ANSWER_NOW, 200, false },
		{ "fresh beside a failure", "c", 5, FAILED(1), TURN_FIRST,
		  ANSWER_NOW, 200, false },
		{ "to be refreshed behind", "d", 25, NEVER, TURN_FIRST,
		  ANSWER_AND_REFRESH, 200, false },
		{ "a refresh that failed shortly before", "e", 25, FAILED(1),
		  TURN_FIRST, ANSWER_NOW, 200, true },
		{ "a refresh that failed long before", "f", 25, FAILED(60),
		  TURN_FIRST, ANSWER_AND_REFRESH, 200, false },
		{ "stale", "g", 100, NEVER, TURN_FIRST, ANSWER_LATER, 0,
		  false },
		{ "of the future", "h", -100, NEVER, TURN_FIRST, ANSWER_LATER,
		  0, false },
		{ "stale, and failed shortly before", "i", 100, FAILED(1),
		  TURN_FIRST, ANSWER_NOW, 200, true },
		{ "stale, and failed long before", "j", 100, FAILED(60),
		  TURN_FIRST, ANSWER_LATER, 0, false },
		{ "too stale for a failure", "k", 7200, FAILED(1), TURN_FIRST,
		  ANSWER_NOW, 404, false },
		{ "stale, and gone upstream", "l", 100, ERR_UNKNOWN, 1,
		  TURN_FIRST, ANSWER_NOW, 404, false },
		{ "nothing, and failed", "m", ABSENT, FAILED(1), TURN_FIRST,
		  ANSWER_NOW, 404, false },
		{ "built, though long ago", "n", 100, NEVER, TURN_BUILT,
		  ANSWER_NOW, 200, false },
		{ "built, and gone again", "o", ABSENT, NEVER, TURN_BUILT,
		  ANSWER_NOW, 429, false },
		{ "stale, and fails now", "p", 100, FAILED(ABSENT), TURN_FAILED,
		  ANSWER_NOW, 200, true },
		{ "fails now", "q", ABSENT, FAILED(ABSENT), TURN_FAILED,
		  ANSWER_NOW, 404, false },
		{ "busy now", "r", ABSENT, ERR_BUSY, ABSENT, TURN_FAILED,
		  ANSWER_NOW, 429, false },
		{ "passive", "sha256-0123", ABSENT, NEVER, TURN_FIRST,
		  ANSWER_NOW, 404, false },
		{ "passive and there", "t-esgztoc", 7200, NEVER, TURN_FIRST,
		  ANSWER_NOW, 200, false },
		{ "only that suffix", "_esgztoc", ABSENT, NEVER, TURN_FIRST,
		  ANSWER_LATER, 0, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++)
		play(*state, &scenarios[i]);
}

static void test_revision(void **state)
{
	static const char hex[] = "0123456789abcdef0123456789abcdef01234567";
	struct fixture *f = *state;
	struct scenario s = { "a revision", hex,	999999, NEVER,
			      TURN_FIRST,   ANSWER_NOW, 200,	false };

	memcpy(f->record.revision, hex, sizeof(hex));
	play(f, &s);
	s.name = "a branch at a revision";
	s.tag = "main";
	s.answer = ANSWER_LATER;
	play(f, &s);
}

/* What the check said last, a check that cannot be made, and none yet. */
static void test_health(void **state)
{
	struct fixture *f = *state;
	struct health health = { .checked = time(NULL),
				 .problem = "no Nix",
				 .nix = "2.8" };
	struct err failure = ERR_INIT, err = ERR_INIT;
	struct call call = { .turn = TURN_FAILED, .failure = &failure };
	static const struct {
		const char *name;
		bool checked;
		const char *problem;
		enum turn turn;
		enum answer answer;
		int status;
		const char *says;
	} cases[] = {
		{ "none yet", false, "", TURN_FIRST, ANSWER_LATER, 0, "" },
		{ "cannot be checked", false, "", TURN_FAILED, ANSWER_NOW, 503,
		  "\"problem\":\"no builder\"" },
		{ "well", true, "", TURN_FIRST, ANSWER_NOW, 200,
		  "\"status\":\"ok\"" },
		{ "not well", true, "no Nix", TURN_BUILT, ANSWER_NOW, 503,
		  "\"problem\":\"no Nix\"" },
	};

	err_set(&failure, ERR_SYSTEM, "no builder");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autoresponse response = RESPONSE_INIT;

		snprintf(health.problem, sizeof(health.problem), "%s",
			 cases[i].problem);
		if (cases[i].checked && health_write(&f->cache, &health, &err))
			fail_msg("%s", err.msg);
		call.turn = cases[i].turn;
		check(cases[i].name,
		      health_answer(&f->service, &call, &response) ==
			      cases[i].answer);
		if (cases[i].answer != ANSWER_NOW)
			continue;
		check(cases[i].name, response.status == cases[i].status);
		check(response.body.buf,
		      strstr(response.body.buf, cases[i].says));
	}
}

typedef enum answer endpoint(const struct service *service, struct call *call,
			     struct response *response);

struct question {
	struct fixture *f;
	endpoint *answer;
	struct reference reference;
	struct response response;
};

static int ask(void *arg)
{
	struct question *q = arg;
	char method[] = "REQUEST_METHOD=GET", uri[] = "REQUEST_URI=/v2/";
	char *params[] = { method, uri, NULL };
	autorequest request = REQUEST_INIT;
	struct target target = { .name = q->f->name,
				 .reference = q->reference };
	struct call call = { .request = &request, .target = &target };

	response_release(&q->response);
	assert_int_equal(request_parse(&request, params, &q->response), 0);
	return (int)q->answer(&q->f->service, &call, &q->response);
}

/* A record that says another size than the manifest's has a build mend it. */
static void test_other_size(void **state)
{
	struct fixture *f = *state;
	struct image_head head = f->record.image;
	struct err err = ERR_INIT;
	struct question question = { f,
				     manifest_answer,
				     { .is_digest = true,
				       .digest = head.manifest.digest },
				     RESPONSE_INIT };

	head.manifest.size++;
	assert_int_equal(
		cache_put_record(&f->cache, &f->name, &head, "{}", 2, &err), 0);
	assert_int_equal(ask(&question), ANSWER_LATER);
	head.manifest.size--;
	assert_int_equal(
		cache_put_record(&f->cache, &f->name, &head, "{}", 2, &err), 0);
	assert_int_equal(ask(&question), ANSWER_NOW);
	assert_int_equal(question.response.status, 200);
	response_release(&question.response);
}

/*
 * What verify moves away when it has been found and is about to be opened is
 * built again. Only that is opened here: the records are remembered, and the
 * manifest has just been touched. Nor is one that is remembered and gone there.
 */
static void test_gone_in_between(void **state)
{
	static const struct broken gone = { .call = SCMP_SYS(openat2),
					    .error = ENOENT };
	const struct timespec old_enough = { .tv_sec = 2, .tv_nsec = 1000000 };
	struct fixture *f = *state;
	struct tag tag;
	struct reference by_tag = { .is_digest = false };
	struct reference by_digest = {
		.is_digest = true, .digest = f->record.image.manifest.digest
	};
	struct blob_link link = { .blob = f->record.image.manifest,
				  .manifest = by_digest.digest,
				  .flake = f->record.image.flake };
	struct err err = ERR_INIT;
	struct question questions[] = {
		{ f, manifest_answer, by_tag, RESPONSE_INIT },
		{ f, manifest_answer, by_digest, RESPONSE_INIT },
		{ f, blob_answer, by_digest, RESPONSE_INIT },
	};

	char path[CACHE_BLOB_FILE_SIZE];

	if (!broken_works())
		skip();
	cache_blob_file(&by_digest.digest, path);
	assert_int_equal(tag_parse(&tag, "t", 1, &err), 0);
	questions[0].reference.tag = tag;
	put_image(f, &tag, 0);
	assert_int_equal(cache_put_link(&f->cache, &f->name, &link, &err), 0);
	f->cache.memo = memo_new(1 << 16);
	nanosleep(&old_enough, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		struct question *q = &questions[i];

		assert_int_equal(utimensat(f->cache.fd, path, NULL, 0), 0);
		assert_int_equal(ask(q), ANSWER_NOW);
		assert_int_equal(q->response.status, 200);
		assert_int_equal(broken_run(&gone, ask, q), ANSWER_LATER);
	}
	nanosleep(&old_enough, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		assert_int_equal(ask(&questions[i]), ANSWER_NOW);
		assert_int_equal(questions[i].response.status, 200);
	}
	/* Remembered, or the opening would have failed. */
	assert_int_equal(broken_run(&gone, ask, &questions[0]), ANSWER_NOW);
	assert_string_equal(questions[0].response.body.buf, MANIFEST);
	assert_int_equal(unlinkat(f->cache.fd, path, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		assert_int_equal(ask(&questions[i]), ANSWER_LATER);
		response_release(&questions[i].response);
	}
	memo_free(f->cache.memo);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_freshness, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_revision, setup, teardown),
		cmocka_unit_test_setup_teardown(test_health, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_size, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_gone_in_between, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
