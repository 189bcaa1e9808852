// SPDX-License-Identifier: MIT
#include "common/digest.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

#include "common/banned.h"

#define PREFIX	   "sha256:"
#define PREFIX_LEN (sizeof(PREFIX) - 1)

struct hasher {
	EVP_MD_CTX *ctx;
};

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int digest_parse_hex(struct digest *d, const char *s, size_t len,
		     struct err *err)
{
	struct digest parsed;

	if (len != DIGEST_HEX_SIZE - 1)
		return err_set(err, ERR_MALFORMED,
			       "a sha256 digest has 64 hex digits, not %zu",
			       len);
	for (size_t i = 0; i < DIGEST_RAW; i++) {
		int high = hex_value(s[2 * i]), low = hex_value(s[2 * i + 1]);

		if (high < 0 || low < 0)
			return err_set(err, ERR_MALFORMED,
				       "a sha256 digest has only the digits "
				       "0-9 and a-f");
		parsed.raw[i] = (unsigned char)(high << 4 | low);
	}
	*d = parsed;
	return 0;
}

static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_encoded(char c)
{
	return is_lower_alnum(c) || (c >= 'A' && c <= 'Z') || c == '=' ||
	       c == '_' || c == '-';
}

/*
 * digest    ::= algorithm ":" encoded
 * algorithm ::= component ([+._-] component)*, component ::= [a-z0-9]+
 * encoded   ::= [a-zA-Z0-9=_-]+
 */
static bool well_formed(const char *s, size_t len)
{
	size_t i = 0, start;

	for (;;) {
		start = i;
		while (i < len && is_lower_alnum(s[i]))
			i++;
		if (i == start || i == len)
			return false;
		if (s[i] == ':')
			break;
		/* Four characters; NUL is none of them. */
		/* NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
		if (!memchr("+._-", s[i], 4))
			return false;
		i++;
	}
	start = ++i;
	while (i < len && is_encoded(s[i]))
		i++;
	return i == len && i > start;
}

int digest_parse(struct digest *d, const char *s, size_t len, struct err *err)
{
	if (len > PREFIX_LEN && !memcmp(s, PREFIX, PREFIX_LEN))
		return digest_parse_hex(d, s + PREFIX_LEN, len - PREFIX_LEN,
					err);
	if (well_formed(s, len))
		return err_set(err, ERR_UNKNOWN,
			       "only sha256 digests are known here");
	return err_set(err, ERR_MALFORMED,
		       "a digest is sha256: and 64 hex digits");
}

const char *digest_hex(const struct digest *d, char out[DIGEST_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < DIGEST_RAW; i++) {
		out[2 * i] = digits[d->raw[i] >> 4];
		out[2 * i + 1] = digits[d->raw[i] & 15];
	}
	out[DIGEST_HEX_SIZE - 1] = 0;
	return out;
}

const char *digest_str(const struct digest *d, char out[DIGEST_STR_SIZE])
{
	memcpy(out, PREFIX, PREFIX_LEN);
	digest_hex(d, out + PREFIX_LEN);
	return out;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return !memcmp(a->raw, b->raw, DIGEST_RAW);
}

void digest_of(const void *data, size_t len, struct digest *d)
{
	unsigned int size = DIGEST_RAW;
	int ok = EVP_Digest(data, len, d->raw, &size, EVP_sha256(), NULL);

	assert(ok && size == DIGEST_RAW);
}

/* libcrypto fails here only without memory or without SHA-256. */
static void start(struct hasher *h)
{
	int ok = EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL);

	assert(ok);
}

struct hasher *hasher_new(void)
{
	struct hasher *h = xmalloc(sizeof(*h));

	h->ctx = EVP_MD_CTX_new();
	assert(h->ctx);
	start(h);
	return h;
}

void hasher_free(struct hasher *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

void hasher_update(struct hasher *h, const void *data, size_t len)
{
	int ok = EVP_DigestUpdate(h->ctx, data, len);

	assert(ok);
}

void hasher_final(struct hasher *h, struct digest *d)
{
	unsigned int size = DIGEST_RAW;
	int ok = EVP_DigestFinal_ex(h->ctx, d->raw, &size);

	assert(ok && size == DIGEST_RAW);
	start(h);
}

void cleanup_hasher(struct hasher **h)
{
	hasher_free(*h);
}
