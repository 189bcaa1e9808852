// SPDX-License-Identifier: MIT
#include "tests/unit/fakeflake.h"

#include "tests/unit/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/store.h"
#include "tests/unit/fakeprogram.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

/* "d" is the folder of what is said. */
#define SAY                                                                    \
	"echo \"${0##*/} $*\" >>\"$d/asked\"\n"                                \
	"say() {\n"                                                            \
	"	if [ -e \"$d/fails.$1\" ]; then\n"                                   \
	"		cat \"$d/fails.$1\" >&2; exit 1; fi\n"                              \
	"	exec cat \"$d/$1\"\n"                                                \
	"}\n"                                                                  \
	"for last; do :; done\n"

#define NIX                                                                    \
	"case \"$*\" in\n"                                                     \
	"*' flake metadata '*) say metadata ;;\n"                              \
	"*' eval '*'set: (set'*) say \"again.${last##*#packages.}\" ;;\n"      \
	"*' eval '*'#packages.'*) say \"probe.${last##*#packages.}\" ;;\n"     \
	"*' eval '*) say names ;;\n"                                           \
	"*' path-info '*) say \"closure.${last##*-}\" ;;\n"                    \
	"esac\n"                                                               \
	"exit 3"

#define NIX_STORE                                                              \
	"case \"$1\" in\n"                                                     \
	"--verify-path) say verify ;;\n"                                       \
	"--realise) ;;\n"                                                      \
	"*) exit 3 ;;\n"                                                       \
	"esac\n"                                                               \
	"case \"$2\" in\n"                                                     \
	"*!*)\n"                                                               \
	"	name=${2%.drv!*}; name=output.${name##*-}\n"                         \
	"	out=$(say \"$name\") || exit 1 ;;\n"                                 \
	"*) out=$2 ;;\n"                                                       \
	"esac\n"                                                               \
	"ln -sfn \"$out\" \"$4\" && echo \"$4\""

#define GIT "case \"$1\" in ls-remote) say refs ;; esac\nexit 3"

static char *said(const struct fakeflake *f, const char *what)
{
	return xasprintf("%s/say/%s", f->dir, what);
}

void fakeflake_says(const struct fakeflake *f, const char *what,
		    const char *text)
{
	autofree char *path = said(f, what);
	autofree char *failure = xasprintf("%s/say/fails.%s", f->dir, what);

	unlink(failure);
	scratch_write(path, text, strlen(text));
}

void fakeflake_fails(const struct fakeflake *f, const char *what,
		     const char *text)
{
	autofree char *path = xasprintf("%s/say/fails.%s", f->dir, what);

	scratch_write(path, text, strlen(text));
}

size_t fakeflake_asked(const struct fakeflake *f, const char *words)
{
	autofree char *path = said(f, "asked");
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	autostrbuf text = STRBUF_INIT;
	struct err err = ERR_INIT;
	size_t nr = 0;

	if (fd < 0)
		return 0;
	if (strbuf_read(&text, fd, 1u << 20, path, &err))
		fail_msg("%s", err.msg);
	for (const char *p = text.buf; (p = strstr(p, words)); p++)
		nr++;
	return nr;
}

void fakeflake_forget(const struct fakeflake *f)
{
	autofree char *path = said(f, "asked");

	unlink(path);
}

static void add_program(const struct fakeflake *f, const char *bin,
			const char *name, const char *script)
{
	autofree char *text = xasprintf("d=%s/say\n%s%s", f->dir, SAY, script);

	fakeprogram_write(bin, name, text);
}

void fakeflake_write(const struct fakeflake *f, const char *name,
		     const char *content)
{
	autofree char *bin =
		xasprintf("%s/store/" FAKE_HASH "-%s/bin", f->dir, name);
	autofree char *file = xasprintf("%s/%s", bin, name);

	scratch_mkdir(bin);
	scratch_write(file, content, strlen(content));
	assert_int_equal(chmod(file, 0755), 0);
}

void fakeflake_add(const struct fakeflake *f, const char *system,
		   const char *name, const char *content)
{
	static const char hash[] =
		"sha256-LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=";
	autofree char *path = xasprintf("/nix/store/" FAKE_HASH "-%s", name);
	autofree char *probe =
		xasprintf("{\"found\":true,\"part\":\"\",\"drvPath\":\"%s.drv\""
			  ",\"output\":\"out\",\"pname\":\"%s\"}",
			  path, name);
	autofree char *closure = xasprintf(
		"[{\"path\":\"%s\",\"narHash\":\"%s\",\"narSize\":%zu,"
		"\"references\":[],\"registrationTime\":7,\"valid\":true}]",
		path, hash, strlen(content));
	autofree char *probe_name = xasprintf("probe.%s", system);
	autofree char *closure_name = xasprintf("closure.%s", name);
	autofree char *output_name = xasprintf("output.%s", name);
	autofree char *again_name = xasprintf("again.%s", system);
	autofree char *again = xasprintf("\"%s.drv\"", path);

	fakeflake_write(f, name, content);
	fakeflake_says(f, probe_name, probe);
	fakeflake_says(f, closure_name, closure);
	fakeflake_says(f, output_name, path);
	fakeflake_says(f, again_name, again);
}

static void add_flake(const struct fakeflake *f)
{
	fakeflake_says(f, "refs",
		       "ref: refs/heads/main\tHEAD\n" FAKE_REV
		       "\tHEAD\n" FAKE_REV "\trefs/heads/main\n");
	fakeflake_says(f, "metadata",
		       "{\"url\":\"" FAKE_URL "?rev=" FAKE_REV "\","
		       "\"path\":\"/nix/store/" FAKE_HASH "-source\","
		       "\"revision\":\"" FAKE_REV "\","
		       "\"locked\":{\"narHash\":\"sha256-x\"},"
		       "\"locks\":{\"nodes\":{\"root\":{}}}}");
	fakeflake_fails(f, "names",
			"error: flake 'x' does not provide attribute 'y'");
	fakeflake_says(f, "verify", "");
	fakeflake_add(f, FAKE_SYSTEM, "hello", "#!/bin/sh\n");
}

void fakeflake_init(struct fakeflake *f, const char *settings)
{
	autofree char *bin = NULL, *say = NULL, *cache = NULL;
	autofree char *text = NULL;
	struct err err = ERR_INIT;

	*f = (struct fakeflake){ .dir = scratch_make(), .cache = CACHE_INIT };
	bin = xasprintf("%s/bin", f->dir);
	say = xasprintf("%s/say", f->dir);
	f->store = xasprintf("%s/store", f->dir);
	cache = xasprintf("%s/cache", f->dir);
	text = xasprintf("sandbox-eval = no\n"
			 "%s[flake]\nurl = " FAKE_URL "\n",
			 settings);
	scratch_mkdir(bin);
	scratch_mkdir(say);
	scratch_mkdir(f->store);
	store_set_real_dir(f->store);
	fakeprogram_use(bin);
	add_program(f, bin, "nix", NIX);
	add_program(f, bin, "nix-store", NIX_STORE);
	add_program(f, bin, "git", GIT);
	if (settings_parse(&f->settings, text, strlen(text), "test", &err) ||
	    cache_open(&f->cache, cache, CACHE_WRITE, &err) ||
	    repository_name_parse(&f->name, "hello", 5, &err))
		fail_msg("%s", err.msg);
	/* Until exec(3) a limit would be a sanitizer's, too. */
	f->settings.eval_memory = 0;
	f->build = (struct image_build){ .settings = &f->settings,
					 .cache = &f->cache,
					 .name = &f->name,
					 .reference = &f->reference };
	add_flake(f);
}

void fakeflake_release(struct fakeflake *f)
{
	cache_release(&f->cache);
	settings_release(&f->settings);
	store_set_real_dir(STORE_DIR);
	free(f->store);
	scratch_remove(f->dir);
}

int fakeflake_build(struct fakeflake *f, const char *reference,
		    struct image_head *head, struct err *err)
{
	*err = (struct err)ERR_INIT;
	assert_int_equal(reference_parse(&f->reference, reference,
					 strlen(reference), err),
			 0);
	return image_build(&f->build, head, err);
}

void fakeflake_build_ok(struct fakeflake *f, const char *reference,
			struct image_head *head)
{
	struct err err;

	if (fakeflake_build(f, reference, head, &err))
		fail_msg("%s: %s", reference, err.msg);
}

void fakeflake_build_fails(struct fakeflake *f, const char *reference,
			   enum err_code code, const char *says)
{
	struct image_head head;
	struct err err;

	check(says, fakeflake_build(f, reference, &head, &err) == -1);
	if (err.code != code || !strstr(err.msg, says))
		fail_msg("%s: %s, not %s", err_code_name(err.code), err.msg,
			 says);
}

void fakeflake_record(const struct fakeflake *f, const struct image_head *head,
		      struct record *record)
{
	autostrbuf body = STRBUF_INIT;
	struct image_head unused;
	struct err err = ERR_INIT;

	if (cache_get_record(&f->cache, &f->name, &head->manifest.digest,
			     &unused, &body, &err) ||
	    record_parse(record, body.buf, body.len, "record", &err))
		fail_msg("%s", err.msg);
}

void fakeflake_forge(const struct fakeflake *f, const struct image_head *head,
		     const char *text, const char *with)
{
	autostrbuf body = STRBUF_INIT, forged = STRBUF_INIT;
	struct image_head old;
	struct err err = ERR_INIT;
	const char *at;

	if (cache_get_record(&f->cache, &f->name, &head->manifest.digest, &old,
			     &body, &err))
		fail_msg("%s", err.msg);
	at = strstr(body.buf, text);
	check(text, at);
	strbuf_add(&forged, body.buf, (size_t)(at - body.buf));
	strbuf_addf(&forged, "%s%s", with, at + strlen(text));
	if (cache_put_record(&f->cache, &f->name, &old, forged.buf, forged.len,
			     &err))
		fail_msg("%s", err.msg);
}

void fakeflake_lose(const struct fakeflake *f, const struct digest *digest)
{
	char path[CACHE_BLOB_FILE_SIZE];

	assert_int_equal(
		unlinkat(f->cache.fd, cache_blob_file(digest, path), 0), 0);
}
