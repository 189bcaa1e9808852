// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/stat.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cache.h"
#include "common/confine.h"
#include "common/log.h"
#include "common/settings.h"
#include "fcgi/keeper.h"
#include "fcgi/retry.h"

#include "common/banned.h"

#define PROGRAM "flakehub.fcgi"

static const char help[] =
	"usage: " PROGRAM " [-c|--config FILE]\n"
	"\n"
	"Serve the images of flakehub.conf by FastCGI, on the listening "
	"socket\n"
	"that is its standard input: a web server or spawn-fcgi starts it so.\n"
	"\n"
	"  -c, --config FILE  settings, else FLAKEHUB_CONFIG or\n"
	"                     " SETTINGS_DEFAULT_FILE "\n"
	"  -h, --help         print this\n"
	"  -V, --version      print the version\n"
	"\n"
	"environment:\n"
	"  FLAKEHUB           the flakehub program that builds, else the one\n"
	"                     beside this program or on PATH\n"
	"  FLAKEHUB_HOLD_MS   how long a request is held before the client is\n"
	"                     sent to itself; 25000, and less for tests\n";

/* One line about what is wrong with the world. */
static int complain(const char *what, const char *why)
{
	fprintf(stderr, PROGRAM ": %s%s%s\n", what, *why ? ": " : "", why);
	return 1;
}

static int print(const char *text)
{
	if (fputs(text, stdout) < 0 || fflush(stdout))
		return complain("cannot write to standard output", "");
	return 0;
}

/* The exit status if the options say all that is to be done, else -1. */
static int parse_options(int argc, char **argv, const char **config)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
		if (c == 'h')
			return print(help);
		if (c == 'V')
			return print(PROGRAM " " FLAKEHUB_VERSION "\n");
		if (c != 'c')
			break;
		*config = optarg;
	}
	if (c == -1 && optind == argc)
		return -1;
	fprintf(stderr,
		"usage: " PROGRAM " [-c|--config FILE] (--help says more)\n");
	return 2;
}

/* A descriptor that we open must not become standard output or error. */
static void open_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static bool is_listener(int fd)
{
	int listens = 0;
	socklen_t len = sizeof(listens);

	return !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) &&
	       listens;
}

/* Each request that waits holds a connection. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	/* What we have is what we have. */
	if (setrlimit(RLIMIT_NOFILE, &limit))
		return;
}

/* "flakehub" beside our own program, or NULL. */
static char *find_sibling(void)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	autofree char *path = NULL;
	char *slash;

	if (n < 0)
		return NULL;
	self[n] = 0;
	slash = strrchr(self, '/');
	path = xasprintf("%.*s/flakehub", (int)(slash - self), self);
	return access(path, X_OK) ? NULL : steal_ptr(&path);
}

/* "flakehub" in a folder of PATH, or NULL. */
static char *find_on_path(void)
{
	const char *p = getenv("PATH");

	while (p && *p) {
		size_t len = strcspn(p, ":");
		autofree char *path = xasprintf("%.*s/flakehub", (int)len, p);

		if (*p == '/' && !access(path, X_OK))
			return steal_ptr(&path);
		p += len + (p[len] == ':');
	}
	return NULL;
}

/* The builder's program; NULL and a complaint if there is none. */
static char *find_flakehub(void)
{
	const char *env = getenv("FLAKEHUB");
	char *path;

	if (env && *env) {
		path = access(env, X_OK) ? NULL : realpath(env, NULL);
		if (!path)
			complain(env, strerrordesc_np(errno));
		return path;
	}
	path = find_sibling();
	if (!path)
		path = find_on_path();
	if (!path)
		complain("the program flakehub is neither beside this one nor "
			 "on PATH",
			 "");
	return path;
}

static int64_t hold_ms(void)
{
	const char *env = getenv("FLAKEHUB_HOLD_MS");
	char *end;
	long ms;

	if (!env)
		return HOLD_MS;
	ms = strtol(env, &end, 10);
	return *env && !*end && ms > 0 && ms < HOLD_MS ? ms : HOLD_MS;
}

static int run(const char *config)
{
	autosettings settings = { 0 };
	autocache cache = CACHE_INIT;
	autofree char *file = NULL;
	autofree char *flakehub = NULL;
	struct err err = ERR_INIT;
	struct keeper keeper = { .listener = STDIN_FILENO,
				 .hold_ms = hold_ms() };

	if (!is_listener(STDIN_FILENO))
		return complain("standard input is not a listening socket",
				"start this from a web server or spawn-fcgi, "
				"or use `flakehub serve`");
	if (settings_load(&settings, config, &file, &err))
		return complain(err.msg, "");
	if (cache_open(&cache, settings.cache_dir, CACHE_WRITE, &err))
		return complain(err.msg, "");
	flakehub = find_flakehub();
	if (!flakehub)
		return 1;
	raise_descriptors();
	if (settings.sandbox_eval && confine_try(&err))
		log_event(LOG_LEVEL_WARN, "event", "sandbox-eval", "msg",
			  err.code == ERR_REFUSED
				  ? "bubblewrap does not work here: flakes are "
				    "evaluated without a sandbox"
				  : "bubblewrap does not start right now: no "
				    "flake is evaluated while it does not",
			  "why", err.msg, NULL);
	keeper.settings = &settings;
	keeper.settings_file = file;
	keeper.cache = &cache;
	keeper.flakehub = flakehub;
	return keeper_run(&keeper);
}

int main(int argc, char **argv)
{
	const char *config = NULL;
	int rc;

	open_standard();
	/* The web server, another user, reads the cache. */
	umask(022);
	/* An arena a thread would be most of the responder's memory. */
	mallopt(M_ARENA_MAX, 2);
	rc = parse_options(argc, argv, &config);
	return rc < 0 ? run(config) : rc;
}
