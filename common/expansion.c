// SPDX-License-Identifier: MIT
#include "common/expansion.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/store.h"

#include "common/banned.h"

/* One that is not there is told of when it is read. */
static uint64_t file_size(const char *file)
{
	struct err ignored = ERR_INIT;
	autoclose int fd = store_open(file, O_PATH, &ignored);
	struct stat st;

	return fd < 0 || fstat(fd, &st) ? 0 : (uint64_t)st.st_size;
}

static void allow_file(struct expansion *e, const char *file)
{
	uint64_t more;

	/* The layers of an archive follow each other. */
	if (e->file && !strcmp(e->file, file))
		return;
	free(e->file);
	e->file = xstrdup(file);
	if (__builtin_mul_overflow(file_size(file), EXPANSION_MAX, &more) ||
	    __builtin_add_overflow(e->max, more, &e->max))
		e->max = UINT64_MAX;
}

void expansion_allow(struct expansion *expansion,
		     const struct layer_input *inputs, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (inputs[i].kind == LAYER_MEMBER ||
		    inputs[i].kind == LAYER_BLOB)
			allow_file(expansion, inputs[i].file);
}

int expansion_add(struct expansion *expansion, size_t len, struct err *err)
{
	uint64_t before = atomic_fetch_add(&expansion->bytes, len);

	if (before <= expansion->max && len <= expansion->max - before)
		return 0;
	return err_set(err, ERR_MALFORMED,
		       "the image's layers expand to more than %u times the "
		       "size of what they are in, all together",
		       EXPANSION_MAX);
}

void expansion_release(struct expansion *expansion)
{
	free(expansion->file);
	expansion->file = NULL;
}
