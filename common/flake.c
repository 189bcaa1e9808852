// SPDX-License-Identifier: MIT
#include "common/flake.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/nearest.h"
#include "common/plan.h"

#include "common/banned.h"

/* How many names an error offers. */
#define NEAREST 3

void flake_output_release(struct flake_output *output)
{
	free(output->attribute_path);
	probe_release(&output->probe);
	*output = (struct flake_output)FLAKE_OUTPUT_INIT;
}

/*
 * Applied to a flake's `packages.SYSTEM` or `legacyPackages.SYSTEM`: walks to
 * the attribute and says what the probe does of it, or the names where the way
 * ends.
 */
static const char walk[] =
	"probe: set: path: let\n"
	"  isDerivation = v: builtins.isAttrs v && v.type or \"\" == "
	"\"derivation\";\n"
	"  walk = v: path: depth:\n"
	"    if path == [ ] then\n"
	"      if isDerivation v && v ? drvPath then probe v\n"
	"      else if builtins.isAttrs v then {\n"
	"        found = false; inherit depth; names = builtins.attrNames v;\n"
	"        type = if isDerivation v then \"no drvPath\" else \"set\";\n"
	"      } else {\n"
	"        found = false; inherit depth; names = [ ];\n"
	"        type = builtins.typeOf v;\n"
	"      }\n"
	"    else if !(builtins.isAttrs v) || isDerivation v then {\n"
	"      found = false; inherit depth; names = [ ];\n"
	"      type = if isDerivation v then \"derivation\"\n"
	"        else builtins.typeOf v;\n"
	"    } else if v ? ${builtins.head path} then\n"
	"      walk v.${builtins.head path} (builtins.tail path) (depth + 1)\n"
	"    else {\n"
	"      found = false; inherit depth; names = builtins.attrNames v;\n"
	"    };\n"
	"in walk set path 0";

struct attribute {
	char **components;
	size_t nr;
};

static void attribute_release(struct attribute *a)
{
	for (size_t i = 0; i < a->nr; i++)
		free(a->components[i]);
	free(a->components);
}

static void attribute_split(struct attribute *a, const char *text)
{
	size_t alloc = 0;

	*a = (struct attribute){ .nr = 0 };
	if (!*text)
		text = "default";
	for (;;) {
		const char *slash = strchrnul(text, '/');

		ALLOC_GROW(a->components, a->nr, alloc);
		a->components[a->nr++] = xstrndup(text, (size_t)(slash - text));
		if (!*slash)
			return;
		text = slash + 1;
	}
}

/* As a Nix user writes it: components that are no identifiers quoted. */
static char *attribute_text(const char *set, const char *system,
			    const struct attribute *a)
{
	autostrbuf text = STRBUF_INIT;

	strbuf_addf(&text, "%s.%s", set, system);
	for (size_t i = 0; i < a->nr; i++) {
		const char *c = a->components[i];

		strbuf_addch(&text, '.');
		if (strspn(c, "abcdefghijklmnopqrstuvwxyz"
			      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			      "0123456789_-'") == strlen(c))
			strbuf_addstr(&text, c);
		else
			nix_quote(&text, c);
	}
	return strbuf_detach(&text, NULL);
}

static int evaluate(struct nix *nix, const struct flake_pin *pin,
		    const char *set, const char *system,
		    const struct attribute *a, struct json_object **json,
		    struct err *err)
{
	/* `packages` alone would be a package of that name, if there is one. */
	autofree char *installable =
		xasprintf("%s#%s.%s", pin->url, set, system);
	autostrbuf function = STRBUF_INIT;

	strbuf_addf(&function, "set: (%s) (%s) set [ ", walk, probe_function);
	for (size_t i = 0; i < a->nr; i++) {
		nix_quote(&function, a->components[i]);
		strbuf_addch(&function, ' ');
	}
	strbuf_addch(&function, ']');
	return nix_eval(nix, installable, function.buf, json, err);
}

/* Did nix fail only because the flake has no such set of outputs? */
static bool has_no_set(const struct err *err)
{
	return err->code == ERR_NIX &&
	       strstr(err->msg, "does not provide attribute");
}

#define EVAL "nix eval"

static int read_output(struct json_object *json, const char *set,
		       const char *system, const struct attribute *a,
		       struct flake_output *output, struct err *err)
{
	const struct probe *probe = &output->probe;
	autofree char *path = attribute_text(set, system, a);

	if (probe_read(&output->probe, json, err))
		return -1;
	output->attribute_path =
		xasprintf("%s%s%s", path, *probe->part ? "." : "", probe->part);
	return 0;
}

/* The names where the walk ended, as an array that borrows from json. */
static int read_names(struct json_object *json, const char ***names, size_t *nr,
		      struct err *err)
{
	struct json_object *array;

	if (json_need_array(json, "names", &array, EVAL, err))
		return -1;
	*nr = json_object_array_length(array);
	*names = xcalloc(*nr, sizeof(**names));
	for (size_t i = 0; i < *nr; i++) {
		struct json_object *name = json_object_array_get_idx(array, i);

		if (!json_object_is_type(name, json_type_string))
			return err_set(err, ERR_MALFORMED,
				       EVAL ": names: expected strings");
		(*names)[i] = json_object_get_string(name);
	}
	return 0;
}

/*
 * Replace the component that was not found by the only name that is the same
 * but for case. 1 if there is one, 0 if not; two are an error.
 */
static int ignore_case(struct attribute *a, size_t depth,
		       const char *const *names, size_t nr, struct err *err)
{
	const char *match = NULL;

	for (size_t i = 0; i < nr; i++) {
		if (strcasecmp(names[i], a->components[depth]))
			continue;
		if (match)
			return err_set(err, ERR_UNKNOWN,
				       "%s could be %s or %s, and a "
				       "repository name has no upper case",
				       a->components[depth], match, names[i]);
		match = names[i];
	}
	if (!match)
		return 0;
	free(a->components[depth]);
	a->components[depth] = xstrdup(match);
	return 1;
}

const char *flake_type_text(const char *type)
{
	static const struct {
		const char *type, *text;
	} rows[] = {
		{ "set", "a set of others" },
		{ "derivation", "a derivation" },
		{ "lambda", "a function" },
		{ "string", "a string" },
		{ "path", "a path" },
		{ "list", "a list" },
		{ "int", "an integer" },
		{ "float", "a float" },
		{ "bool", "a boolean" },
		{ "null", "null" },
		{ "no drvPath",
		  "a set of type \"derivation\" without drvPath" },
		{ "no outPath",
		  "a set of type \"derivation\" without outPath" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(rows[i].type, type))
			return rows[i].text;
	return "of another type";
}

/* It ended at what is of that type, NULL if at a set without the name. */
static int no_such_attribute(const struct attribute *a, size_t depth,
			     const char *type, const char *flake_name,
			     const char *system, const char *const *names,
			     size_t nr, struct err *err)
{
	autostrbuf near = STRBUF_INIT;
	autofree char *path = attribute_text("packages", system, a);
	const struct attribute above = { a->components, depth };
	autofree char *end = attribute_text("packages", system, &above);

	if (depth < a->nr)
		nearest_names(&near, a->components[depth], names, nr, NEAREST);
	if (!near.len && nr)
		for (size_t i = 0; i < nr && i < NEAREST; i++)
			strbuf_addf(&near, "%s%s", i ? ", " : "", names[i]);
	if (type && depth == a->nr)
		return err_set(err, ERR_UNKNOWN,
			       "%s of %s is %s, not a derivation%s%s%s", path,
			       flake_name, flake_type_text(type),
			       near.len ? " (in it: " : "", near.buf,
			       near.len ? ")" : "");
	if (type)
		return err_set(err, ERR_UNKNOWN,
			       "%s has no package %s: %s is %s", flake_name,
			       path, end, flake_type_text(type));
	return err_set(err, ERR_UNKNOWN, "%s has no package %s%s%s%s",
		       flake_name, path, near.len ? " (nearest: " : "",
		       near.buf, near.len ? ")" : "");
}

/* Look in one set of outputs: 1 found, 0 not there, -1 and err. */
static int find_in(struct nix *nix, const struct flake_pin *pin,
		   const char *set, const char *flake_name, const char *system,
		   struct attribute *a, struct flake_output *output,
		   struct err *err)
{
	/* Each round mends the case of one component. */
	for (size_t round = 0; round <= a->nr; round++) {
		autojson *json = NULL;
		autofree const char **names = NULL;
		bool found = false;
		const char *type = NULL;
		int64_t depth = 0;
		size_t nr;
		int rc;

		if (evaluate(nix, pin, set, system, a, &json, err))
			return has_no_set(err) ? 0 : -1;
		if (json_want_bool(json, "found", &found, EVAL, err))
			return -1;
		if (found)
			return read_output(json, set, system, a, output, err)
				       ? -1
				       : 1;
		if (json_need_int(json, "depth", &depth, EVAL, err) ||
		    json_want_string(json, "type", &type, EVAL, err) ||
		    read_names(json, &names, &nr, err))
			return -1;
		if (depth < 0 || (size_t)depth > a->nr)
			return err_set(err, ERR_MALFORMED,
				       EVAL ": depth: no part of the name");
		no_such_attribute(a, (size_t)depth, type, flake_name, system,
				  names, nr, err);
		if (type || (size_t)depth >= a->nr)
			return 0;
		rc = ignore_case(a, (size_t)depth, names, nr, err);
		if (rc <= 0)
			return rc;
	}
	return 0;
}

int flake_find_output(struct nix *nix, const struct flake_pin *pin,
		      const char *flake_name, const char *system,
		      const char *attribute, struct flake_output *output,
		      struct err *err)
{
	static const char *const sets[] = { "packages", "legacyPackages" };
	struct err missing = ERR_INIT;
	int rc = 0;

	*output = (struct flake_output)FLAKE_OUTPUT_INIT;
	for (size_t i = 0; i < ARRAY_SIZE(sets) && !rc; i++) {
		struct attribute a;

		err->code = ERR_NONE;
		attribute_split(&a, attribute);
		rc = find_in(nix, pin, sets[i], flake_name, system, &a, output,
			     err);
		attribute_release(&a);
		/* What packages lacks is told, not what the other does. */
		if (!rc && err->code == ERR_UNKNOWN && !missing.code)
			missing = *err;
	}
	if (rc)
		return rc < 0 ? -1 : 0;
	if (missing.code)
		*err = missing;
	else
		err_set(err, ERR_UNKNOWN,
			"%s has neither packages nor legacyPackages of %s",
			flake_name, system);
	return -1;
}

int flake_list_names(struct nix *nix, const struct flake_pin *pin,
		     const char *system, char ***names, size_t *nr,
		     struct err *err)
{
	struct attribute top = { .nr = 0 };
	autojson *json = NULL;
	autofree const char **borrowed = NULL;

	*names = NULL;
	*nr = 0;
	if (evaluate(nix, pin, "packages", system, &top, &json, err))
		return has_no_set(err) ? 0 : -1;
	if (read_names(json, &borrowed, nr, err)) {
		*nr = 0;
		return -1;
	}
	*names = xcalloc(*nr, sizeof(**names));
	for (size_t i = 0; i < *nr; i++)
		(*names)[i] = xstrdup(borrowed[i]);
	return 0;
}

void flake_identity(const struct flake_pin *pin, const char *system,
		    const char *attribute, const struct image_settings *image,
		    struct digest *identity)
{
	autostrbuf text = STRBUF_INIT;

	if (*pin->revision)
		strbuf_addf(&text, "revision %s\n", pin->revision);
	else
		strbuf_addf(&text, "source %s\nlocks %s\n", pin->nar_hash,
			    pin->locks);
	strbuf_addf(&text, "system %s\nattribute %s\n", system, attribute);
	strbuf_addf(&text, "compression %s\n",
		    compression_signature(image->compression));
	strbuf_addf(&text, "max-layers %jd\nplan %d\n",
		    (intmax_t)image->max_layers, PLAN_VERSION);
	digest_of(text.buf, text.len, identity);
}
