// SPDX-License-Identifier: MIT
#include "common/layer.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cache.h"
#include "common/expansion.h"
#include "common/layertar.h"
#include "common/teller.h"
#include "common/stream.h"

#include "common/banned.h"

/* A layer that has to be made; all inputs of its key share it. */
struct task {
	size_t index; /* of the first such input */
	uint64_t weight;
};

/* One call of layers_make(). */
struct job {
	const struct cache *cache;
	const struct layer_input *inputs;
	size_t nr;
	struct layer *out; /* out[i].key is set for all */
	size_t *same;	   /* same[i] is the first input of the same key */
	struct teller *teller;
	struct crew *crew;
	struct task *tasks; /* the heaviest first */
	size_t nr_tasks;

	pthread_mutex_t lock; /* for what follows */
	size_t next_task;
	bool failed;
	struct err *err;
};

static int (*const write_tar[])(struct stream *stream, struct teller *teller,
				const struct layer_input *input,
				struct layer *layer, struct err *err) = {
	[LAYER_STORE_PATHS] = layertar_store_paths,
	[LAYER_LINKS] = layertar_links,
	[LAYER_ROOT] = layertar_links,
	[LAYER_TREE] = layertar_tree,
	[LAYER_FILE] = layertar_file,
	[LAYER_BLOB] = layertar_blob,
	[LAYER_MEMBER] = layertar_member,
};

/* What an error calls a layer. */
static int wrap(const struct job *job, size_t index, struct err *err)
{
	const struct layer_input *input = &job->inputs[index];
	const char *name = input->file ? input->file : "no store paths";
	size_t more = 0;

	if (!input->file && input->nr_paths) {
		name = input->paths[0].path;
		more = input->nr_paths - 1;
	}
	if (more)
		return err_wrap(err, "layer %zu (%s and %zu more)", index + 1,
				name, more);
	return err_wrap(err, "layer %zu (%s)", index + 1, name);
}

/* Is it known, and its blob there? 1, 0, or -1. What is known is in known. */
static int look(const struct job *job, size_t index, struct layer *known,
		bool *is_known, struct err *err)
{
	const struct digest *key = &job->out[index].key;

	*is_known = !cache_get_layer(job->cache, key, known, err);
	if (!*is_known && err->code != ERR_UNKNOWN)
		return -1;
	return *is_known &&
	       cache_use_blob(job->cache, &known->blob.digest, NULL);
}

static int check_promised(const struct layer_input *input,
			  const struct digest *diff_id, struct err *err)
{
	char is[DIGEST_STR_SIZE], promised[DIGEST_STR_SIZE];

	if (!input->has_diff_id || digest_equal(&input->diff_id, diff_id))
		return 0;
	return err_set(
		err, ERR_MALFORMED,
		"%s%s%s has the diff ID %s, but it should be %s",
		input->member ? input->member : "", input->member ? " in " : "",
		input->file ? input->file : "the layer",
		digest_str(diff_id, is), digest_str(&input->diff_id, promised));
}

/* A blob that is taken as it is has the digest that it was promised to have. */
static int check_blob(const struct layer_input *input, struct layer *layer,
		      struct err *err)
{
	char is[DIGEST_STR_SIZE], promised[DIGEST_STR_SIZE];

	if (input->kind != LAYER_BLOB)
		return 0;
	if (!digest_equal(&input->blob.digest, &layer->blob.digest))
		return err_set(err, ERR_MALFORMED,
			       "%s%s%s hashes to %s, but it should be %s",
			       input->member ? input->member : "",
			       input->member ? " in " : "", input->file,
			       digest_str(&layer->blob.digest, is),
			       digest_str(&input->blob.digest, promised));
	if (input->blob.size != layer->blob.size)
		return err_set(err, ERR_MALFORMED,
			       "%s%s%s has %ju bytes, but it should have %ju",
			       input->member ? input->member : "",
			       input->member ? " in " : "", input->file,
			       (uintmax_t)layer->blob.size,
			       (uintmax_t)input->blob.size);
	/* A plain tar, or nobody looked inside. */
	if (!layer->tar_size) {
		layer->diff_id = layer->blob.digest;
		layer->tar_size = layer->blob.size;
	}
	return 0;
}

/* The size that a manifest may have told before there were any bytes. */
static int check_size(const struct layer_input *input,
		      const struct layer *layer, struct err *err)
{
	if (input->kind != LAYER_TREE || !input->blob.size ||
	    input->blob.size == layer->blob.size)
		return 0;
	return err_set(err, ERR_MALFORMED,
		       "the layer has %ju bytes, but it should have %ju",
		       (uintmax_t)layer->blob.size,
		       (uintmax_t)input->blob.size);
}

/* The same inputs made other bytes once: something below us has changed. */
static int check_known(const struct layer *layer, const struct layer *known,
		       struct err *err)
{
	char is[DIGEST_STR_SIZE], was[DIGEST_STR_SIZE];

	if (digest_equal(&layer->blob.digest, &known->blob.digest) &&
	    digest_equal(&layer->diff_id, &known->diff_id))
		return 0;
	return err_set(err, ERR_REFUSED,
		       "it was made again and is %s now, but was %s",
		       digest_str(&layer->blob.digest, is),
		       digest_str(&known->blob.digest, was));
}

static int make(struct job *job, struct worker *worker, size_t index,
		const struct layer *known, struct err *err)
{
	const struct layer_input *input = &job->inputs[index];
	struct layer *layer = &job->out[index];
	autostream *stream = NULL;

	if (stream_new(&stream, worker, err) ||
	    write_tar[input->kind](stream, job->teller, input, layer, err) ||
	    stream_finish(stream, layer, err) ||
	    check_blob(input, layer, err) ||
	    check_promised(input, &layer->diff_id, err) ||
	    check_size(input, layer, err))
		return -1;
	if (known && check_known(layer, known, err))
		return -1;
	if (stream_commit(stream, layer, err))
		return -1;
	return cache_put_layer(job->cache, layer, err);
}

/*
 * Make a layer that was not there, unless another process has done so by the
 * time that we have its lock. A thread holds one such lock at a time.
 */
static int find_or_make(struct job *job, struct worker *worker, size_t index,
			struct err *err)
{
	struct layer *layer = &job->out[index];
	char hex[DIGEST_HEX_SIZE], name[] = "layer.000";
	struct layer known;
	bool is_known;
	autoclose int lock = -1;
	int found;

	memcpy(name + strlen("layer."), digest_hex(&layer->key, hex), 3);
	lock = cache_lock(job->cache, name, -1, err);
	if (lock < 0)
		return -1;
	found = look(job, index, &known, &is_known, err);
	if (found < 0)
		return -1;
	if (found)
		*layer = known;
	else if (make(job, worker, index, is_known ? &known : NULL, err))
		return -1;
	teller_layer(job->teller, &job->inputs[index], layer, !found);
	return 0;
}

static bool take_task(struct job *job, struct task *task)
{
	bool got;

	pthread_mutex_lock(&job->lock);
	got = !job->failed && job->next_task < job->nr_tasks;
	if (got)
		*task = job->tasks[job->next_task++];
	pthread_mutex_unlock(&job->lock);
	return got;
}

/* The first error is the one that is told; the rest follow from it. */
static void fail(struct job *job, const struct err *err)
{
	pthread_mutex_lock(&job->lock);
	if (!job->failed)
		*job->err = *err;
	job->failed = true;
	pthread_mutex_unlock(&job->lock);
	crew_stop(job->crew);
}

static void *work(void *arg)
{
	struct job *job = arg;
	struct worker *worker = worker_new(job->crew);
	struct task task;

	while (take_task(job, &task)) {
		struct err err = ERR_INIT;

		if (find_or_make(job, worker, task.index, &err)) {
			wrap(job, task.index, &err);
			fail(job, &err);
		}
	}
	worker_help(worker);
	worker_free(worker);
	return NULL;
}

/* On that many threads, of which this is one. */
static void run(struct job *job, size_t threads)
{
	pthread_t *ids = xreallocarray(NULL, threads, sizeof(*ids));
	sigset_t all, old;

	/* Signals are for the thread that called us. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	for (size_t i = 1; i < threads; i++)
		if (pthread_create(&ids[i], NULL, work, job))
			abort();
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	work(job);
	for (size_t i = 1; i < threads; i++)
		pthread_join(ids[i], NULL);
	free(ids);
}

static uint64_t file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : (uint64_t)st.st_size;
}

static uint64_t weight(const struct layer_input *input)
{
	uint64_t sum = 0;

	if (input->file)
		return file_size(input->file);
	for (size_t i = 0;
	     (input->kind == LAYER_STORE_PATHS || input->kind == LAYER_TREE) &&
	     i < input->nr_paths;
	     i++)
		sum += input->paths[i].nar_size;
	return sum;
}

static int compare_tasks(const void *a, const void *b)
{
	const struct task *s = a, *t = b;

	if (s->weight != t->weight)
		return s->weight > t->weight ? -1 : 1;
	return s->index < t->index ? -1 : 1;
}

static size_t find_same(const struct job *job, size_t index)
{
	size_t i = 0;

	while (!digest_equal(&job->out[i].key, &job->out[index].key))
		i++;
	return i;
}

/* Find what is there; the rest are tasks. */
static int plan(struct job *job, enum compression c, struct err *err)
{
	for (size_t i = 0; i < job->nr; i++) {
		struct layer known;
		bool is_known;
		int found;

		layer_input_key(&job->inputs[i], c, &job->out[i].key);
		job->same[i] = find_same(job, i);
		if (job->same[i] != i)
			continue;
		found = look(job, i, &known, &is_known, err);
		if (found < 0)
			return wrap(job, i, err);
		if (found) {
			job->out[i] = known;
			teller_layer(job->teller, &job->inputs[i], &known,
				     false);
			continue;
		}
		job->tasks[job->nr_tasks++] =
			(struct task){ i, weight(&job->inputs[i]) };
	}
	qsort(job->tasks, job->nr_tasks, sizeof(*job->tasks), compare_tasks);
	return 0;
}

static size_t cores(void)
{
	cpu_set_t set;
	int nr = sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);

	return nr > 0 ? (size_t)nr : 1;
}

static int find_or_make_all(struct job *job, enum compression c, size_t threads,
			    struct err *err)
{
	if (plan(job, c, err))
		return -1;
	if (!job->nr_tasks)
		return 0;
	run(job, threads);
	return job->failed ? -1 : 0;
}

int layers_make(const struct cache *cache, const struct layer_input *inputs,
		size_t nr, enum compression c, struct expansion *expansion,
		const struct layer_progress *progress, struct layer *out,
		struct err *err)
{
	/* While one waits for the disk another has the core. */
	size_t threads = 2 * cores();
	autofree struct task *tasks = xcalloc(nr, sizeof(*tasks));
	autofree size_t *same = xcalloc(nr, sizeof(*same));
	struct teller *teller = teller_new(progress);
	autoexpansion own = EXPANSION_INIT;
	struct expansion *all = expansion ? expansion : &own;
	struct job job = {
		.cache = cache,
		.inputs = inputs,
		.nr = nr,
		.out = out,
		.same = same,
		.tasks = tasks,
		.teller = teller,
		.crew = crew_new(cache, c, teller, all, threads),
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.err = err,
	};
	int rc;

	expansion_allow(all, inputs, nr);
	rc = find_or_make_all(&job, c, threads, err);
	crew_free(job.crew);
	teller_free(teller);
	for (size_t i = 0; !rc && i < nr; i++)
		if (same[i] != i)
			out[i] = out[same[i]];
	return rc;
}
