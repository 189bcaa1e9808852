// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "common/probe.h"

#include "common/banned.h"

/* What `nix eval` prints of the probe. */

static void check_annotations(const struct probe *probe)
{
	autojson *json = probe_annotations(probe);

	if (!json)
		return;
	json_object_object_foreach(json, key, value)
	{
		need(!strncmp(key, "org.opencontainers.image.", 25));
		need(json_object_is_type(value, json_type_string));
	}
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	autojson *json = fuzz_json(data, size);
	struct err err = ERR_INIT;
	struct probe probe;

	if (!json)
		return 0;
	if (probe_read(&probe, json, &err)) {
		fuzz_need_error(&err);
		need(!probe.part && !probe.drv_path && !probe.roots);
		return 0;
	}
	need(probe.part && probe.drv_path && probe.output);
	for (size_t i = 0; i < probe.nr_roots; i++)
		need(probe.roots[i]);
	check_annotations(&probe);
	probe_release(&probe);
	return 0;
}
