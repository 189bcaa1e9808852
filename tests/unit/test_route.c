// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "fcgi/route.h"

#include "common/banned.h"

#define HEX    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SHA256 "sha256:" HEX
#define SHA512 "sha512:" HEX HEX

static void test_targets(void **state)
{
	static const struct {
		const char *path;
		enum route route;
		const char *name;
		const char *reference;
	} cases[] = {
		{ "/v2", ROUTE_BASE, "", NULL },
		{ "/v2/", ROUTE_BASE, "", NULL },
		{ "/v2/a/manifests/b", ROUTE_MANIFESTS, "a", "b" },
		{ "/v2/a/b/c/manifests/V1.0", ROUTE_MANIFESTS, "a/b/c",
		  "V1.0" },
		{ "/v2/a/manifests/" SHA256, ROUTE_MANIFESTS, "a", SHA256 },
		{ "/v2/a/blobs/" SHA256, ROUTE_BLOBS, "a", SHA256 },
		{ "/v2/a/referrers/" SHA256, ROUTE_REFERRERS, "a", SHA256 },
		{ "/v2/a/manifests/b/blobs/" SHA256, ROUTE_BLOBS,
		  "a/manifests/b", SHA256 },
		{ "/v2/manifests/manifests/manifests", ROUTE_MANIFESTS,
		  "manifests", "manifests" },
		{ "/v2/v2/manifests/v2", ROUTE_MANIFESTS, "v2", "v2" },
		{ "/v2/a/blobs/" SHA512, ROUTE_BLOBS, "a", NULL },
		{ "/v2/a/manifests/" SHA512, ROUTE_MANIFESTS, "a", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *path = cases[i].path;
		autoresponse error = RESPONSE_INIT;
		struct target target;
		char reference[REFERENCE_STR_SIZE];

		check(path, route_find(path, &target, &error) == 0);
		check(path, target.route == cases[i].route);
		check_str(path, target.name.text, cases[i].name);
		if (cases[i].reference)
			check_str(path,
				  reference_str(&target.reference, reference),
				  cases[i].reference);
		check(path, target.has_foreign_digest ==
				    (strstr(path, "sha512:") != NULL));
	}
}

static void test_errors(void **state)
{
	static const struct {
		const char *path;
		int status;
		const char *code;
	} cases[] = {
		{ "/", 404, "UNSUPPORTED" },
		{ "/v1/", 404, "UNSUPPORTED" },
		{ "/v2x/a/manifests/b", 404, "UNSUPPORTED" },
		{ "/v2/a", 404, "UNSUPPORTED" },
		{ "/v2/a/", 404, "UNSUPPORTED" },
		{ "/v2/a/b", 404, "UNSUPPORTED" },
		{ "/v2/a/b/c", 404, "UNSUPPORTED" },
		{ "/v2/manifests/b", 404, "UNSUPPORTED" },
		{ "/v2/a/manifest/b", 404, "UNSUPPORTED" },
		{ "/v2/a/blobs/uploads/", 404, "UNSUPPORTED" },
		{ "/v2//manifests/b", 400, "NAME_INVALID" },
		{ "/v2/A/manifests/b", 400, "NAME_INVALID" },
		{ "/v2/a..b/manifests/b", 400, "NAME_INVALID" },
		{ "/v2/a/manifests/", 400, "TAG_INVALID" },
		{ "/v2/a/manifests/-b", 400, "TAG_INVALID" },
		{ "/v2/a/manifests/b+c", 400, "TAG_INVALID" },
		{ "/v2/a/manifests/sha256:12", 400, "DIGEST_INVALID" },
		{ "/v2/a/manifests/:", 400, "DIGEST_INVALID" },
		{ "/v2/a/blobs/b", 400, "DIGEST_INVALID" },
		{ "/v2/a/blobs/", 400, "DIGEST_INVALID" },
		{ "/v2/a/blobs/sha256:totallywrong", 400, "DIGEST_INVALID" },
		{ "/v2/a/referrers/b", 400, "DIGEST_INVALID" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autoresponse error = RESPONSE_INIT;
		struct target target;
		autofree char *code =
			xasprintf("\"code\":\"%s\"", cases[i].code);

		check(cases[i].path,
		      route_find(cases[i].path, &target, &error) == -1);
		check(cases[i].path, error.status == cases[i].status);
		check(cases[i].path, strstr(error.body.buf, code) != NULL);
	}
}

static void test_tag_length(void **state)
{
	for (size_t len = TAG_MAX; len <= TAG_MAX + 1; len++) {
		autoresponse error = RESPONSE_INIT;
		struct target target;
		autofree char *path =
			xasprintf("/v2/a/manifests/%0*d", (int)len, 1);

		check(path, route_find(path, &target, &error) ==
				    (len > TAG_MAX ? -1 : 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_tag_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
