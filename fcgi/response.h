// SPDX-License-Identifier: MIT
#ifndef FCGI_RESPONSE_H
#define FCGI_RESPONSE_H

#include <stdint.h>

#include "common/digest.h"
#include "common/err.h"
#include "common/strbuf.h"

/*
 * What a request is answered with: a status, header fields, and a body that
 * is bytes in memory, a part of a file, or the web server's own affair. No
 * header field can hold a line's end, whatever it is made from.
 */
struct response {
	int status;
	struct strbuf fields; /* "Name: value\r\n" each */
	struct strbuf body;
	int fd;		 /* the body is from this file instead; -1 for none */
	uint64_t offset; /* where in the file it starts */
	/* Bytes of the body, also for HEAD; < 0 when the server finds out. */
	int64_t length;
};
#define RESPONSE_INIT                                                          \
	{                                                                      \
		.status = 200, .fields = STRBUF_INIT, .body = STRBUF_INIT,     \
		.fd = -1, .offset = 0, .length = 0                             \
	}
void response_release(struct response *response);
#define autoresponse __attribute__((cleanup(response_release))) struct response

/* Add a header field. Control characters in its value become spaces. */
void response_field(struct response *response, const char *name,
		    const char *format, ...) PRINTF_LIKE(3, 4);

/* The same for a text of any bytes, as a quoted string (RFC 9110, 5.6.4). */
void response_quoted_field(struct response *response, const char *name,
			   const char *before, const char *text);

/* The body is these bytes, with their length. */
void response_body(struct response *response, const char *type,
		   const void *data, size_t len);

/* Docker-Content-Digest and ETag. */
void response_digest(struct response *response, const struct digest *digest);

/* The codes of errors: distribution-spec, "Error codes", and distribution's. */
enum problem {
	PROBLEM_BLOB_UNKNOWN,
	PROBLEM_DENIED,
	PROBLEM_DIGEST_INVALID,
	PROBLEM_MANIFEST_UNKNOWN,
	PROBLEM_NAME_INVALID,
	PROBLEM_NAME_UNKNOWN,
	PROBLEM_NO_ROUTE,
	PROBLEM_PAGINATION,
	PROBLEM_RANGE_INVALID,
	PROBLEM_RANGE_UNSATISFIABLE,
	PROBLEM_TAG_INVALID,
	PROBLEM_TOO_MANY_REQUESTS,
	PROBLEM_UNAVAILABLE,
	PROBLEM_UNSUPPORTED,
};

/*
 * Answer with an error instead of what was there: its status, and
 * {"errors":[{"code","message"}]}. Clients show the message of a 4xx to their
 * users and none of a 5xx. The message goes through text_clean(). Always
 * returns -1.
 */
int response_error(struct response *response, enum problem problem,
		   const char *format, ...) PRINTF_LIKE(3, 4);

/* The problem that a build's error is to clients. */
enum problem problem_of(enum err_code code);

/* Append status line, fields and the empty line, as CGI has them. */
void response_head(const struct response *response, struct strbuf *out);

#endif
