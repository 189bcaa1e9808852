// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "common/alloc.h"
#include "common/conf.h"
#include "common/store.h"
#include "tests/fuzz/fakestore.h"

#include "common/banned.h"

/* An output that is a conf of dockerTools' or ours, or a script with one. */

static void check_time(const struct isotime *t)
{
	char text[ISOTIME_SIZE], again[ISOTIME_SIZE];
	struct err err = ERR_INIT;
	struct isotime same;

	isotime_format(t, text);
	need(!isotime_parse(&same, text, &err));
	fuzz_need_same(isotime_format(&same, again), text);
	need(isotime_seconds(&same) == isotime_seconds(t));
}

static void check_conf(void)
{
	autoconf conf = CONF_INIT;
	struct err err = ERR_INIT;

	if (conf_read(&conf, STORE_OUTPUT, 1700000000, &err)) {
		fuzz_need_error(&err);
		return;
	}
	need(*conf.architecture && *conf.os);
	need(!conf.from_image || store_has_path(conf.from_image));
	need(!conf.customisation_layer ||
	     store_has_path(conf.customisation_layer));
	need(!conf.store_layers == !!conf.roots);
	need(conf.options.mtime >= 0);
	need(conf.options.uid < UINT32_MAX && conf.options.gid < UINT32_MAX);
	check_time(&conf.created);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	fakestore_write("", data, size);
	if (size >= 2 && !memcmp(data, "#!", 2)) {
		fakestore_open(&source_script);
		return 0;
	}
	check_conf();
	fakestore_open(&source_conf);
	return 0;
}
