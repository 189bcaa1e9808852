// SPDX-License-Identifier: MIT
#include "fcgi/request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/alloc.h"
#include "common/limits.h"
#include "fcgi/retry.h"

#include "common/banned.h"

/* The value if param is "name=value", else NULL. */
static const char *value_of(const char *param, const char *name)
{
	size_t len = strlen(name);

	if (strncmp(param, name, len) != 0 || param[len] != '=')
		return NULL;
	return param + len + 1;
}

const char *request_param(const struct request *request, const char *name)
{
	for (char *const *p = request->params; *p; p++) {
		const char *value = value_of(*p, name);

		if (value)
			return value;
	}
	return NULL;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* path without its %XX; NULL if one of those is none. */
static char *decode(const char *path, size_t len)
{
	autofree char *out = xmalloc(len + 1);
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int high, low;

		if (path[i] != '%') {
			out[n++] = path[i];
			continue;
		}
		high = i + 2 < len ? hex_value(path[i + 1]) : -1;
		low = i + 2 < len ? hex_value(path[i + 2]) : -1;
		if (high < 0 || low < 0 || (!high && !low))
			return NULL;
		out[n++] = (char)(high << 4 | low);
		i += 2;
	}
	out[n] = 0;
	return steal_ptr(&out);
}

static bool is_printable(const char *s)
{
	for (; *s; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

/* No segment that a path may lose on its way, and nothing encoded twice. */
static bool is_plain_path(const char *path)
{
	if (!is_printable(path) || path[0] != '/' || strchr(path, '%'))
		return false;
	for (const char *p = path; (p = strchr(p, '/')); p++)
		if (p[1] == '/' || !strncmp(p, "/./", 3) ||
		    !strncmp(p, "/../", 4) || !strcmp(p, "/.") ||
		    !strcmp(p, "/.."))
			return false;
	return true;
}

/* Is this pair of the query ours? */
static bool is_hops(const char *pair)
{
	return pair[0] == 'w' && pair[1] == '=';
}

static const char *next_pair(const char *pair)
{
	pair += strcspn(pair, "&");
	return *pair ? pair + 1 : pair;
}

/* Anything but a number as we give it is no hop yet. */
static int parse_hops(const char *query)
{
	for (const char *p = query; *p; p = next_pair(p)) {
		char *end;
		long n;

		if (!is_hops(p) || p[2] < '0' || p[2] > '9')
			continue;
		n = strtol(p + 2, &end, 10);
		if (*end && *end != '&')
			continue;
		return n < HOPS_MAX ? (int)n : HOPS_MAX;
	}
	return 0;
}

static int parse_method(struct request *request, struct response *error)
{
	const char *method = request_param(request, "REQUEST_METHOD");

	request->head = method && !strcmp(method, "HEAD");
	if (method && (request->head || !strcmp(method, "GET")))
		return 0;
	return response_error(error, PROBLEM_UNSUPPORTED,
			      "images here are built by Nix out of flakes; "
			      "nothing can be pushed or deleted");
}

static int parse_uri(struct request *request, struct response *error)
{
	const char *uri = request_param(request, "REQUEST_URI");
	size_t len;

	if (!uri)
		return response_error(error, PROBLEM_NAME_INVALID,
				      "the web server passed no REQUEST_URI");
	if (strlen(uri) > REQUEST_URI_MAX)
		return response_error(error, PROBLEM_NAME_INVALID,
				      "a URL has at most %d bytes here",
				      REQUEST_URI_MAX);
	len = strcspn(uri, "?");
	request->query = uri[len] ? uri + len + 1 : "";
	request->path = decode(uri, len);
	if (!request->path || !is_plain_path(request->path) ||
	    !is_printable(request->query))
		return response_error(error, PROBLEM_NAME_INVALID,
				      "malformed URL: it has an empty or dot "
				      "segment, a bad escape, or a byte that "
				      "is no printable ASCII");
	request->hops = parse_hops(request->query);
	return 0;
}

int request_parse(struct request *request, char *const *params,
		  struct response *error)
{
	*request = (struct request)REQUEST_INIT;
	request->params = params;
	if (parse_method(request, error))
		return -1;
	return parse_uri(request, error);
}

void request_release(struct request *request)
{
	free(request->path);
	request->path = NULL;
}

/* Is there a parameter "q=0" among these, which refuses the type? */
static bool is_refused(const char *params, size_t len)
{
	const char *end = params + len;

	for (const char *p = params; p < end; p++) {
		if (*p != ';')
			continue;
		p += strspn(p, "; \t");
		if (strncasecmp(p, "q=0", 3) != 0)
			continue;
		p += 2 + strspn(p + 2, "0.");
		return *p < '1' || *p > '9';
	}
	return false;
}

/* Does one range of an Accept header, of len bytes, take the type? */
static bool range_takes(const char *range, size_t len, const char *type)
{
	size_t name = 0;

	while (name < len && !strchr("; \t", range[name]))
		name++;
	if (is_refused(range + name, len - name))
		return false;
	if (name == 3 && !memcmp(range, "*/*", 3))
		return true;
	if (name > 2 && !memcmp(range + name - 2, "/*", 2))
		return !strncasecmp(range, type, name - 1);
	return name == strlen(type) && !strncasecmp(range, type, name);
}

static bool header_takes(const char *accept, const char *type)
{
	while (*accept) {
		size_t len;

		accept += strspn(accept, ", \t");
		len = strcspn(accept, ",");
		if (len && range_takes(accept, len, type))
			return true;
		accept += len;
	}
	return false;
}

bool request_accepts(const struct request *request, enum media_type type)
{
	bool any = false;

	for (char *const *p = request->params; *p; p++) {
		const char *accept = value_of(*p, "HTTP_ACCEPT");

		if (!accept || !*accept)
			continue;
		if (header_takes(accept, media_type_name(type)))
			return true;
		any = true;
	}
	return !any;
}

/* Is this one entity tag, weak or not, the digest's? */
static bool is_etag(const char *s, size_t len, const char *digest)
{
	if (len > 2 && !memcmp(s, "W/", 2)) {
		s += 2;
		len -= 2;
	}
	return len == strlen(digest) + 2 && s[0] == '"' && s[len - 1] == '"' &&
	       !memcmp(s + 1, digest, len - 2);
}

bool request_has_etag(const struct request *request,
		      const struct digest *digest)
{
	const char *s = request_param(request, "HTTP_IF_NONE_MATCH");
	char str[DIGEST_STR_SIZE];

	if (!s)
		return false;
	digest_str(digest, str);
	while (*s) {
		size_t len;

		s += strspn(s, ", \t");
		len = strcspn(s, ", \t");
		if ((len == 1 && *s == '*') || is_etag(s, len, str))
			return true;
		s += len;
	}
	return false;
}

const char *request_range(const struct request *request,
			  const struct digest *digest)
{
	const char *if_range = request_param(request, "HTTP_IF_RANGE");
	char str[DIGEST_STR_SIZE];

	/* RFC 9110, 13.1.5: a weak tag or a date is no match. */
	if (if_range &&
	    (if_range[0] != '"' ||
	     !is_etag(if_range, strlen(if_range), digest_str(digest, str))))
		return NULL;
	return request_param(request, "HTTP_RANGE");
}

void request_location(const struct request *request, struct strbuf *out)
{
	strbuf_addf(out, "%s?", request->path);
	for (const char *p = request->query; *p; p = next_pair(p)) {
		size_t len = strcspn(p, "&");

		if (!len || is_hops(p))
			continue;
		strbuf_add(out, p, len);
		strbuf_addch(out, '&');
	}
	strbuf_addf(out, "w=%d", request->hops + 1);
}
