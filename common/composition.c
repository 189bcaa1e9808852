// SPDX-License-Identifier: MIT
#include "common/composition.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/nearest.h"

#include "common/banned.h"

#define EVAL	"nix eval"
/* How many names an error offers for each that is not there. */
#define NEAREST 3

/*
 * Applied to a flake's `packages.SYSTEM`. What is built refers to all of the
 * packages, so that they have one closure and one GC root, and is made by Nix
 * itself, without any program: nix-env's user environment, of nothing, with
 * the packages' hashes as the text of its link to a manifest (a link has room
 * for 124 of them, and a repository name for as many names). It is not in
 * the image; the packages are.
 */
static const char compose[] =
	"probe: names: set: let\n"
	"  letters = s: builtins.genList (i: builtins.substring i 1 s) 26;\n"
	"  lower = builtins.replaceStrings\n"
	"    (letters \"ABCDEFGHIJKLMNOPQRSTUVWXYZ\")\n"
	"    (letters \"abcdefghijklmnopqrstuvwxyz\");\n"
	"  all = builtins.attrNames set;\n"
	"  find = name: if set ? ${name} then [ name ]\n"
	"    else builtins.filter (other: lower other == name) all;\n"
	"  isPackage = v:\n"
	"    builtins.isAttrs v && v.type or \"\" == \"derivation\";\n"
	"  has = name: let found = find name; in\n"
	"    builtins.length found == 1 && isPackage (value name);\n"
	"  value = name: set.${builtins.head (find name)};\n"
	"  expand = name: if name != \"shell\" then [ name ] else\n"
	"    [ (if has \"bashInteractive\" then \"bashInteractive\"\n"
	"       else \"bash\") \"coreutils\" ] ++\n"
	"    builtins.filter has [ \"cacert\" \"moreutils\" \"nano\" ];\n"
	"  wanted = builtins.concatMap expand names;\n"
	"  missing = builtins.filter (name: !(has name)) wanted;\n"
	"  images = builtins.filter\n"
	"    (name: (probe (value name)).part != \"\") wanted;\n"
	"  output = v:\n"
	"    if (v.outputSpecified or false) != true &&\n"
	"      builtins.elem \"bin\" (v.outputs or [ ])\n"
	"    then v.bin else v;\n"
	"  outputs = map (name: \"${output (value name)}\") wanted;\n"
	"  composition = derivation {\n"
	"    name = \"composition\";\n"
	"    system = \"builtin\";\n"
	"    builder = \"builtin:buildenv\";\n"
	"    manifest = builtins.concatStringsSep \":\"\n"
	"      (map (path: builtins.substring 11 32 path) outputs);\n"
	"    derivations = \"\";\n"
	"    preferLocalBuild = true;\n"
	"    allowSubstitutes = false;\n"
	"  };\n"
	"in if missing != [ ] then { inherit missing; names = all; }\n"
	"else if images != [ ] then { inherit images; }\n"
	"else {\n"
	"  part = \"\";\n"
	"  output = \"out\";\n"
	"  inherit (composition) drvPath;\n"
	"  roots = map builtins.unsafeDiscardStringContext outputs;\n"
	"  pname = builtins.concatStringsSep \"/\" names;\n"
	"}";

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char *composition_parse(const char *attribute, char **one)
{
	autofree char *copy = xstrdup(attribute);
	autofree char **names = NULL;
	autostrbuf text = STRBUF_INIT;
	size_t nr = 0, alloc = 0, different = 0;

	for (char *s = copy, *end; *s; s = end) {
		size_t len = strcspn(s, "/");

		end = s + len + !!s[len];
		s[len] = 0;
		ALLOC_GROW(names, nr, alloc);
		names[nr++] = s;
	}
	if (nr)
		qsort(names, nr, sizeof(*names), compare);
	for (size_t i = 0; i < nr; i++) {
		if (i && !strcmp(names[i], names[i - 1]))
			continue;
		strbuf_addf(&text, "+%s", names[i]);
		different++;
	}
	*one = NULL;
	if (different > 1 || (different && !strcmp(names[0], "shell")))
		return strbuf_detach(&text, NULL);
	*one = xstrdup(different ? names[0] : "");
	return NULL;
}

bool composition_is(const char *attribute)
{
	return *attribute == '+';
}

/* The function of the set of packages that says what the composition is. */
static void format_function(struct strbuf *out, const char *composition)
{
	strbuf_addf(out, "(%s) (%s) [ ", compose, probe_function);
	while (*composition) {
		size_t len = strcspn(++composition, "+");
		autofree char *name = xstrndup(composition, len);

		nix_quote(out, name);
		strbuf_addch(out, ' ');
		composition += len;
	}
	strbuf_addch(out, ']');
}

char *composition_function(const char *composition)
{
	autostrbuf text = STRBUF_INIT;

	strbuf_addstr(&text, "set: (");
	format_function(&text, composition);
	strbuf_addstr(&text, " set).drvPath");
	return strbuf_detach(&text, NULL);
}

/* The strings of an array, borrowed from json. */
static int read_strings(struct json_object *json, const char *key,
			const char ***strings, size_t *nr, struct err *err)
{
	struct json_object *array = NULL;

	*strings = NULL;
	*nr = 0;
	if (json_want_array(json, key, &array, EVAL, err))
		return -1;
	if (!array)
		return 0;
	*nr = json_object_array_length(array);
	*strings = xcalloc(*nr, sizeof(**strings));
	for (size_t i = 0; i < *nr; i++) {
		(*strings)[i] = json_string_at(array, i);
		if (!(*strings)[i])
			return err_set(err, ERR_MALFORMED,
				       EVAL ": key '%s': expected strings",
				       key);
	}
	return 0;
}

static int tell_missing(struct json_object *json, const char *flake_name,
			const char *set, const char *system,
			const char *const *missing, size_t nr, struct err *err)
{
	autofree const char **names = NULL;
	autostrbuf text = STRBUF_INIT;
	size_t nr_names;

	if (read_strings(json, "names", &names, &nr_names, err))
		return -1;
	for (size_t i = 0; i < nr; i++) {
		autostrbuf near = STRBUF_INIT;

		nearest_names(&near, missing[i], names, nr_names, NEAREST);
		strbuf_addf(&text, "%s%s%s%s%s", i ? ", no package " : "",
			    missing[i], near.len ? " (nearest: " : "", near.buf,
			    near.len ? ")" : "");
	}
	return err_set(err, ERR_UNKNOWN, "%s has no package %s in %s.%s",
		       flake_name, text.buf, set, system);
}

static int read_output(struct json_object *json, const char *flake_name,
		       const char *set, const char *system,
		       struct flake_output *output, struct err *err)
{
	autofree const char **missing = NULL, **images = NULL;
	size_t nr_missing, nr_images;

	if (read_strings(json, "missing", &missing, &nr_missing, err) ||
	    read_strings(json, "images", &images, &nr_images, err))
		return -1;
	if (nr_missing)
		return tell_missing(json, flake_name, set, system, missing,
				    nr_missing, err);
	if (nr_images)
		return err_set(err, ERR_REFUSED,
			       "%s of %s is an image, and only packages can "
			       "be composed",
			       images[0], flake_name);
	if (probe_read(&output->probe, json, err))
		return -1;
	output->attribute_path = xasprintf("%s.%s", set, system);
	return 0;
}

static int find_in(struct nix *nix, const struct flake_pin *pin,
		   const char *set, const char *flake_name, const char *system,
		   const char *function, struct flake_output *output,
		   struct err *err)
{
	autofree char *installable =
		xasprintf("%s#%s.%s", pin->url, set, system);
	autojson *json = NULL;

	if (nix_eval(nix, installable, function, &json, err)) {
		if (err->code == ERR_NIX &&
		    strstr(err->msg, "does not provide attribute"))
			return err_set(err, ERR_UNKNOWN,
				       "%s has neither packages nor "
				       "legacyPackages of %s",
				       flake_name, system);
		return -1;
	}
	return read_output(json, flake_name, set, system, output, err);
}

int composition_find(struct nix *nix, const struct flake_pin *pin,
		     const char *flake_name, const char *system,
		     const char *composition, struct flake_output *output,
		     struct err *err)
{
	static const char *const sets[] = { "packages", "legacyPackages" };
	autostrbuf function = STRBUF_INIT;
	struct err missing = ERR_INIT;

	*output = (struct flake_output)FLAKE_OUTPUT_INIT;
	format_function(&function, composition);
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		*err = (struct err)ERR_INIT;
		if (!find_in(nix, pin, sets[i], flake_name, system,
			     function.buf, output, err))
			return 0;
		if (err->code != ERR_UNKNOWN)
			return -1;
		/* What packages lacks is told, unless there are none. */
		if (!missing.code || strstr(missing.msg, " has neither "))
			missing = *err;
	}
	*err = missing;
	return -1;
}
