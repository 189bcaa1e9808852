// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "common/descriptor.h"
#include "common/digest.h"

#include "common/banned.h"

#define HEX   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
/* FIPS 180-2, appendix B: of "abc". */
#define ABC   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		enum err_code code;
	} cases[] = {
		{ "sha256:" HEX, ERR_NONE },
		{ "sha256:" HEX "0", ERR_MALFORMED },
		{ "sha256:0123", ERR_MALFORMED },
		{ "sha256:", ERR_MALFORMED },
		{ "sha256:../../../../../../../../../../../../../../../../../"
		  "etc/passwd../",
		  ERR_MALFORMED },
		{ "sha256:ABCDEFABCDEF0123456789abcdef0123456789abcdef01234567"
		  "89abcdef01",
		  ERR_MALFORMED },
		{ "sha512:00", ERR_UNKNOWN },
		{ "a+b.c_d-e:Az09=_-", ERR_UNKNOWN },
		{ "a+:x", ERR_MALFORMED },
		{ "+a:x", ERR_MALFORMED },
		{ "A:x", ERR_MALFORMED },
		{ "a:", ERR_MALFORMED },
		{ "a", ERR_MALFORMED },
		{ ":", ERR_MALFORMED },
		{ "", ERR_MALFORMED },
		{ "a:b/c", ERR_MALFORMED },
		{ HEX, ERR_MALFORMED },
	};
	char out[DIGEST_STR_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *s = cases[i].text;
		struct err err = ERR_INIT;
		struct digest d;
		int rc = digest_parse(&d, s, strlen(s), &err);

		check(s, err.code == cases[i].code);
		check(s, (rc == 0) == (err.code == ERR_NONE));
		if (rc == 0)
			check_str(s, digest_str(&d, out), s);
	}
}

static void test_hex(void **state)
{
	char out[DIGEST_HEX_SIZE];
	struct err err = ERR_INIT;
	struct digest a, b;

	assert_int_equal(digest_parse_hex(&a, HEX, 64, &err), 0);
	assert_string_equal(digest_hex(&a, out), HEX);
	assert_int_equal(digest_parse(&b, "sha256:" HEX, 71, &err), 0);
	assert_true(digest_equal(&a, &b));
	b.raw[31] ^= 1;
	assert_false(digest_equal(&a, &b));
	assert_int_equal(digest_parse_hex(&a, HEX, 63, &err), -1);
}

static void test_hash(void **state)
{
	autohasher *h = hasher_new();
	char out[DIGEST_HEX_SIZE];
	struct digest d;

	digest_of("abc", 3, &d);
	assert_string_equal(digest_hex(&d, out), ABC);
	hasher_update(h, "a", 1);
	hasher_update(h, "bc", 2);
	hasher_final(h, &d);
	assert_string_equal(digest_hex(&d, out), ABC);
	hasher_final(h, &d);
	assert_string_equal(digest_hex(&d, out), EMPTY);
}

static void test_media_types(void **state)
{
	for (int t = MEDIA_INDEX; t < MEDIA_TYPES; t++) {
		const char *name = media_type_name((enum media_type)t);

		check(name, (int)media_type_parse(name) == t);
	}
	assert_int_equal(media_type_parse("text/plain"), MEDIA_NONE);
	assert_int_equal(media_type_parse(""), MEDIA_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_media_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
