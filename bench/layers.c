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
 *
 * Make layers as the builder does, without Nix: what is in the folder STORE
 * stands for the store paths, dealt to so many layers in turn. Prints seconds,
 * seconds of the processors, and the peak of memory in KB.
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

static struct layer_input *make_inputs(struct dirent **names, size_t nr,
				       size_t nr_layers)
{
	struct layer_input *inputs = xcalloc(nr_layers, sizeof(*inputs));

	for (size_t i = 0; i < nr_layers; i++) {
		inputs[i].kind = LAYER_STORE_PATHS;
		inputs[i].options = (struct tar_options){
			.nix_mode = 0755,
			.mtime = 1,
			.uname = xstrdup("root"),
			.gname = xstrdup("root"),
		};
		inputs[i].paths = xcalloc(nr, sizeof(*inputs[i].paths));
	}
	for (size_t i = 0; i < nr; i++) {
		struct layer_input *input = &inputs[i % nr_layers];
		char *path = xasprintf("%s/%s", STORE_DIR, names[i]->d_name);

		input->paths[input->nr_paths++] = (struct layer_path){
			.path = path,
			.nar_hash = xstrdup(names[i]->d_name),
		};
	}
	return inputs;
}

int main(int argc, char **argv)
{
	struct err error = ERR_INIT;
	autocache cache = CACHE_INIT;
	enum compression c;
	struct dirent **names;
	struct layer_input *inputs;
	struct layer *layers;
	size_t nr_layers;
	double start, seconds;
	int nr;

	if (argc != 5)
		errx(2, "usage: layers STORE CACHE COMPRESSION LAYERS");
	c = compression_parse(argv[3]);
	nr_layers = strtoul(argv[4], NULL, 10);
	nr = scandir(argv[1], &names, is_entry, alphasort);
	if (nr < 1 || !nr_layers || c == COMPRESSIONS)
		errx(2, "nothing to do");
	if (nr_layers > (size_t)nr)
		nr_layers = (size_t)nr;
	store_set_real_dir(argv[1]);
	if (cache_open(&cache, argv[2], CACHE_WRITE, &error))
		errx(1, "%s", error.msg);
	inputs = make_inputs(names, (size_t)nr, nr_layers);
	layers = xcalloc(nr_layers, sizeof(*layers));
	start = now();
	if (layers_make(&cache, inputs, nr_layers, c, NULL, NULL, layers,
			&error))
		errx(1, "%s", error.msg);
	seconds = now() - start;
	printf("%f %f %ld\n", seconds, cpu_seconds(), peak_kb());
	return 0;
}
