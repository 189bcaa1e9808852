// SPDX-License-Identifier: MIT
#ifndef COMMON_SECRET_H
#define COMMON_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "common/strbuf.h"

/*
 * What of a URL is not to be shown: user and password (RFC 3986, 3.2.1), and
 * in its query the values of keys that sound like it, as `private_token` of
 * forges, `X-Amz-Signature` of object stores and `sig` of Azure's.
 */

/* Does a key of so many bytes, escapes and case aside, sound like a secret? */
bool secret_is_key(const char *key, size_t len);

/*
 * Append a text with the user information of each URL in it, and whatever
 * looks like the value of a secret in a query, replaced by "…".
 */
void secret_mask(struct strbuf *out, const char *text);

#endif
