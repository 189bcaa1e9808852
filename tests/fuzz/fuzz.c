// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/strbuf.h"
#include "tests/unit/scratch.h"

#include "common/banned.h"

/* What ends the process is told as what any other signal is told. */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
	return "abort_on_error=1:detect_stack_use_after_return=1";
}

const char *__ubsan_default_options(void)
{
	return "abort_on_error=1:print_stacktrace=1";
}

const char *__tsan_default_options(void)
{
	return "abort_on_error=1";
}

void fuzz_fail(const char *file, int line, const char *claim)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, claim);
	abort();
}

void fuzz_need_same(const char *got, const char *want)
{
	if (!strcmp(got, want))
		return;
	fprintf(stderr, "got:  %s\nwant: %s\n", got, want);
	abort();
}

void fuzz_need_error(const struct err *err)
{
	need(err->code > ERR_NONE && err->code <= ERR_SYSTEM);
	need(memchr(err->msg, 0, sizeof(err->msg)));
	need(err->msg[0]);
}

void fuzz_need_no_secret(const char *s)
{
	if (strstr(s, FUZZ_SECRET)) {
		fprintf(stderr, "it is told: %s\n", s);
		abort();
	}
}

char *fuzz_string(const unsigned char *data, size_t size)
{
	return size ? xstrndup((const char *)data, size) : xstrdup("");
}

bool fuzz_part(const unsigned char **data, size_t *size,
	       const unsigned char **part, size_t *len)
{
	static const char end[] = "%%\n";
	const unsigned char *p;

	if (!*size)
		return false;
	*part = *data;
	p = memmem(*data, *size, end, strlen(end));
	*len = p ? (size_t)(p - *data) : *size;
	*data += *len + (p ? strlen(end) : 0);
	*size -= *len + (p ? strlen(end) : 0);
	return true;
}

static char *folder;

static void remove_folder(void)
{
	scratch_remove(folder);
}

const char *fuzz_folder(void)
{
	if (!folder) {
		/* In memory, where a sync costs nothing, if that can be. */
		folder = xstrdup("/dev/shm/flakehub-fuzz.XXXXXX");
		if (!mkdtemp(folder)) {
			free(folder);
			folder = scratch_make();
		}
		if (atexit(remove_folder))
			abort();
	}
	return folder;
}

const char *fuzz_file(const char *name, const void *data, size_t len)
{
	static char path[4096];
	static time_t written;
	struct timespec times[2] = { 0 };
	autoclose int fd = -1;

	times[0].tv_sec = times[1].tv_sec = written++;
	snprintf(path, sizeof(path), "%s/%s", fuzz_folder(), name);
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || write_all(fd, data, len) || futimens(fd, times)) {
		perror(path);
		abort();
	}
	return path;
}

struct json_object *fuzz_json(const unsigned char *data, size_t size)
{
	struct err err = ERR_INIT;
	struct json_object *json;

	if (!json_parse(&json, (const char *)data, size, "input", &err))
		return json;
	fuzz_need_error(&err);
	return NULL;
}
