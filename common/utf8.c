// SPDX-License-Identifier: MIT
#include "common/utf8.h"

#include <assert.h>
#include <string.h>

#include "common/banned.h"

size_t utf8_decode(const char *s, size_t len, uint32_t *c)
{
	const unsigned char *u = (const unsigned char *)s;
	/* The least character that needs so many bytes. */
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n;

	if (!len)
		return 0;
	if (u[0] < 0x80) {
		*c = u[0];
		return 1;
	}
	n = u[0] >= 0xf0 ? 4 : u[0] >= 0xe0 ? 3 : 2;
	if (u[0] < 0xc0 || u[0] > 0xf7 || len < n)
		return 0;
	*c = u[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (u[i] & 0x3f);
	}
	if (*c < least[n] || *c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff))
		return 0;
	return n;
}

void utf8_add(struct strbuf *out, uint32_t c)
{
	assert(c <= 0x10ffff && (c < 0xd800 || c > 0xdfff));
	if (c < 0x80) {
		strbuf_addch(out, (char)c);
		return;
	}
	if (c < 0x800) {
		strbuf_addch(out, (char)(0xc0 | c >> 6));
	} else {
		if (c < 0x10000) {
			strbuf_addch(out, (char)(0xe0 | c >> 12));
		} else {
			strbuf_addch(out, (char)(0xf0 | c >> 18));
			strbuf_addch(out, (char)(0x80 | (c >> 12 & 0x3f)));
		}
		strbuf_addch(out, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	strbuf_addch(out, (char)(0x80 | (c & 0x3f)));
}

bool utf8_is_ascii(const char *s, size_t len)
{
	unsigned char all = 0;

	for (size_t i = 0; i < len; i++)
		all |= (unsigned char)s[i];
	return all < 0x80;
}

bool utf8_is_valid(const char *s, size_t len)
{
	size_t n;

	for (uint32_t c; len; s += n, len -= n) {
		n = utf8_decode(s, len, &c);
		if (!n)
			return false;
	}
	return true;
}

uint32_t utf8_next(const char **s, const char *end)
{
	uint32_t c;
	size_t n = utf8_decode(*s, (size_t)(end - *s), &c);

	if (!n) {
		c = 0xdc00 + (unsigned char)**s;
		n = 1;
	}
	*s += n;
	return c;
}

/* By characters, of which one, if it is not 0, is before all others. */
static int compare(const char *a, const char *b, uint32_t first)
{
	const char *end_a, *end_b;

	/* Only at ASCII is it sure that both are between two characters. */
	while (*a && *a == *b && !(*a & 0x80))
		a++, b++;
	end_a = a + strlen(a);
	end_b = b + strlen(b);
	while (a < end_a && b < end_b) {
		uint32_t c = utf8_next(&a, end_a), d = utf8_next(&b, end_b);

		if (c == d)
			continue;
		if (c == first || d == first)
			return c == first ? -1 : 1;
		return c < d ? -1 : 1;
	}
	return (a < end_a) - (b < end_b);
}

int utf8_compare(const char *a, const char *b)
{
	return compare(a, b, 0);
}

int utf8_compare_paths(const char *a, const char *b)
{
	return compare(a, b, '/');
}
