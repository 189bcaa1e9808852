// SPDX-License-Identifier: MIT
/* One tag, an image for each system: the index of them. */
#include "tests/unit/check.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "common/index.h"
#include "tests/unit/fakeflake.h"

#include "common/banned.h"

#define ARM "aarch64-linux"

static int setup(void **state)
{
	struct fakeflake *f = xcalloc(1, sizeof(*f));

	fakeflake_init(f, "systems = " FAKE_SYSTEM " " ARM "\n");
	fakeflake_add(f, ARM, "arm", "#!/bin/ash\n");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	fakeflake_release(*state);
	free(*state);
	return 0;
}

/* What the record of an index has in it; both are there. */
static void read_index(const struct fakeflake *f, const struct image_head *head,
		       struct image_index *index)
{
	autorecord record = RECORD_INIT;
	struct err err;

	fakeflake_record(f, head, &record);
	assert_string_equal(record.kind, "index");
	assert_true(cache_has_blob(&f->cache, &head->manifest.digest, NULL));
	if (index_parse(index, record.config, strlen(record.config), "index",
			&err))
		fail_msg("%s", err.msg);
	for (size_t i = 0; i < index->nr; i++)
		assert_true(cache_has_blob(
			&f->cache, &index->members[i].manifest.digest, NULL));
}

static struct image_head member_of(const struct image_index *index, size_t i)
{
	return (struct image_head){ .manifest = index->members[i].manifest };
}

/* The first layer of the member of that number. */
static struct digest layer_of(const struct fakeflake *f,
			      const struct image_index *index, size_t i)
{
	const struct image_head member = member_of(index, i);
	autorecord record = RECORD_INIT;

	fakeflake_record(f, &member, &record);
	return record.layers[0].blob.digest;
}

static void test_index(void **state)
{
	struct fakeflake *f = *state;
	autoindex index = IMAGE_INDEX_INIT;
	struct image_head head, again;

	fakeflake_build_ok(f, "latest", &head);
	assert_int_equal(head.manifest.media_type, MEDIA_INDEX);
	read_index(f, &head, &index);
	assert_int_equal(index.nr, 2);
	assert_string_equal(index.members[0].platform.architecture, "amd64");
	assert_string_equal(index.members[1].platform.architecture, "arm64");
	/* Known, from then on. */
	fakeflake_forget(f);
	fakeflake_build_ok(f, "main", &again);
	assert_true(
		digest_equal(&head.manifest.digest, &again.manifest.digest));
	assert_int_equal(fakeflake_asked(f, "nix"), 0);
}

/* Systems that the flake has nothing for are left out, but not all. */
static void test_partial(void **state)
{
	static const char lacks[] =
		"{\"found\":false,\"depth\":0,\"names\":[]}";
	struct fakeflake *f = *state;
	autoindex index = IMAGE_INDEX_INIT;
	struct image_head head;

	fakeflake_says(f, "probe." FAKE_SYSTEM, lacks);
	fakeflake_build_ok(f, "latest", &head);
	read_index(f, &head, &index);
	assert_int_equal(index.nr, 1);
	assert_string_equal(index.members[0].platform.architecture, "arm64");
	fakeflake_says(f, "refs",
		       "0000456789abcdef0123456789abcdef01234567\t"
		       "refs/heads/next\n");
	fakeflake_says(f, "probe." ARM, lacks);
	/* The first system's error. */
	fakeflake_build_fails(f, "next", ERR_UNKNOWN,
			      "has no package packages." FAKE_SYSTEM ".hello");
}

static void test_one_fails(void **state)
{
	struct fakeflake *f = *state;

	fakeflake_fails(f, "output.arm", "error: no builder for it\n");
	fakeflake_build_fails(f, "latest", ERR_NIX,
			      ARM ": error: no builder for it");
}

static void test_remade(void **state)
{
	struct fakeflake *f = *state;
	autoindex index = IMAGE_INDEX_INIT;
	char name[DIGEST_STR_SIZE];
	struct image_head head, again;
	struct digest layer;

	fakeflake_build_ok(f, "latest", &head);
	digest_str(&head.manifest.digest, name);
	read_index(f, &head, &index);
	layer = layer_of(f, &index, 1);
	fakeflake_lose(f, &layer);
	fakeflake_lose(f, &head.manifest.digest);
	fakeflake_forget(f);
	fakeflake_build_ok(f, name, &again);
	assert_true(cache_has_blob(&f->cache, &layer, NULL));
	assert_true(cache_has_blob(&f->cache, &head.manifest.digest, NULL));
	/* The other member was whole. */
	assert_int_equal(fakeflake_asked(f, "#packages." FAKE_SYSTEM "\n"), 0);
	assert_int_equal(fakeflake_asked(f, "#packages." ARM "\n"), 1);
}

/* What in the records keeps an index from being made again. */
static void test_refused(void **state)
{
	static const struct {
		bool of_member;
		const char *text, *with;
		enum err_code code;
		const char *says;
	} cases[] = {
		{ false, "\\\"linux\\\"", "\\\"Linux\\\"", ERR_REFUSED,
		  "another index than its name says" },
		{ true, "\"kind\":\"package\"", "\"kind\":\"index\"",
		  ERR_REFUSED, "another index than its name says" },
		{ true, "\"version\":1", "\"version\":2", ERR_REFUSED,
		  "has version 2" },
		{ true, "\"compression\":\"", "\"compression\":\"old-",
		  ERR_REFUSED, "which this flakehub does not have" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autoindex index = IMAGE_INDEX_INIT;
		struct image_head head, member;
		char name[DIGEST_STR_SIZE];
		struct fakeflake *f;
		struct digest layer;

		setup((void **)&f);
		fakeflake_build_ok(f, "latest", &head);
		read_index(f, &head, &index);
		member = member_of(&index, 0);
		layer = layer_of(f, &index, 0);
		fakeflake_forge(f, cases[i].of_member ? &member : &head,
				cases[i].text, cases[i].with);
		fakeflake_lose(f, &layer);
		fakeflake_lose(f, &head.manifest.digest);
		fakeflake_build_fails(f,
				      digest_str(&head.manifest.digest, name),
				      cases[i].code, cases[i].says);
		check(cases[i].says,
		      !cache_has_blob(&f->cache, &head.manifest.digest, NULL));
		teardown((void **)&f);
	}
}

/* A known index of which something is not right is made anew. */
static void test_not_whole(void **state)
{
	static const struct {
		const char *text, *with; /* of a member's record; or its blob */
	} cases[] = {
		{ "\"kind\":\"package\"", "\"kind\":\"index\"" },
		{ "\"version\":1", "\"version\":2" },
		{ NULL, NULL },
	};
	struct fakeflake *f = *state;
	struct image_head head;

	fakeflake_build_ok(f, "latest", &head);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autoindex index = IMAGE_INDEX_INIT;
		struct image_head member, again;

		read_index(f, &head, &index);
		member = member_of(&index, 1);
		if (cases[i].text)
			fakeflake_forge(f, &member, cases[i].text,
					cases[i].with);
		else
			fakeflake_lose(f, &member.manifest.digest);
		fakeflake_forget(f);
		fakeflake_build_ok(f, "main", &again);
		assert_true(digest_equal(&head.manifest.digest,
					 &again.manifest.digest));
		assert_int_equal(fakeflake_asked(f, "nix-store --realise"), 1);
		fakeflake_forget(f);
		fakeflake_build_ok(f, "latest", &again);
		assert_int_equal(fakeflake_asked(f, "nix"), 0);
	}
}

/* A member that was linked for other settings' flake is linked again. */
static void test_of_another_flake(void **state)
{
	struct fakeflake *f = *state;
	autoindex index = IMAGE_INDEX_INIT;
	autostrbuf body = STRBUF_INIT;
	struct image_head head, member;
	struct err err;

	fakeflake_build_ok(f, "latest", &head);
	read_index(f, &head, &index);
	assert_int_equal(cache_get_record(&f->cache, &f->name,
					  &index.members[1].manifest.digest,
					  &member, &body, &err),
			 0);
	member.flake.raw[0] ^= 1;
	assert_int_equal(cache_put_record(&f->cache, &f->name, &member,
					  body.buf, body.len, &err),
			 0);
	fakeflake_forget(f);
	fakeflake_build_ok(f, "main", &head);
	assert_int_equal(fakeflake_asked(f, "nix-store --realise"), 1);
	assert_int_equal(cache_get_record(&f->cache, &f->name,
					  &index.members[1].manifest.digest,
					  &member, NULL, &err),
			 0);
	assert_true(digest_equal(&member.flake, &head.flake));
}

/* Evicts a blob when a phase begins for the first or only time. */
struct thief {
	struct fakeflake *flake;
	const char *phase;
	struct digest digest;
	size_t phases; /* that were so called */
};

static void steal(void *arg, const char *phase)
{
	struct thief *thief = arg;

	if (!strcmp(phase, thief->phase) && !thief->phases++)
		fakeflake_lose(thief->flake, &thief->digest);
}

static void test_evicted_meanwhile(void **state)
{
	struct fakeflake *f = *state;
	struct thief thief = { .flake = f, .phase = "making layers again" };
	const struct image_progress progress = { .phase = steal,
						 .arg = &thief };
	autoindex index = IMAGE_INDEX_INIT, whole = IMAGE_INDEX_INIT;
	char name[DIGEST_STR_SIZE];
	struct image_head head, again;
	struct digest layer;

	fakeflake_build_ok(f, "latest", &head);
	digest_str(&head.manifest.digest, name);
	read_index(f, &head, &index);
	thief.digest = index.members[0].manifest.digest;
	layer = layer_of(f, &index, 1);
	fakeflake_lose(f, &layer);
	fakeflake_lose(f, &head.manifest.digest);
	f->build.progress = &progress;
	fakeflake_build_fails(f, name, ERR_BUSY,
			      "a member went from the cache");
	assert_int_equal(thief.phases, 1);
	fakeflake_build_ok(f, name, &again);
	/* Of a tag, the members are made once more. */
	fakeflake_lose(f, &layer);
	fakeflake_forget(f);
	thief.phase = ARM;
	thief.phases = 0;
	fakeflake_build_ok(f, "main", &again);
	assert_int_equal(thief.phases, 2);
	read_index(f, &again, &whole);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_index),
		TEST(test_partial),
		TEST(test_one_fails),
		TEST(test_remade),
		cmocka_unit_test(test_refused),
		TEST(test_not_whole),
		TEST(test_of_another_flake),
		TEST(test_evicted_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
