// SPDX-License-Identifier: MIT
#include "common/probe.h"

#include <stddef.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/json.h"

#include "common/banned.h"

/*
 * A conf is told by the end of its name from whatever else a package may have
 * as `conf`. Of several outputs the one with the programs is wanted, unless
 * another was asked for.
 */
const char probe_function[] =
	"v: let\n"
	"  try = x: let t = builtins.tryEval x; in\n"
	"    if t.success then t.value else null;\n"
	"  text = x: let t = try x; in\n"
	"    if builtins.isString t && t != \"\"\n"
	"    then builtins.unsafeDiscardStringContext t else null;\n"
	"  meta = let m = try (v.meta or { }); in\n"
	"    if builtins.isAttrs m then m else { };\n"
	"  isConf = c: c.type or \"\" == \"derivation\" && c ? drvPath &&\n"
	"    builtins.match \".*[.]json\" (c.name or \"\") != null;\n"
	"  hasConf = x: try (builtins.isAttrs x && x ? conf &&\n"
	"    builtins.isAttrs x.conf && isConf x.conf) == true;\n"
	"  part =\n"
	"    if hasConf v then \"conf\"\n"
	"    else if v ? stream && hasConf v.stream then \"stream.conf\"\n"
	"    else \"\";\n"
	"  found = if part == \"conf\" then v.conf\n"
	"    else if part == \"stream.conf\" then v.stream.conf else v;\n"
	"  outputs = let o = try (found.outputs or [ ]); in\n"
	"    if builtins.isList o then o else [ ];\n"
	"  first = x: if builtins.isList x\n"
	"    then (if x == [ ] then null else builtins.head x) else x;\n"
	"  license = l: text (if builtins.isAttrs l\n"
	"    then l.spdxId or l.shortName or l.fullName or null else l);\n"
	"  licenses = builtins.filter builtins.isString (map license\n"
	"    (let l = meta.license or [ ]; in\n"
	"      if builtins.isList l then l else [ l ]));\n"
	"  name = text (v.name or null);\n"
	"in {\n"
	"  found = true;\n"
	"  inherit part name;\n"
	"  drvPath = found.drvPath;\n"
	"  output =\n"
	"    if try (found.outputSpecified or false) != true &&\n"
	"      builtins.elem \"bin\" outputs\n"
	"    then \"bin\" else found.outputName or \"out\";\n"
	"  pname = let p = text (v.pname or null); in\n"
	"    if p != null || name == null then p\n"
	"    else (builtins.parseDrvName name).name;\n"
	"  version = let n = text (v.version or null); in\n"
	"    if n != null || name == null then n\n"
	"    else text (builtins.parseDrvName name).version;\n"
	"  mainProgram = text (meta.mainProgram or null);\n"
	"  description = text (meta.description or null);\n"
	"  homepage = text (first (meta.homepage or null));\n"
	"  licenses = text (builtins.concatStringsSep \" AND \" licenses);\n"
	"}";

#define EVAL "nix eval"

static const struct {
	const char *key;
	size_t offset;
} fields[] = {
	{ "part", offsetof(struct probe, part) },
	{ "drvPath", offsetof(struct probe, drv_path) },
	{ "output", offsetof(struct probe, output) },
	{ "name", offsetof(struct probe, name) },
	{ "pname", offsetof(struct probe, pname) },
	{ "version", offsetof(struct probe, version) },
	{ "mainProgram", offsetof(struct probe, main_program) },
	{ "description", offsetof(struct probe, description) },
	{ "homepage", offsetof(struct probe, homepage) },
	{ "licenses", offsetof(struct probe, licenses) },
};

static char **field_of(struct probe *probe, size_t i)
{
	return (char **)((char *)probe + fields[i].offset);
}

void probe_release(struct probe *probe)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		free(*field_of(probe, i));
	for (size_t i = 0; i < probe->nr_roots; i++)
		free(probe->roots[i]);
	free(probe->roots);
	*probe = (struct probe)PROBE_INIT;
}

static int missing(const char *key, struct err *err)
{
	return err_set(err, ERR_MALFORMED, EVAL ": key '%s': it is missing",
		       key);
}

static int read_roots(struct probe *probe, struct json_object *json,
		      struct err *err)
{
	struct json_object *roots = NULL;
	size_t nr;

	if (json_want_array(json, "roots", &roots, EVAL, err))
		return -1;
	if (!roots)
		return 0;
	nr = json_object_array_length(roots);
	probe->roots = xcalloc(nr, sizeof(*probe->roots));
	for (size_t i = 0; i < nr; i++) {
		const char *path = json_string_at(roots, i);

		if (!path)
			return err_set(err, ERR_MALFORMED,
				       EVAL ": key 'roots': expected store "
					    "paths");
		probe->roots[probe->nr_roots++] = xstrdup(path);
	}
	return 0;
}

int probe_read(struct probe *probe, struct json_object *json, struct err *err)
{
	*probe = (struct probe)PROBE_INIT;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const char *value = NULL;

		if (json_want_string(json, fields[i].key, &value, EVAL, err)) {
			probe_release(probe);
			return -1;
		}
		if (value)
			*field_of(probe, i) = xstrdup(value);
	}
	if (read_roots(probe, json, err)) {
		probe_release(probe);
		return -1;
	}
	if (probe->part && probe->drv_path && probe->output)
		return 0;
	missing(!probe->part	   ? "part"
		: !probe->drv_path ? "drvPath"
				   : "output",
		err);
	probe_release(probe);
	return -1;
}

struct json_object *probe_annotations(const struct probe *probe)
{
	struct json_object *json = NULL;
	const struct {
		const char *key, *value;
	} rows[] = {
		{ "org.opencontainers.image.title", probe->pname },
		{ "org.opencontainers.image.version", probe->version },
		{ "org.opencontainers.image.licenses", probe->licenses },
		{ "org.opencontainers.image.description", probe->description },
		{ "org.opencontainers.image.url", probe->homepage },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!rows[i].value)
			continue;
		if (!json)
			json = json_object_new_object();
		json_object_object_add(json, rows[i].key,
				       json_object_new_string(rows[i].value));
	}
	return json;
}
