// SPDX-License-Identifier: MIT
/* Records and links that somebody changed are found, and put right. */
#include "tests/unit/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cache.h"
#include "common/limits.h"
#include "common/verify.h"
#include "tests/unit/fakeflake.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

/* The image at latest. */
struct fixture {
	struct fakeflake flake;
	struct image_head head;
	struct blob_link link; /* of its layer */
	char *record_path, *link_path;
	struct strbuf record_text;
};

static char *path_in(const struct fixture *f, const char *folder,
		     const struct digest *digest)
{
	char hex[DIGEST_HEX_SIZE];

	return xasprintf("%s/cache/repositories/%s/%s/%s", f->flake.dir,
			 f->flake.name.text, folder, digest_hex(digest, hex));
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	autorecord record = RECORD_INIT;
	autoclose int fd = -1;
	struct err err;

	*state = f;
	fakeflake_init(&f->flake, "");
	if (fakeflake_build(&f->flake, "latest", &f->head, &err))
		fail_msg("%s", err.msg);
	fakeflake_record(&f->flake, &f->head, &record);
	assert_int_equal(cache_get_link(&f->flake.cache, &f->flake.name,
					&record.layers[0].blob.digest, &f->link,
					&err),
			 0);
	f->record_path = path_in(f, "_manifests", &f->head.manifest.digest);
	f->link_path = path_in(f, "_blobs", &f->link.blob.digest);
	f->record_text = (struct strbuf)STRBUF_INIT;
	fd = open(f->record_path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(
		strbuf_read(&f->record_text, fd, RECORD_MAX, "record", &err),
		0);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fakeflake_release(&f->flake);
	free(f->record_path);
	free(f->link_path);
	strbuf_release(&f->record_text);
	free(f);
	return 0;
}

static void put_head(struct fixture *f, enum media_type type, uint64_t size)
{
	struct image_head head = f->head;
	const char *body = strstr(f->record_text.buf, "{");
	struct err err;

	head.manifest.media_type = type;
	head.manifest.size = size;
	assert_non_null(body);
	assert_int_equal(cache_put_record(&f->flake.cache, &f->flake.name,
					  &head, body, strlen(body), &err),
			 0);
}

static void wrong_size(struct fixture *f)
{
	put_head(f, f->head.manifest.media_type, f->head.manifest.size + 1);
}

static void wrong_type(struct fixture *f)
{
	put_head(f, MEDIA_INDEX, f->head.manifest.size);
}

static void cut_link(struct fixture *f)
{
	scratch_write(f->link_path, "digest sha", 10);
}

static void no_link(struct fixture *f)
{
	assert_int_equal(unlink(f->link_path), 0);
}

static void cut_record(struct fixture *f)
{
	scratch_write(f->record_path, f->record_text.buf, 100);
}

static void other_body(struct fixture *f)
{
	fakeflake_forge(&f->flake, &f->head, "\\\"linux\\\"", "\\\"Linux\\\"");
}

static void cut_body(struct fixture *f)
{
	scratch_write(f->record_path, f->record_text.buf,
		      f->record_text.len - 9);
}

static const struct {
	const char *name;
	void (*damage)(struct fixture *f);
	bool is_useless; /* but by a tag */
} cases[] = {
	{ "size", wrong_size, false },	    { "type", wrong_type, false },
	{ "cut link", cut_link, false },    { "no link", no_link, false },
	{ "cut record", cut_record, true }, { "other body", other_body, true },
	{ "cut body", cut_body, true },
};

/* As it was made. */
static void check_right(struct fixture *f, const char *name)
{
	struct image_head head;
	struct blob_link link;
	autostrbuf body = STRBUF_INIT;
	struct err err = ERR_INIT;

	if (cache_get_record(&f->flake.cache, &f->flake.name,
			     &f->head.manifest.digest, &head, &body, &err) ||
	    cache_get_link(&f->flake.cache, &f->flake.name,
			   &f->link.blob.digest, &link, &err))
		fail_msg("%s: %s", name, err.msg);
	check(name, descriptor_equal(&head.manifest, &f->head.manifest));
	check(name, descriptor_equal(&link.blob, &f->link.blob));
	check(name, strstr(body.buf, "\\\"linux\\\""));
	check(name,
	      cache_has_blob(&f->flake.cache, &head.manifest.digest, NULL));
}

static struct verify_result verify(struct fixture *f, bool repair)
{
	const struct verify verify = { .settings = &f->flake.settings,
				       .cache = &f->flake.cache,
				       .repair = repair };
	struct verify_result result;
	struct err err = ERR_INIT;

	if (verify_run(&verify, &result, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(result.bad + result.incomplete, 0);
	return result;
}

static void test_found(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(verify(f, false).records, 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *name = cases[i].name;
		struct verify_result result;

		cases[i].damage(f);
		result = verify(f, false);
		check(name, result.records == 1);
		check(name, result.lost_records == cases[i].is_useless);
		if (!cases[i].is_useless)
			check_right(f, name);
		result = verify(f, true);
		check(name, result.records == cases[i].is_useless);
		check(name, !result.lost_records);
		check_right(f, name);
		check(name, !verify(f, false).records);
	}
}

/* What is asked for is put right without verify, too. */
static void test_built(void **state)
{
	struct fixture *f = *state;
	char str[DIGEST_STR_SIZE];

	digest_str(&f->head.manifest.digest, str);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct image_head head;
		struct err err = ERR_INIT;

		cases[i].damage(f);
		check(cases[i].name,
		      fakeflake_build(&f->flake, str, &head, &err) ==
			      (cases[i].is_useless ? -1 : 0));
		if (cases[i].is_useless)
			fakeflake_build_ok(&f->flake, "main", &head);
		check_right(f, cases[i].name);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_found),
		TEST(test_built),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
