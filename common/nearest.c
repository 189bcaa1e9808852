// SPDX-License-Identifier: MIT
#include "common/nearest.h"

#include <ctype.h>
#include <string.h>

#include "common/alloc.h"

#include "common/banned.h"

/* Longer names are cut: enough to tell which are near. */
#define NAME_MAX_COMPARED 64
#define FOUND_MAX	  8

struct found {
	const char *name;
	size_t edits;
};

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Levenshtein's distance, of the first NAME_MAX_COMPARED bytes. */
static size_t edits(const char *a, const char *b)
{
	size_t row[NAME_MAX_COMPARED + 1];
	size_t len_a = strnlen(a, NAME_MAX_COMPARED);
	size_t len_b = strnlen(b, NAME_MAX_COMPARED);

	for (size_t j = 0; j <= len_b; j++)
		row[j] = j;
	for (size_t i = 0; i < len_a; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < len_b; j++) {
			int same = tolower((unsigned char)a[i]) ==
				   tolower((unsigned char)b[j]);
			size_t next = min3(row[j + 1] + 1, row[j] + 1,
					   diagonal + !same);

			diagonal = row[j + 1];
			row[j + 1] = next;
		}
	}
	return row[len_b];
}

/* A name that holds the other is near; else a third of it may be other. */
static size_t distance(const char *wanted, const char *name)
{
	size_t len = strlen(wanted), n = edits(wanted, name);

	if (len > 2 && strcasestr(name, wanted))
		return 1;
	return n <= (len + 2) / 3 ? n + 1 : (size_t)-1;
}

void nearest_names(struct strbuf *out, const char *wanted,
		   const char *const *names, size_t nr, size_t max)
{
	struct found found[FOUND_MAX] = { { NULL, 0 } };
	size_t nr_found = 0;

	if (max > FOUND_MAX)
		max = FOUND_MAX;
	for (size_t i = 0; i < nr; i++) {
		size_t d = distance(wanted, names[i]), at = nr_found;

		if (d == (size_t)-1)
			continue;
		while (at && found[at - 1].edits > d)
			at--;
		if (at == max)
			continue;
		if (nr_found < max)
			nr_found++;
		memmove(found + at + 1, found + at,
			(nr_found - at - 1) * sizeof(*found));
		found[at] = (struct found){ .name = names[i], .edits = d };
	}
	for (size_t i = 0; i < nr_found; i++) {
		if (i)
			strbuf_addstr(out, i + 1 == nr_found ? " or " : ", ");
		strbuf_addstr(out, found[i].name);
	}
}
