// SPDX-License-Identifier: MIT
#ifndef FCGI_REQUEST_H
#define FCGI_REQUEST_H

#include <stdbool.h>

#include "common/descriptor.h"
#include "common/strbuf.h"
#include "fcgi/response.h"

/*
 * What a client asked, out of the parameters of a FastCGI request. Only
 * REQUEST_URI says what for: the web servers take SCRIPT_NAME and PATH_INFO
 * apart, decode them and merge slashes, each in its own way.
 */
struct request {
	char *const *params; /* "NAME=value", NULL at the end */
	bool head;
	/* Decoded once; printable ASCII, no "//", no "." or ".." segment. */
	char *path;
	const char *query; /* as sent, printable ASCII; "" for none */
	int hops;	   /* how often the client was sent to itself: w=N */
};

/*
 * Parse. params must outlive the request. Whatever cannot be served at all,
 * a malformed path or a method that writes, is -1 with its answer in error.
 */
MUST_CHECK int request_parse(struct request *request, char *const *params,
			     struct response *error);
void request_release(struct request *request);
#define REQUEST_INIT                                                           \
	{                                                                      \
		.params = NULL, .head = false, .path = NULL, .query = "",      \
		.hops = 0                                                      \
	}
#define autorequest __attribute__((cleanup(request_release))) struct request

/* The first parameter of that name, or NULL. */
const char *request_param(const struct request *request, const char *name);

/*
 * Does the client take this media type? So it is without any Accept header.
 * nginx passes each such header as a parameter of its own.
 */
bool request_accepts(const struct request *request, enum media_type type);

/* If-None-Match holds this digest's ETag (RFC 9110, 13.1.2). */
bool request_has_etag(const struct request *request,
		      const struct digest *digest);

/* The Range header, or NULL if there is none or If-Range rules it out. */
const char *request_range(const struct request *request,
			  const struct digest *digest);

/* Append the path and query to ask again, with one hop more. */
void request_location(const struct request *request, struct strbuf *out);

#endif
