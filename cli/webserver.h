// SPDX-License-Identifier: MIT
#ifndef CLI_WEBSERVER_H
#define CLI_WEBSERVER_H

#include <stdbool.h>

#include "common/strbuf.h"

/*
 * lighttpd's configuration for `flakehub serve`: lighttpd.conf.example, which
 * is built into the program, with the lines of this table in place of its
 * own. All paths are absolute.
 */
struct webserver {
	const char *host; /* a numeric address; IPv6 in brackets */
	const char *port;
	const char *cache_dir;
	const char *socket;    /* of the responder */
	const char *directory; /* for its log and temporary files */
	bool debug;	       /* its log and the access log on stderr */
};

void webserver_format(struct strbuf *out, const struct webserver *webserver);

/* lighttpd ended: why, as far as the last line of its log says. Returns -1. */
int webserver_ended(const char *directory, struct err *err);

#endif
