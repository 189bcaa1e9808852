// SPDX-License-Identifier: MIT
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/imageconfig.h"
#include "common/index.h"
#include "common/isotime.h"
#include "common/json.h"
#include "common/source_kinds.h"
#include "common/sourceinput.h"
#include "common/store.h"

#include "common/banned.h"

/*
 * A plain package: its closure in layers, and above them one that makes what
 * is in the package visible at /. A file that can be run is a package, too. All
 * times are 1, as in the store.
 */
#define TIME 1

/* As Docker has it where an image sets none: /bin is in it. */
#define PATH_VARIABLE                                                          \
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Where nixpkgs' cacert and Debian's ca-certificates have theirs. */
static const char *const bundles[] = {
	"etc/ssl/certs/ca-bundle.crt",
	"etc/ssl/certs/ca-certificates.crt",
};

struct package {
	struct platform platform;
	struct json_object *config;
};

/* Is the output something to run or to look into? 1, 0, or -1. */
static int look(const struct source_output *output, struct strbuf *root,
		bool *is_directory, struct err *err)
{
	struct err why = ERR_INIT;
	struct stat st;

	strbuf_addstr(root, output->path);
	if (store_follow(root, &st, &why)) {
		if (why.code == ERR_REFUSED)
			return 0;
		*err = why;
		return -1;
	}
	*is_directory = S_ISDIR(st.st_mode);
	return *is_directory || (S_ISREG(st.st_mode) && (st.st_mode & S_IXUSR));
}

static int matches(const struct source_output *output, struct err *err)
{
	autostrbuf root = STRBUF_INIT;
	bool is_directory;

	return look(output, &root, &is_directory, err);
}

/* Not there, or a link that leads out of the store: as if it were not. */
static int absent(const struct err *why, struct err *err)
{
	if (why->code == ERR_UNKNOWN || why->code == ERR_REFUSED)
		return 0;
	*err = *why;
	return -1;
}

/* A folder of programs. */
struct bin {
	const char *path; /* in the store */
	int fd;
};

/* Does a symlink in it lead to a program? 1, 0, or -1 and err. */
static int leads_to_program(const struct bin *bin, const char *name,
			    struct err *err)
{
	autostrbuf path = STRBUF_INIT;
	struct err why = ERR_INIT;
	struct stat st;

	strbuf_addf(&path, "%s/%s", bin->path, name);
	if (store_follow(&path, &st, &why))
		return absent(&why, err);
	return S_ISREG(st.st_mode) && (st.st_mode & S_IXUSR);
}

/* Is there a program of that name in the folder? 1, 0, or -1 and err. */
static int has_program(const struct bin *bin, const char *name, struct err *err)
{
	struct stat st;

	if (!name || !*name || strchr(name, '/') || !strcmp(name, ".") ||
	    !strcmp(name, ".."))
		return 0;
	if (fstatat(bin->fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT || errno == ENAMETOOLONG
			       ? 0
			       : err_errno(err, "cannot look at bin/%s", name);
	if (S_ISLNK(st.st_mode))
		return leads_to_program(bin, name, err);
	return S_ISREG(st.st_mode) && (st.st_mode & S_IXUSR);
}

/*
 * The name of the only program, or NULL if it is not the only one; what begins
 * with a dot is what one wraps.
 */
static int only_program(const struct bin *bin, char **name, struct err *err)
{
	int copy = openat(bin->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = copy < 0 ? NULL : fdopendir(copy);
	autofree char *found = NULL;
	struct dirent *entry;
	size_t nr = 0;
	int rc = 0;

	if (!list) {
		err_errno(err, "cannot list bin");
		if (copy >= 0)
			close(copy);
		return -1;
	}
	while (rc >= 0 && nr < 2 && (errno = 0, entry = readdir(list))) {
		if (*entry->d_name == '.')
			continue;
		rc = has_program(bin, entry->d_name, err);
		if (rc > 0 && !nr++)
			found = xstrdup(entry->d_name);
	}
	if (rc >= 0 && nr < 2 && errno)
		rc = err_errno(err, "cannot list bin");
	closedir(list);
	if (rc >= 0 && nr == 1)
		*name = steal_ptr(&found);
	return rc < 0 ? -1 : 0;
}

static int choose_program(const struct bin *bin, const struct probe *probe,
			  char **name, struct err *err)
{
	const char *names[] = { probe ? probe->main_program : NULL,
				probe ? probe->pname : NULL };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int rc = has_program(bin, names[i], err);

		if (rc < 0)
			return -1;
		if (rc) {
			*name = xstrdup(names[i]);
			return 0;
		}
	}
	return only_program(bin, name, err);
}

/* The program that the image runs, or NULL; the caller frees it. */
static int find_program(const struct source_output *output,
			const struct strbuf *root, char **program,
			struct err *err)
{
	autostrbuf bin = STRBUF_INIT;
	autofree char *name = NULL;
	struct err why = ERR_INIT;
	struct stat st;
	autoclose int dir = -1;

	*program = NULL;
	if (output->probe && output->probe->roots)
		return 0;
	strbuf_addf(&bin, "%s/bin", root->buf);
	if (store_follow(&bin, &st, &why))
		return absent(&why, err);
	dir = store_open(bin.buf, O_RDONLY | O_DIRECTORY, &why);
	if (dir < 0)
		return absent(&why, err);
	if (choose_program(&(struct bin){ bin.buf, dir }, output->probe, &name,
			   err))
		return err_wrap(err, "%s", bin.buf);
	if (name)
		*program = xasprintf("%s/bin/%s", output->path, name);
	return 0;
}

/* A main program is what a package is to be run as. */
static void warn_of_none(struct source *source, const struct probe *probe)
{
	if (probe && !probe->roots && probe->main_program)
		source->warning =
			xasprintf("the image has no entrypoint: bin/%s, "
				  "the package's main program, is "
				  "not there",
				  probe->main_program);
}

/* The CA certificates in the closure, or NULL; the caller frees it. */
static int find_bundle(const struct closure *closure, char **bundle,
		       struct err *err)
{
	*bundle = NULL;
	for (size_t i = 0; i < closure->nr; i++) {
		for (size_t j = 0; j < ARRAY_SIZE(bundles); j++) {
			autostrbuf file = STRBUF_INIT;
			struct err why = ERR_INIT;
			struct stat st;

			strbuf_addf(&file, "%s/%s", closure->paths[i].path,
				    bundles[j]);
			if (store_follow(&file, &st, &why)) {
				if (absent(&why, err))
					return -1;
			} else if (S_ISREG(st.st_mode)) {
				*bundle = strbuf_detach(&file, NULL);
				return 0;
			}
		}
	}
	return 0;
}

static void add_list(struct json_object *json, const char *key,
		     const char *const *words, size_t nr)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < nr; i++)
		json_object_array_add(list, json_object_new_string(words[i]));
	json_object_object_add(json, key, list);
}

static struct json_object *make_config(const char *bundle, const char *program)
{
	struct json_object *config = json_object_new_object();
	autofree char *variable =
		bundle ? xasprintf("SSL_CERT_FILE=%s", bundle) : NULL;
	const char *env[] = { PATH_VARIABLE, variable };

	if (program)
		add_list(config, "Entrypoint", &program, 1);
	add_list(config, "Env", env, bundle ? 2 : 1);
	return config;
}

/* What is visible at /: a directory in the store. */
static void add_root(struct layer_input *top, const struct closure *closure,
		     const char *root)
{
	autofree char *path = xstrndup(root, store_path_len(root));
	ssize_t index = closure_find(closure, path);

	if (index >= 0)
		layer_input_add_path(top, root, &closure->paths[index]);
}

/* What the packages of a composition need: not the composition itself. */
static void mark_roots(const struct source_output *output,
		       unsigned char *wanted)
{
	const struct probe *probe = output->probe;

	for (size_t i = 0; i < probe->nr_roots; i++) {
		ssize_t index = closure_find(output->closure, probe->roots[i]);

		if (index >= 0)
			closure_mark(output->closure, (size_t)index, wanted);
	}
}

static int add_roots(struct layer_input *top,
		     const struct source_output *output, struct err *err)
{
	const struct probe *probe = output->probe;

	for (size_t i = 0; i < probe->nr_roots; i++) {
		const struct source_output root = { .path = probe->roots[i] };
		autostrbuf path = STRBUF_INIT;
		bool is_directory = false;

		if (look(&root, &path, &is_directory, err) < 0)
			return -1;
		if (!is_directory)
			return err_set(err, ERR_REFUSED,
				       "%s is not a directory, and only those "
				       "can be composed",
				       root.path);
		add_root(top, output->closure, path.buf);
	}
	return 0;
}

static int add_layers(struct source *source, const struct source_output *output,
		      const char *root, struct err *err)
{
	static const struct tar_options options = {
		.dialect = TAR_DOCKERTOOLS,
		.nix_mode = 0755,
		.mtime = TIME,
		.uname = "root",
		.gname = "root",
	};
	const struct closure *closure = output->closure;
	size_t max = output->max_layers - 1; /* settings: 2 at least */
	autofree unsigned char *wanted = xcalloc(closure->nr + 1, 1);
	bool composed = output->probe && output->probe->roots;
	struct layer_input *top;

	if (composed)
		mark_roots(output, wanted);
	else
		memset(wanted, 1, closure->nr);
	source_add_planned(source, closure, wanted, max, &options);
	top = source_add_input(source, LAYER_ROOT, &options);
	if (composed && add_roots(top, output, err))
		return -1;
	if (!composed && root)
		add_root(top, closure, root);
	layer_input_comment(top, "links into store paths");
	return 0;
}

static int open_package(struct source *source,
			const struct source_output *output, struct err *err)
{
	struct package *package = xcalloc(1, sizeof(*package));
	autostrbuf root = STRBUF_INIT;
	autofree char *program = NULL, *bundle = NULL;
	bool is_directory = false;

	source->data = package;
	if (!platform_of_system(&package->platform, output->system))
		return err_set(err, ERR_REFUSED,
			       "%s is a package for %s, which no image is for",
			       output->path, output->system);
	if (look(output, &root, &is_directory, err) < 0)
		return -1;
	if (!is_directory)
		program = xstrdup(output->path);
	else if (find_program(output, &root, &program, err))
		return -1;
	if (!program)
		warn_of_none(source, output->probe);
	if (find_bundle(output->closure, &bundle, err))
		return -1;
	package->config = make_config(bundle, program);
	if (add_layers(source, output, is_directory ? root.buf : NULL, err))
		return -1;
	if (output->probe)
		source->annotations = probe_annotations(output->probe);
	return 0;
}

static int config(const struct source *source, const struct layer *layers,
		  struct strbuf *out, struct err *err)
{
	const struct package *package = source->data;
	char created[ISOTIME_SIZE];
	struct isotime time;
	struct imageconfig format = {
		.created = created,
		.architecture = package->platform.architecture,
		.variant = *package->platform.variant
				   ? package->platform.variant
				   : NULL,
		.os = "linux",
		.config = package->config,
	};

	isotime_from_seconds(&time, TIME);
	isotime_format(&time, created);
	imageconfig_format(out, &format, source->inputs, layers, source->nr);
	return 0;
}

static void release(struct source *source)
{
	struct package *package = source->data;

	if (!package)
		return;
	json_object_put(package->config);
	free(package);
}

const struct source_kind source_package = {
	.name = "package",
	.follows_itself = true,
	.matches = matches,
	.open = open_package,
	.config = config,
	.release = release,
};
