// SPDX-License-Identifier: MIT
#ifndef TESTS_UNIT_FCGICLIENT_H
#define TESTS_UNIT_FCGICLIENT_H

#include "common/strbuf.h"

/*
 * A web server for tests: asks one thing of a FastCGI socket. What fails here
 * fails the test.
 */

/* Listen at a path; the caller closes it. */
int fcgiclient_listen(const char *path);

/* Send GET of the URI to who listens there. The connection, to be read. */
int fcgiclient_ask(const char *path, const char *uri);

/* What came of it, until its end: header fields and body. Closes fd. */
void fcgiclient_answer(int fd, struct strbuf *out);

#endif
