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
 * Append a text with the user information of each URL in it, whatever looks
 * like the value of a secret in a query, and all that was learned, replaced by
 * "…".
 */
void secret_mask(struct strbuf *out, const char *text);

/*
 * What this process gives to git and Nix is learned before they run, for as
 * long as it lives: a server may send back what it was sent, and they print
 * that. A shorter one is none, since every text would have it.
 */
#define SECRET_MIN 4
#define SECRET_MAX 1024

void secret_learn(const char *secret);

/*
 * The password, the pair in base64 as HTTP has it (RFC 7617), and the user
 * where that is a token, without a password that is one.
 */
void secret_learn_login(const char *user, const char *password);

/* Every login of a netrc file's text; the access-tokens of a nix.conf's. */
void secret_learn_netrc(const char *text);
void secret_learn_nix_config(const char *text);

/* All of it, for who runs many times in one process. */
void secret_forget(void);

/* So many bytes at s are a secret that was learned, if need be with escapes. */
size_t secret_known(const char *s);

#endif
