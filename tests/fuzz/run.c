// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/limits.h"
#include "common/strbuf.h"

#include "common/banned.h"

/*
 * A fuzz target as an ordinary test: PROGRAM [FILE...] runs the files, or all
 * of its corpus and then what is near those: cut off at each byte, and changed
 * as a fixed seed has it. The files are all run, in an order that is always
 * the same; so are the changed ones, as far as the time goes. It runs from the
 * repository's root, and prints how many tests there were as the others do.
 */

#define CORPUS "tests/fuzz/corpus"

/* Of the changed ones, in ms of this processor; FUZZ_MS is another. */
#define BUDGET_MS 300

/* The most that a change adds. */
#define ADDED_MAX 16

struct input {
	char *name;
	struct strbuf bytes;
};

static struct input *inputs;
static size_t nr_inputs, alloc_inputs;

/* What is being run, for who looks into it after a crash. */
static const unsigned char *current;
static size_t current_len;
static char found[4096];

static void say(const char *s)
{
	if (write_all(STDERR_FILENO, s, strlen(s)))
		_exit(1);
}

static void on_abort(int number)
{
	int fd = open(found, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd >= 0 && !write_all(fd, current, current_len)) {
		say("the input is in ");
		say(found);
		say("\n");
	}
	signal(number, SIG_DFL);
	raise(number);
}

static void run(const void *data, size_t len)
{
	/* So that a sanitizer sees what is read behind the end. */
	autofree unsigned char *copy = xmalloc(len ? len : 1);

	if (len)
		memcpy(copy, data, len);
	current = copy;
	current_len = len;
	LLVMFuzzerTestOneInput(copy, len);
}

static void add_input(const char *name)
{
	autoclose int fd = open(name, O_RDONLY | O_CLOEXEC);
	struct err err = ERR_INIT;
	struct input *input;

	ALLOC_GROW(inputs, nr_inputs, alloc_inputs);
	input = &inputs[nr_inputs++];
	*input = (struct input){ .name = xstrdup(name), .bytes = STRBUF_INIT };
	if (fd >= 0 && !strbuf_read(&input->bytes, fd, CONF_MAX, name, &err))
		return;
	fprintf(stderr, "%s: %s\n", name, fd < 0 ? "not there" : err.msg);
	exit(1);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void add_corpus(const char *program)
{
	const char *name = strrchr(program, '/');
	autofree char *path = NULL;
	struct dirent **entries;
	int nr;

	name = name ? name + 1 : program;
	name += strncmp(name, "fuzz_", 5) ? 0 : 5;
	path = xasprintf(CORPUS "/%s", name);
	nr = scandir(path, &entries, is_visible, alphasort);
	for (int i = 0; i < nr; i++) {
		autofree char *file =
			xasprintf("%s/%s", path, entries[i]->d_name);

		add_input(file);
		free(entries[i]);
	}
	if (nr > 0)
		free(entries);
	if (nr_inputs)
		return;
	fprintf(stderr, "%s: nothing in %s\n", program, path);
	exit(1);
}

/* xorshift64*: the same everywhere. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

/* One of a few kinds of change, at one place. */
static void change(struct strbuf *b, uint64_t *state)
{
	static const char special[] = "\0\xff\n\r\t \"'\\/{}[]:,%=-09aA.@#?&$";
	const struct input *other = &inputs[next_random(state) % nr_inputs];
	uint64_t random = next_random(state);
	size_t at = b->len ? (random >> 8) % b->len : 0;
	size_t n = 1 + (random >> 40) % ADDED_MAX;

	switch (random % (b->len ? 5 : 1)) {
	case 0: /* a piece of another one */
		if (other->bytes.len) {
			size_t from = (random >> 16) % other->bytes.len;

			strbuf_add(b, other->bytes.buf + from,
				   n < other->bytes.len - from
					   ? n
					   : other->bytes.len - from);
		}
		break;
	case 1:
		b->buf[at] ^= (char)(1 << (random >> 48) % 8);
		break;
	case 2:
		b->buf[at] = special[(random >> 48) % sizeof(special)];
		break;
	case 3: /* left out */
		n = n < b->len - at ? n : b->len - at;
		memmove(b->buf + at, b->buf + at + n, b->len - at - n);
		b->len -= n;
		break;
	case 4: /* there twice */
		n = n < b->len - at ? n : b->len - at;
		strbuf_grow(b, n);
		memmove(b->buf + at + n, b->buf + at, b->len - at);
		b->len += n;
		break;
	}
}

static int64_t spent_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Each input once more cut off and once more changed, until time is up. */
static size_t run_changed(int64_t until_ms)
{
	uint64_t state = 0x9e3779b97f4a7c15;
	size_t nr = 0;

	for (size_t round = 0;; round++) {
		for (size_t i = 0; i < nr_inputs; i++) {
			const struct strbuf *bytes = &inputs[i].bytes;
			autostrbuf b = STRBUF_INIT;

			if (spent_ms() >= until_ms)
				return nr;
			if (round < bytes->len)
				run(bytes->buf, bytes->len - 1 - round);
			strbuf_add(&b, bytes->buf, bytes->len);
			for (size_t n = 1 + round % 4; n; n--)
				change(&b, &state);
			run(b.buf, b.len);
			nr += 2;
		}
	}
}

int main(int argc, char **argv)
{
	const char *ms = getenv("FUZZ_MS");
	size_t changed = 0;

	snprintf(found, sizeof(found), "%s.found", argv[0]);
	signal(SIGABRT, on_abort);
	signal(SIGSEGV, on_abort);
	for (int i = 1; i < argc; i++)
		add_input(argv[i]);
	if (argc == 1)
		add_corpus(argv[0]);
	for (size_t i = 0; i < nr_inputs; i++)
		run(inputs[i].bytes.buf, inputs[i].bytes.len);
	run("", 0);
	if (argc == 1)
		changed = run_changed(spent_ms() +
				      (ms ? strtoll(ms, NULL, 10) : BUDGET_MS));
	printf("%zu files, %zu changed\n1 passed, 0 failed\n", nr_inputs,
	       changed);
	for (size_t i = 0; i < nr_inputs; i++) {
		free(inputs[i].name);
		strbuf_release(&inputs[i].bytes);
	}
	free(inputs);
	return 0;
}
