// SPDX-License-Identifier: MIT
#include <dirent.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "common/alloc.h"
#include "common/cache.h"
#include "common/layer.h"
#include "common/store.h"

#include "common/banned.h"

/*
 * layers STORE CACHE COMPRESSION LAYERS
 * layers LIST CACHE COMPRESSION
 *
 * Make layers as the builder does, without Nix. What is in the folder STORE
 * stands for the store paths, dealt to so many layers in turn. LIST has a path
 * of the real store a line, an empty line ends a layer; one whose first line is
 * "links" is that of links into the paths. Prints seconds, seconds of the
 * processors, and the peak of memory in KB; then each layer's digest.
 */

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* getrusage(2) would tell of the process that we were before exec. */
static long peak_kb(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	long kb = 0;

	if (!f)
		err(1, "/proc/self/status");
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "VmHWM:", 6))
			kb = strtol(line + 6, NULL, 10);
	fclose(f);
	return kb;
}

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int is_entry(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

struct inputs {
	struct layer_input *list;
	size_t nr;
};

static struct layer_input *add_input(struct inputs *inputs)
{
	struct layer_input *input;

	inputs->list = xreallocarray(inputs->list, inputs->nr + 1,
				     sizeof(*inputs->list));
	input = &inputs->list[inputs->nr++];
	*input = (struct layer_input){ .kind = LAYER_STORE_PATHS };
	input->options = (struct tar_options){
		.nix_mode = 0755,
		.mtime = 1,
		.uname = xstrdup("root"),
		.gname = xstrdup("root"),
	};
	return input;
}

/* Its hash is in the layer's key alone. */
static void add_path(struct layer_input *input, char *path)
{
	input->paths = xreallocarray(input->paths, input->nr_paths + 1,
				     sizeof(*input->paths));
	input->paths[input->nr_paths++] = (struct layer_path){
		.path = path,
		.nar_hash = xstrdup(path),
	};
}

static void deal_folder(struct inputs *inputs, const char *folder,
			size_t nr_layers)
{
	struct dirent **names;
	int nr = scandir(folder, &names, is_entry, alphasort);

	if (nr < 1 || !nr_layers)
		errx(2, "nothing to do");
	if (nr_layers > (size_t)nr)
		nr_layers = (size_t)nr;
	while (inputs->nr < nr_layers)
		add_input(inputs);
	for (size_t i = 0; i < (size_t)nr; i++)
		add_path(&inputs->list[i % nr_layers],
			 xasprintf("%s/%s", STORE_DIR, names[i]->d_name));
	store_set_real_dir(folder);
}

static void read_list(struct inputs *inputs, const char *file)
{
	struct layer_input *input = NULL;
	FILE *f = fopen(file, "re");
	char line[4096];

	if (!f)
		err(1, "%s", file);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (!*line) {
			input = NULL;
			continue;
		}
		if (!input)
			input = add_input(inputs);
		if (!strcmp(line, "links"))
			input->kind = LAYER_LINKS;
		else
			add_path(input, xstrdup(line));
	}
	fclose(f);
}

int main(int argc, char **argv)
{
	struct err error = ERR_INIT;
	autocache cache = CACHE_INIT;
	enum compression c =
		argc > 3 ? compression_parse(argv[3]) : COMPRESSIONS;
	struct inputs inputs = { .nr = 0 };
	char digest[DIGEST_STR_SIZE];
	struct layer *layers;
	double start, seconds;

	if (argc < 4 || argc > 5 || c == COMPRESSIONS)
		errx(2, "usage: layers STORE CACHE COMPRESSION LAYERS\n"
			"       layers LIST CACHE COMPRESSION");
	if (argc == 5)
		deal_folder(&inputs, argv[1], strtoul(argv[4], NULL, 10));
	else
		read_list(&inputs, argv[1]);
	if (cache_open(&cache, argv[2], CACHE_WRITE, &error))
		errx(1, "%s", error.msg);
	layers = xcalloc(inputs.nr, sizeof(*layers));
	start = now();
	if (layers_make(&cache, inputs.list, inputs.nr, c, NULL, NULL, layers,
			&error))
		errx(1, "%s", error.msg);
	seconds = now() - start;
	printf("%f %f %ld\n", seconds, cpu_seconds(), peak_kb());
	for (size_t i = 0; i < inputs.nr; i++)
		printf("%s\n", digest_str(&layers[i].blob.digest, digest));
	return 0;
}
