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
	"  typeOf = v: let t = builtins.typeOf v; in\n"
	"    if t != \"set\" || v.type or \"\" != \"derivation\" then t\n"
	"    else if !(v ? drvPath) then \"no drvPath\"\n"
	"    else if !(v ? outPath) then \"no outPath\" else \"\";\n"
	"  has = name: let found = find name; in\n"
	"    builtins.length found == 1 && typeOf (value name) == \"\";\n"
	"  value = name: set.${builtins.head (find name)};\n"
	"  expand = name: if name != \"shell\" then [ name ] else\n"
	"    [ (if has \"bashInteractive\" then \"bashInteractive\"\n"
	"       else \"bash\") \"coreutils\" ] ++\n"
	"    builtins.filter has [ \"cacert\" \"moreutils\" \"nano\" ];\n"
	"  wanted = builtins.concatMap expand names;\n"
	"  missing = builtins.filter (name: !(has name)) wanted;\n"
	"  types = map (name: if builtins.length (find name) == 1\n"
	"    then typeOf (value name) else \"\") missing;\n"
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
	"in if missing != [ ] then { inherit missing types; names = all; }\n"
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

/* What a set of outputs lacks; without json the flake has no such set. */
struct lack {
	const char *set;
	struct json_object *json;
	/* All borrow from json. */
	const char **missing, **types, **names;
	size_t nr, nr_types, nr_names;
};

static void lack_release(struct lack *lack)
{
	json_object_put(lack->json);
	free(lack->missing);
	free(lack->types);
	free(lack->names);
}

static int lack_read(struct lack *lack, struct err *err)
{
	if (read_strings(lack->json, "missing", &lack->missing, &lack->nr,
			 err) ||
	    read_strings(lack->json, "types", &lack->types, &lack->nr_types,
			 err) ||
	    read_strings(lack->json, "names", &lack->names, &lack->nr_names,
			 err))
		return -1;
	if (lack->nr_types == lack->nr)
		return 0;
	return err_set(err, ERR_MALFORMED,
		       EVAL ": key 'types': expected one for each that is "
			    "missing");
}

#define SETS 2

/* What has the name without being a package, or "". */
static const char *type_of(const struct lack *lacks, const char *name)
{
	for (size_t i = 0; i < SETS; i++)
		for (size_t j = 0; j < lacks[i].nr; j++)
			if (!strcmp(lacks[i].missing[j], name) &&
			    *lacks[i].types[j])
				return lacks[i].types[j];
	return "";
}

/* The names of all sets and the one of ours, in order, each once. */
static const char **all_names(const struct lack *lacks, size_t *nr)
{
	const char **names;
	size_t all = 0;

	names = xcalloc(lacks[0].nr_names + lacks[1].nr_names + 1,
			sizeof(*names));
	for (size_t i = 0; i < SETS; i++)
		for (size_t j = 0; j < lacks[i].nr_names; j++)
			names[all++] = lacks[i].names[j];
	names[all++] = "shell";
	qsort(names, all, sizeof(*names), compare);
	*nr = 0;
	for (size_t i = 0; i < all; i++)
		if (!*nr || strcmp(names[*nr - 1], names[i]))
			names[(*nr)++] = names[i];
	return names;
}

/* One that is in the other set, where another is missing, is not meant. */
static void add_nearest(struct strbuf *out, const char *name,
			const char *const *names, size_t nr)
{
	autofree const char **others = xcalloc(nr, sizeof(*others));
	size_t nr_others = 0;

	for (size_t i = 0; i < nr; i++)
		if (strcmp(names[i], name) != 0)
			others[nr_others++] = names[i];
	nearest_names(out, name, others, nr_others, NEAREST);
}

/* The set that lacks the least is told; the names of all may be meant. */
static int tell_missing(const struct lack *lacks, const char *flake_name,
			const char *system, struct err *err)
{
	const struct lack *least = lacks[0].json ? &lacks[0] : &lacks[1];
	autofree const char **names = NULL;
	autostrbuf text = STRBUF_INIT;
	size_t nr_names;

	if (lacks[1].json && lacks[1].nr < least->nr)
		least = &lacks[1];
	names = all_names(lacks, &nr_names);
	for (size_t i = 0; i < least->nr; i++) {
		const char *name = least->missing[i];
		const char *type = type_of(lacks, name);
		autostrbuf near = STRBUF_INIT;

		if (!*type)
			add_nearest(&near, name, names, nr_names);
		strbuf_addf(&text, "%s%s", i ? ", no package " : "", name);
		if (*type)
			strbuf_addf(&text, " (it is %s)",
				    flake_type_text(type));
		else if (near.len)
			strbuf_addf(&text, " (nearest: %s)", near.buf);
	}
	return err_set(err, ERR_UNKNOWN, "%s has no package %s in %s.%s",
		       flake_name, text.buf, least->set, system);
}

static int read_output(struct json_object *json, const char *flake_name,
		       const char *set, const char *system,
		       struct flake_output *output, struct err *err)
{
	autofree const char **images = NULL;
	size_t nr_images;

	if (read_strings(json, "images", &images, &nr_images, err))
		return -1;
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

/* Look in the set of outputs of a lack: 1 found, 0 not there, -1 and err. */
static int find_in(struct nix *nix, const struct flake_pin *pin,
		   struct lack *lack, const char *flake_name,
		   const char *system, const char *function,
		   struct flake_output *output, struct err *err)
{
	autofree char *installable =
		xasprintf("%s#%s.%s", pin->url, lack->set, system);

	if (nix_eval(nix, installable, function, &lack->json, err))
		return err->code == ERR_NIX &&
				       strstr(err->msg,
					      "does not provide attribute")
			       ? 0
			       : -1;
	if (lack_read(lack, err))
		return -1;
	if (lack->nr)
		return 0;
	return read_output(lack->json, flake_name, lack->set, system, output,
			   err)
		       ? -1
		       : 1;
}

int composition_find(struct nix *nix, const struct flake_pin *pin,
		     const char *flake_name, const char *system,
		     const char *composition, struct flake_output *output,
		     struct err *err)
{
	struct lack lacks[SETS] = { { .set = "packages" },
				    { .set = "legacyPackages" } };
	autostrbuf function = STRBUF_INIT;
	int rc = 0;

	*output = (struct flake_output)FLAKE_OUTPUT_INIT;
	format_function(&function, composition);
	for (size_t i = 0; i < SETS && !rc; i++) {
		*err = (struct err)ERR_INIT;
		rc = find_in(nix, pin, &lacks[i], flake_name, system,
			     function.buf, output, err);
	}
	if (!rc && !lacks[0].json && !lacks[1].json)
		rc = err_set(err, ERR_UNKNOWN,
			     "%s has neither packages nor legacyPackages of "
			     "%s",
			     flake_name, system);
	else if (!rc)
		rc = tell_missing(lacks, flake_name, system, err);
	for (size_t i = 0; i < SETS; i++)
		lack_release(&lacks[i]);
	return rc < 0 ? -1 : 0;
}
