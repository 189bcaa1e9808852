// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "common/limits.h"
#include "fcgi/request.h"
#include "fcgi/retry.h"

#include "common/banned.h"

#define HEX    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST "sha256:" HEX

/* A request with these parameters besides, up to three. */
struct fixture {
	char *params[6];
	struct request request;
	struct response error;
};

static int parse(struct fixture *f, const char *method, const char *uri,
		 const char *a, const char *b)
{
	size_t n = 0;

	memset(f, 0, sizeof(*f));
	f->error = (struct response)RESPONSE_INIT;
	if (method)
		f->params[n++] = xasprintf("REQUEST_METHOD=%s", method);
	if (a)
		f->params[n++] = xstrdup(a);
	if (b)
		f->params[n++] = xstrdup(b);
	if (uri)
		f->params[n++] = xasprintf("REQUEST_URI=%s", uri);
	return request_parse(&f->request, f->params, &f->error);
}

static void release(struct fixture *f)
{
	request_release(&f->request);
	response_release(&f->error);
	for (char **p = f->params; *p; p++)
		free(*p);
}

static const struct {
	const char *uri;
	const char *path; /* NULL: malformed */
	const char *query;
	int hops;
} paths[] = {
	{ "/v2/", "/v2/", "", 0 },
	{ "/v2/?", "/v2/", "", 0 },
	{ "/v2/a/manifests/b?ns=docker.io", "/v2/a/manifests/b", "ns=docker.io",
	  0 },
	{ "/v2/a%2Db/%3a", "/v2/a-b/:", "", 0 },
	{ "/v2/%61", "/v2/a", "", 0 },
	{ "/a?b?c", "/a", "b?c", 0 },
	{ "/a?w=3", "/a", "w=3", 3 },
	{ "/a?ns=x&w=8", "/a", "ns=x&w=8", 8 },
	{ "/a?w=99999999999999999999", "/a", "w=99999999999999999999",
	  HOPS_MAX },
	{ "/a?w=-1", "/a", "w=-1", 0 },
	{ "/a?w=3x", "/a", "w=3x", 0 },
	{ "/a?w=", "/a", "w=", 0 },
	{ "/a?xw=3", "/a", "xw=3", 0 },
	{ "/v2/%", NULL, NULL, 0 },
	{ "/v2/%6", NULL, NULL, 0 },
	{ "/v2/%zz", NULL, NULL, 0 },
	{ "/v2/%00", NULL, NULL, 0 },
	{ "/v2/%0a", NULL, NULL, 0 },
	{ "/v2/%7f", NULL, NULL, 0 },
	{ "/v2/%ff", NULL, NULL, 0 },
	{ "/v2/%20", NULL, NULL, 0 },
	{ "/v2/\303\244", NULL, NULL, 0 },
	{ "/v2/%252e", NULL, NULL, 0 },
	{ "/v2/a%2f%2fb", NULL, NULL, 0 },
	{ "/v2//a", NULL, NULL, 0 },
	{ "//v2/", NULL, NULL, 0 },
	{ "/v2/./a", NULL, NULL, 0 },
	{ "/v2/../a", NULL, NULL, 0 },
	{ "/v2/..", NULL, NULL, 0 },
	{ "/v2/.", NULL, NULL, 0 },
	{ "/v2/%2e%2e/a", NULL, NULL, 0 },
	{ "/v2/..%2fa", NULL, NULL, 0 },
	{ "", NULL, NULL, 0 },
	{ "v2/", NULL, NULL, 0 },
	{ "*", NULL, NULL, 0 },
	{ "http://h/v2/", NULL, NULL, 0 },
	{ "/a?b c", NULL, NULL, 0 },
	{ "/a?\r\nSet-Cookie:", NULL, NULL, 0 },
	{ "/a?\200", NULL, NULL, 0 },
};

static void test_paths(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		const char *uri = paths[i].uri;
		struct fixture f;
		int rc = parse(&f, "GET", uri, NULL, NULL);

		check(uri, rc == (paths[i].path ? 0 : -1));
		if (paths[i].path) {
			check_str(uri, f.request.path, paths[i].path);
			check_str(uri, f.request.query, paths[i].query);
			check(uri, f.request.hops == paths[i].hops);
		} else {
			check(uri, f.error.status == 400);
		}
		release(&f);
	}
}

static void test_long_uri(void **state)
{
	for (size_t len = REQUEST_URI_MAX; len <= REQUEST_URI_MAX + 1; len++) {
		autofree char *uri = xmalloc(len + 1);
		struct fixture f;

		memset(uri, 'a', len);
		uri[0] = '/';
		uri[len] = 0;
		check("long URI", parse(&f, "GET", uri, NULL, NULL) ==
					  (len > REQUEST_URI_MAX ? -1 : 0));
		release(&f);
	}
}

static void test_missing(void **state)
{
	struct fixture f;

	check("no URI", parse(&f, "GET", NULL, NULL, NULL) == -1);
	check("no URI", f.error.status == 400);
	release(&f);
	check("no method", parse(&f, NULL, "/v2/", NULL, NULL) == -1);
	check("no method", f.error.status == 405);
	release(&f);
}

static void test_methods(void **state)
{
	static const struct {
		const char *method;
		int status; /* 0: taken */
		bool head;
	} cases[] = {
		{ "GET", 0, false },	   { "HEAD", 0, true },
		{ "POST", 405, false },	   { "PUT", 405, false },
		{ "PATCH", 405, false },   { "DELETE", 405, false },
		{ "OPTIONS", 405, false }, { "get", 405, false },
		{ "", 405, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *method = cases[i].method;
		struct fixture f;
		/* Before anything else is looked at. */
		const char *uri = cases[i].status ? "/v2//%zz" : "/v2/";
		int rc = parse(&f, method, uri, NULL, NULL);

		check(method, rc == (cases[i].status ? -1 : 0));
		if (cases[i].status)
			check(method, f.error.status == cases[i].status);
		else
			check(method, f.request.head == cases[i].head);
		release(&f);
	}
}

static void test_accept(void **state)
{
	static const struct {
		const char *a, *b;
		bool takes;
	} cases[] = {
#define OCI "application/vnd.oci.image.manifest.v1+json"
#define V2  "application/vnd.docker.distribution.manifest.v2+json"
		{ NULL, NULL, true },
		{ "HTTP_ACCEPT=", NULL, true },
		{ "HTTP_ACCEPT=*/*", NULL, true },
		{ "HTTP_ACCEPT=application/*", NULL, true },
		{ "HTTP_ACCEPT=text/*", NULL, false },
		{ "HTTP_ACCEPT=" OCI, NULL, true },
		{ "HTTP_ACCEPT=" V2, NULL, false },
		{ "HTTP_ACCEPT=" V2 "," OCI, NULL, true },
		{ "HTTP_ACCEPT=" V2 ", " OCI ";q=0.5", NULL, true },
		{ "HTTP_ACCEPT=" V2 " , " OCI " ; q=0.5 , a/b", NULL, true },
		{ "HTTP_ACCEPT=" OCI ";q=0", NULL, false },
		{ "HTTP_ACCEPT=" OCI "; q=0.000, " V2, NULL, false },
		{ "HTTP_ACCEPT=" OCI "; a=b;q=0.001", NULL, true },
		{ "HTTP_ACCEPT=" OCI "x", NULL, false },
		{ "HTTP_ACCEPT=application/json, text/plain", NULL, false },
		{ "HTTP_ACCEPT=,,;", NULL, false },
		/* nginx: one parameter for each header. */
		{ "HTTP_ACCEPT=" V2, "HTTP_ACCEPT=" OCI, true },
		{ "HTTP_ACCEPT=" V2, "HTTP_ACCEPT=a/b", false },
		{ "HTTP_ACCEPT_ENCODING=gzip", NULL, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *name = cases[i].a ? cases[i].a : "no Accept";
		struct fixture f;

		check(name, parse(&f, "GET", "/", cases[i].a, cases[i].b) == 0);
		check(name, request_accepts(&f.request, MEDIA_MANIFEST) ==
				    cases[i].takes);
		release(&f);
	}
}

static void test_etag(void **state)
{
	static const struct {
		const char *param;
		bool has;
	} cases[] = {
		{ NULL, false },
		{ "HTTP_IF_NONE_MATCH=\"" DIGEST "\"", true },
		{ "HTTP_IF_NONE_MATCH=W/\"" DIGEST "\"", true },
		{ "HTTP_IF_NONE_MATCH=\"a\", \"" DIGEST "\"", true },
		{ "HTTP_IF_NONE_MATCH=\"a\",\"" DIGEST "\",\"b\"", true },
		{ "HTTP_IF_NONE_MATCH=*", true },
		{ "HTTP_IF_NONE_MATCH=", false },
		{ "HTTP_IF_NONE_MATCH=\"a\"", false },
		{ "HTTP_IF_NONE_MATCH=" DIGEST, false },
		{ "HTTP_IF_NONE_MATCH=\"" DIGEST, false },
		{ "HTTP_IF_NONE_MATCH=\"x" DIGEST "\"", false },
	};
	struct digest digest;
	struct err err;

	assert_int_equal(digest_parse_hex(&digest, HEX, 64, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *name = cases[i].param ? cases[i].param : "none";
		struct fixture f;

		check(name, parse(&f, "GET", "/", cases[i].param, NULL) == 0);
		check(name,
		      request_has_etag(&f.request, &digest) == cases[i].has);
		release(&f);
	}
}

static void test_if_range(void **state)
{
	static const struct {
		const char *param;
		bool has_range;
	} cases[] = {
		{ NULL, true },
		{ "HTTP_IF_RANGE=\"" DIGEST "\"", true },
		{ "HTTP_IF_RANGE=W/\"" DIGEST "\"", false },
		{ "HTTP_IF_RANGE=\"a\"", false },
		{ "HTTP_IF_RANGE=Thu, 01 Jan 1970 00:00:00 GMT", false },
	};
	struct digest digest;
	struct err err;

	assert_int_equal(digest_parse_hex(&digest, HEX, 64, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *name = cases[i].param ? cases[i].param : "none";
		struct fixture f;

		check(name, parse(&f, "GET", "/", "HTTP_RANGE=bytes=0-1",
				  cases[i].param) == 0);
		check(name, (request_range(&f.request, &digest) != NULL) ==
				    cases[i].has_range);
		release(&f);
	}
}

static void test_location(void **state)
{
	static const struct {
		const char *uri, *location;
	} cases[] = {
		{ "/v2/a/manifests/b", "/v2/a/manifests/b?w=1" },
		{ "/v2/a/manifests/b?", "/v2/a/manifests/b?w=1" },
		{ "/v2/a?ns=docker.io", "/v2/a?ns=docker.io&w=1" },
		{ "/v2/a?w=3", "/v2/a?w=4" },
		{ "/v2/a?w=3&ns=x&&y", "/v2/a?ns=x&y&w=4" },
		{ "/v2/a?w=x&w=2", "/v2/a?w=3" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autostrbuf location = STRBUF_INIT;
		struct fixture f;

		check(cases[i].uri,
		      parse(&f, "GET", cases[i].uri, NULL, NULL) == 0);
		request_location(&f.request, &location);
		check_str(cases[i].uri, location.buf, cases[i].location);
		release(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_long_uri),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_methods),
		cmocka_unit_test(test_accept),
		cmocka_unit_test(test_etag),
		cmocka_unit_test(test_if_range),
		cmocka_unit_test(test_location),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
