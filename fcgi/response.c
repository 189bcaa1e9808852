// SPDX-License-Identifier: MIT
#include "fcgi/response.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"
#include "fcgi/retry.h"

#include "common/banned.h"

static const struct {
	int status;
	const char *code;
} problems[] = {
	[PROBLEM_BLOB_UNKNOWN] = { 404, "BLOB_UNKNOWN" },
	[PROBLEM_DENIED] = { 403, "DENIED" },
	[PROBLEM_DIGEST_INVALID] = { 400, "DIGEST_INVALID" },
	[PROBLEM_MANIFEST_UNKNOWN] = { 404, "MANIFEST_UNKNOWN" },
	[PROBLEM_NAME_INVALID] = { 400, "NAME_INVALID" },
	[PROBLEM_NAME_UNKNOWN] = { 404, "NAME_UNKNOWN" },
	[PROBLEM_NO_ROUTE] = { 404, "UNSUPPORTED" },
	[PROBLEM_PAGINATION] = { 400, "PAGINATION_NUMBER_INVALID" },
	[PROBLEM_RANGE_INVALID] = { 400, "RANGE_INVALID" },
	[PROBLEM_RANGE_UNSATISFIABLE] = { 416, "RANGE_INVALID" },
	[PROBLEM_TAG_INVALID] = { 400, "TAG_INVALID" },
	[PROBLEM_TOO_MANY_REQUESTS] = { 429, "TOOMANYREQUESTS" },
	[PROBLEM_UNAVAILABLE] = { 503, "UNAVAILABLE" },
	[PROBLEM_UNSUPPORTED] = { 405, "UNSUPPORTED" },
};

/*
 * Of errors that a build ended with. Nix's and the upstream's are a 404
 * because clients show that message to who asked; none shows that of a 5xx.
 */
static const enum problem of_err[] = {
	[ERR_NONE] = PROBLEM_DENIED,
	[ERR_MALFORMED] = PROBLEM_MANIFEST_UNKNOWN,
	[ERR_UNKNOWN] = PROBLEM_MANIFEST_UNKNOWN,
	[ERR_BUSY] = PROBLEM_TOO_MANY_REQUESTS,
	[ERR_TIMED_OUT] = PROBLEM_MANIFEST_UNKNOWN,
	[ERR_NIX] = PROBLEM_MANIFEST_UNKNOWN,
	[ERR_UPSTREAM] = PROBLEM_MANIFEST_UNKNOWN,
	[ERR_REFUSED] = PROBLEM_DENIED,
	[ERR_SYSTEM] = PROBLEM_DENIED,
};

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{ 200, "OK" },
	{ 206, "Partial Content" },
	{ 304, "Not Modified" },
	{ 307, "Temporary Redirect" },
	{ 400, "Bad Request" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 416, "Range Not Satisfiable" },
	{ 429, "Too Many Requests" },
	{ 503, "Service Unavailable" },
};

void response_release(struct response *response)
{
	strbuf_release(&response->fields);
	strbuf_release(&response->body);
	if (response->fd >= 0)
		close(response->fd);
	*response = (struct response)RESPONSE_INIT;
}

void response_field(struct response *response, const char *name,
		    const char *format, ...)
{
	struct strbuf *fields = &response->fields;
	autofree char *value = NULL;
	va_list ap;

	va_start(ap, format);
	value = xvasprintf(format, ap);
	va_end(ap);
	for (char *p = value; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	strbuf_addstr(fields, name);
	strbuf_addstr(fields, ": ");
	strbuf_addstr(fields, value);
	strbuf_addstr(fields, "\r\n");
}

void response_quoted_field(struct response *response, const char *name,
			   const char *before, const char *text)
{
	autostrbuf quoted = STRBUF_INIT;

	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			strbuf_addch(&quoted, '\\');
		strbuf_addch(&quoted,
			     *text >= ' ' && *text <= '~' ? *text : ' ');
	}
	response_field(response, name, "%s\"%s\"", before, quoted.buf);
}

void response_body(struct response *response, const char *type,
		   const void *data, size_t len)
{
	response_field(response, "Content-Type", "%s", type);
	strbuf_reset(&response->body);
	strbuf_add(&response->body, data, len);
	response->length = (int64_t)len;
}

void response_digest(struct response *response, const struct digest *digest)
{
	char str[DIGEST_STR_SIZE];

	digest_str(digest, str);
	response_field(response, "Docker-Content-Digest", "%s", str);
	response_field(response, "ETag", "\"%s\"", str);
}

/* As a JSON string. text is UTF-8: text_clean() made it so. */
static void add_json_string(struct strbuf *out, const char *text)
{
	strbuf_addch(out, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			strbuf_addch(out, '\\');
		if (*text == '\n')
			strbuf_addstr(out, "\\n");
		else if ((unsigned char)*text < ' ')
			strbuf_addf(out, "\\u%04x", (unsigned int)*text);
		else
			strbuf_addch(out, *text);
	}
	strbuf_addch(out, '"');
}

static void set_error(struct response *response, enum problem problem,
		      const char *msg, size_t len)
{
	autostrbuf clean = STRBUF_INIT;
	autostrbuf json = STRBUF_INIT;

	response_release(response);
	response->status = problems[problem].status;
	text_clean(&clean, msg, len);
	strbuf_addf(&json, "{\"errors\":[{\"code\":\"%s\",\"message\":",
		    problems[problem].code);
	add_json_string(&json, clean.buf);
	strbuf_addstr(&json, "}]}\n");
	response_body(response, "application/json", json.buf, json.len);
	response_field(response, "Cache-Control", "no-store");
	if (response->status == 429 || response->status == 503)
		response_field(response, "Retry-After", "%d",
			       RETRY_AFTER_SECONDS);
	if (response->status == 405)
		response_field(response, "Allow", "GET, HEAD");
}

int response_error(struct response *response, enum problem problem,
		   const char *format, ...)
{
	char msg[ERR_MSG_SIZE + 1024];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(msg, sizeof(msg), format, ap);
	va_end(ap);
	if (n < 0)
		abort();
	set_error(response, problem, msg, strlen(msg));
	return -1;
}

enum problem problem_of(enum err_code code)
{
	return of_err[code];
}

static const char *reason_of(int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

void response_head(const struct response *response, struct strbuf *out)
{
	strbuf_addf(out, "Status: %d %s\r\n", response->status,
		    reason_of(response->status));
	strbuf_addstr(out, "Docker-Distribution-API-Version: "
			   "registry/2.0\r\n");
	strbuf_add(out, response->fields.buf, response->fields.len);
	/* RFC 9110, 8.6: on a 304 it would be the length of the 200. */
	if (response->length >= 0 && response->status != 304)
		strbuf_addf(out, "Content-Length: %" PRId64 "\r\n",
			    response->length);
	strbuf_addstr(out, "\r\n");
}
