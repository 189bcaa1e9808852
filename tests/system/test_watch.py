# SPDX-License-Identifier: MIT
"""Who watches: each kind of error is found in a watched program, though its
standard error is nobody's, and in a child that it has forked."""

import os
import subprocess

import pytest

from harness import watch
from harness.process import run

PROGRAM = r"""
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int sum;

static void *add(void *unused)
{
	sum++;
	return unused;
}

int main(int argc, char **argv)
{
	char *volatile memory = malloc(10);
	pthread_t threads[2];
	int status;

	if (fork()) {
		free(memory);
		return wait(&status) < 0;
	}
	switch (argv[1][0]) {
	case 'l': /* lost */
		memory = NULL;
		break;
	case 'o': /* overflow */
		sum = INT_MAX;
		sum = sum + argc;
		break;
	case 'r': /* read after free */
		free(memory);
		sum += ((volatile char *)memory)[1] == 'x';
		break;
	case 't': /* threads */
		for (int i = 0; i < 2; i++)
			pthread_create(&threads[i], NULL, add, NULL);
		for (int i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
	}
	if (memory && argv[1][0] != 'r')
		free(memory);
	return 0;
}
"""

WATCHERS = {
    "address": ("-fsanitize=address,undefined", {
        "lost": "detected memory leaks", "overflow": "integer overflow",
        "read": "heap-use-after-free"}),
    "thread": ("-fsanitize=thread", {"threads": "data race"}),
    "valgrind": ("-O0", {"lost": "definitely lost", "read": "Invalid read"}),
}


@pytest.mark.parametrize("name", WATCHERS)
def test_it_is_found(directory, name):
    option, errors = WATCHERS[name]
    build = directory / "build"
    build.mkdir()
    (build / "x.c").write_text(PROGRAM)
    for program in watch.PROGRAMS:
        run(["cc", "-g", option, "-pthread", "-o", build / program,
             build / "x.c"]).ok()
    folder = watch.make(directory / "watched", build, name == "valgrind")
    for program in watch.PROGRAMS:
        subprocess.run([folder / program, "nothing"], check=True,
                       stderr=subprocess.DEVNULL, env={})
        assert not watch.take_reports(folder)
        for error, message in errors.items():
            subprocess.run([folder / program, error], check=False,
                           stderr=subprocess.DEVNULL,
                           env={"PATH": os.environ["PATH"]})
            [report] = watch.take_reports(folder)
            assert message in report
            assert not watch.take_reports(folder)
