// SPDX-License-Identifier: MIT
#include "tests/fuzz/fakestore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/store.h"
#include "common/utf8.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

#define HASH   "\"narHash\": \"sha256:" DIGITS DIGITS DIGITS DIGITS "\", "
#define DIGITS "0123456789abcdef"
#define ROW(path, size, needs)                                                 \
	"\"" path "\": {" HASH "\"narSize\": " #size                           \
	", \"registrationTime\": 1700000000, \"references\": [" needs "]}"

static const char closure_text[] = "{" ROW(
	STORE_OUTPUT, 4096,
	"\"" STORE_HELLO "\", \"" STORE_TOP "\", \"" STORE_CONF "\", "
	"\"/nix/store/"
	"44444444444444444444444444444444-"
	"bash-5.2\"") "," ROW(STORE_HELLO, 50000000,
			      "\"/nix/store/"
			      "555555555555555"
			      "555555555555555"
			      "55-glibc-2."
			      "40\"") "," ROW(STORE_TOP, 1000,
					      "") "," ROW(STORE_CONF, 1000,
							  "\"" STORE_HELLO
							  "\", \"" STORE_TOP
							  "\"") "," ROW("/nix/"
									"store/"
									"444444"
									"444444"
									"444444"
									"444444"
									"444444"
									"44-"
									"bash-"
									"5.2",
									3000000,
									"\"/"
									"nix/"
									"store/"
									"555555"
									"555555"
									"555555"
									"555555"
									"555555"
									"55-"
									"glibc-"
									"2."
									"40\"") "," ROW("/nix/store/"
											"555555555555"
											"555555555555"
											"55555555-"
											"glibc-2.40",
											30000000,
											"") "}";

static const char conf_text[] =
	"{\"architecture\": \"amd64\", \"config\": {\"Cmd\": [\"a\"]},"
	" \"os\": \"linux\", \"created\": \"1970-01-01T00:00:01+00:00\","
	" \"customisation_layer\": \"" STORE_TOP "\", \"from_image\": null,"
	" \"store_layers\": [[\"" STORE_HELLO "\"]], \"repo_tag\": \"a:b\","
	" \"store_dir\": \"/nix/store\"}";

static struct closure closure;

static char *real_path(const char *path)
{
	return xasprintf("%s/store/%s", fuzz_folder(),
			 path + strlen(STORE_DIR "/"));
}

static void write_file(const char *path, const char *name, const void *data,
		       size_t len)
{
	autofree char *real = real_path(path);
	autofree char *file = xasprintf("%s%s", real, name);

	fuzz_file(file + strlen(fuzz_folder()) + 1, data, len);
}

static void release(void)
{
	closure_release(&closure);
}

static void make(void)
{
	static const char hex[] = DIGITS DIGITS DIGITS DIGITS "\n";
	static char *dir;
	autojson *json = NULL;
	autofree char *top = real_path(STORE_TOP);
	struct err err = ERR_INIT;

	if (dir)
		return;
	dir = xasprintf("%s/store", fuzz_folder());
	scratch_mkdir(dir);
	scratch_mkdir(top);
	store_set_real_dir(dir);
	write_file(STORE_TOP, "/checksum", hex, strlen(hex));
	write_file(STORE_TOP, "/layer.tar", "", 0);
	write_file(STORE_CONF, "", conf_text, strlen(conf_text));
	json = fuzz_json((const unsigned char *)closure_text,
			 strlen(closure_text));
	need(json && !closure_read(&closure, json, &err));
	need(!atexit(release));
}

void fakestore_write(const char *name, const void *data, size_t len)
{
	autofree char *folder = NULL;

	make();
	if (*name) {
		const char *slash = strrchr(name, '/');

		folder = xasprintf("%s/store/%s%.*s", fuzz_folder(),
				   &STORE_OUTPUT[strlen(STORE_DIR "/")],
				   (int)(slash - name), name);
		scratch_mkdir(folder);
	}
	write_file(STORE_OUTPUT, name, data, len);
}

void fakestore_empty(void)
{
	autofree char *path = real_path(STORE_OUTPUT);
	struct stat st;

	make();
	if (!lstat(path, &st))
		scratch_remove(xstrdup(path));
	scratch_mkdir(path);
}

static void check_input(const struct layer_input *input)
{
	autojson *json = layer_input_to_json(input);
	autostrbuf text = STRBUF_INIT, again = STRBUF_INIT;
	struct err err = ERR_INIT;
	struct digest key, same;
	struct layer_input copy;
	autojson *back = NULL;

	json_format_compact(&text, json);
	need(!layer_input_from_json(&copy, json, &err));
	back = layer_input_to_json(&copy);
	json_format_compact(&again, back);
	fuzz_need_same(again.buf, text.buf);
	layer_input_key(input, COMPRESSION_GZIP, &key);
	layer_input_key(&copy, COMPRESSION_GZIP, &same);
	need(digest_equal(&key, &same));
	layer_input_release(&copy);
	for (size_t i = 0; i < input->nr_paths; i++)
		need(store_has_path(input->paths[i].path));
	if (input->file)
		need(store_has_path(input->file));
	if (input->member)
		need(input->member[0] != '/' && input->member[0] &&
		     strcmp(input->member, "..") &&
		     strncmp(input->member, "../", 3) &&
		     !strstr(input->member, "/../"));
}

static void check_config(const struct source *source)
{
	autofree struct layer *layers =
		xcalloc(source->nr + 1, sizeof(*layers));
	autostrbuf text = STRBUF_INIT;
	struct err err = ERR_INIT;
	autojson *json = NULL;

	need(!source_config(source, layers, &text, &err));
	json = fuzz_json((unsigned char *)text.buf, text.len);
	need(json && utf8_is_valid(text.buf, text.len));
}

static void check_source(const struct source *source)
{
	for (size_t i = 0; i < source->nr; i++)
		check_input(&source->inputs[i]);
	for (size_t i = 0; i < source->nr_members; i++)
		check_source(&source->members[i]);
	if (!source->nr_members)
		check_config(source);
}

bool fakestore_open(const struct source_kind *kind)
{
	const struct probe probe = PROBE_INIT;
	const struct source_output output = {
		.path = STORE_OUTPUT,
		.closure = &closure,
		.probe = &probe,
		.system = "x86_64-linux",
		.now = 1700000000,
		.max_layers = 100,
	};
	autosource source = SOURCE_INIT;
	struct err err = ERR_INIT;
	int rc;

	make();
	rc = kind->matches(&output, &err);
	if (rc < 0)
		fuzz_need_error(&err);
	if (rc <= 0)
		return false;
	source.kind = kind;
	if (kind->open(&source, &output, &err)) {
		fuzz_need_error(&err);
		return false;
	}
	check_source(&source);
	return true;
}
