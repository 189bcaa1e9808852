// SPDX-License-Identifier: MIT
#ifndef FCGI_REPLY_H
#define FCGI_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/strbuf.h"

/*
 * The standard output of one FastCGI request, and its end (FastCGI 1.0, 5.3
 * and 5.5). libfcgi would do, but writes 8 KiB at a time, each of which wakes
 * the web server: here what fits into one record goes out with the end of the
 * request by one call.
 */
struct reply {
	int fd;
	uint16_t id;	   /* the request's */
	bool has_failed;   /* nothing is sent any more */
	struct strbuf out; /* a record's header, and what is in it so far */
};

void reply_init(struct reply *reply, int fd, int id);
void reply_release(struct reply *reply);
#define autoreply __attribute__((cleanup(reply_release))) struct reply

void reply_write(struct reply *reply, const void *data, size_t len);

/* length bytes of a file. Where it has less, the reply has failed. */
void reply_write_file(struct reply *reply, int file, uint64_t offset,
		      uint64_t length);

/*
 * Send the rest and the end of the request. A reply that has failed gets no
 * end: that the connection is closed without one is how the web server knows.
 */
void reply_end(struct reply *reply);

#endif
