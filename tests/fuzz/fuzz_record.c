// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "common/manifest.h"
#include "common/record.h"

#include "common/banned.h"

/* The record of an image, as another process wrote it. */

static void check_keys(const struct record *a, const struct record *b)
{
	need(a->nr == b->nr);
	for (size_t i = 0; i < a->nr; i++)
		for (enum compression c = 0; c < COMPRESSIONS; c++) {
			struct digest x, y;

			layer_input_key(&a->inputs[i], c, &x);
			layer_input_key(&b->inputs[i], c, &y);
			need(digest_equal(&x, &y));
		}
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	autorecord record = RECORD_INIT, again = RECORD_INIT;
	autostrbuf text = STRBUF_INIT, same = STRBUF_INIT;
	struct err err = ERR_INIT;

	if (record_parse(&record, (const char *)data, size, "record", &err)) {
		fuzz_need_error(&err);
		return 0;
	}
	need(record.flake && record.url && record.locks && record.config &&
	     record.kind && record.compression);
	record_format(&text, &record);
	if (record_parse(&again, text.buf, text.len, "record", &err)) {
		fuzz_need_same(err.msg, "");
		return 0;
	}
	record_format(&same, &again);
	fuzz_need_same(same.buf, text.buf);
	check_keys(&record, &again);
	return 0;
}
