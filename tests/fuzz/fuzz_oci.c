// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/digest.h"
#include "common/index.h"
#include "tests/fuzz/fakestore.h"

#include "common/banned.h"

/*
 * An output that is an OCI image layout. The parts of the input are index.json
 * and its blobs; "@1@" in one stands for the digest of the first part behind
 * it, so that there are digests that are right.
 */

#define PARTS_MAX 8

struct part {
	struct strbuf text;
	char digest[DIGEST_STR_SIZE];
};

/* Put the digests of the parts behind i in, and their sizes for a 10. */
static void put_digests(struct part *parts, size_t nr, size_t i,
			const unsigned char *data, size_t size)
{
	static const char next[] = "\", \"size\": 10";
	const size_t len = sizeof(next) - 1;

	for (size_t at = 0; at < size; at++) {
		size_t other = 0;

		if (data[at] == '@' && size - at > 2 && data[at + 2] == '@')
			other = (size_t)(data[at + 1] - '0');
		if (other && other < nr - i) {
			strbuf_addstr(&parts[i].text, parts[i + other].digest);
			at += 2;
			if (size - at - 1 < len ||
			    memcmp(data + at + 1, next, len) != 0)
				continue;
			strbuf_addf(&parts[i].text, "\", \"size\": %zu",
				    parts[i + other].text.len);
			at += len;
		} else {
			strbuf_addch(&parts[i].text, (char)data[at]);
		}
	}
}

static void write_blob(struct part *part)
{
	autofree char *name = NULL;
	struct digest digest;
	char hex[DIGEST_HEX_SIZE];

	digest_of(part->text.buf, part->text.len, &digest);
	digest_str(&digest, part->digest);
	name = xasprintf("/blobs/sha256/%s", digest_hex(&digest, hex));
	fakestore_write(name, part->text.buf, part->text.len);
}

/* What index_format() writes of an index that was read is read the same. */
static void check_index(const struct strbuf *text)
{
	autoindex index = IMAGE_INDEX_INIT, again = IMAGE_INDEX_INIT;
	autostrbuf out = STRBUF_INIT, same = STRBUF_INIT;
	struct err err = ERR_INIT;

	if (index_parse(&index, text->buf, text->len, "index", &err)) {
		fuzz_need_error(&err);
		return;
	}
	index_format(&out, &index);
	need(!index_parse(&again, out.buf, out.len, "index", &err));
	index_format(&same, &again);
	fuzz_need_same(same.buf, out.buf);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static const char marker[] = "{\"imageLayoutVersion\": \"1.0.0\"}";
	struct {
		const unsigned char *data;
		size_t size;
	} raw[PARTS_MAX];
	struct part parts[PARTS_MAX];
	size_t nr = 0;

	while (nr < PARTS_MAX &&
	       fuzz_part(&data, &size, &raw[nr].data, &raw[nr].size))
		nr++;
	if (!nr)
		return 0;
	fakestore_empty();
	fakestore_write("/oci-layout", marker, strlen(marker));
	for (size_t i = nr; i-- > 0;) {
		parts[i].text = (struct strbuf)STRBUF_INIT;
		put_digests(parts, nr, i, raw[i].data, raw[i].size);
		write_blob(&parts[i]);
	}
	fakestore_write("/index.json", parts[0].text.buf, parts[0].text.len);
	check_index(&parts[0].text);
	fakestore_open(&source_oci);
	fakestore_empty();
	for (size_t i = 0; i < nr; i++)
		strbuf_release(&parts[i].text);
	return 0;
}
