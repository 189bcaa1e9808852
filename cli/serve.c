// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/address.h"
#include "cli/children.h"
#include "cli/command.h"
#include "cli/nixenv.h"
#include "cli/private.h"
#include "cli/program.h"
#include "cli/target.h"
#include "cli/webserver.h"
#include "common/alloc.h"
#include "common/cache.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/spawn.h"

#include "common/banned.h"

enum {
	HOST,
	PORT,
	CACHE_DIR,
	DEBUG,
};

static const struct command_option options[] = {
	{ 'H', "host", "HOST", "address to listen on (127.0.0.1)" },
	{ 'p', "port", "PORT", "port to listen on (5000)" },
	{ 'c', "cache-dir", "DIR", "where images are kept" },
	{ 'd', "debug", NULL, "print what the web server does, too" },
	{ 0, NULL, NULL, NULL },
};

/* For lighttpd to listen. */
#define START_MS  10000
/* Of the lines "docker pull …"; `flakehub list` has the others. */
#define PULLS_MAX 10

struct serve {
	bool debug;
	char *url;
	char *cache_dir;
	struct address address;
	char *lighttpd, *responder, *flakehub;
	char *nix_config; /* where nobody set Nix up, else NULL */
	char *folder;	  /* for what follows, and nobody else's */
	char *config, *web_config, *socket;
	char **environment; /* of all that is started */
	int listener;	    /* the responder's */
	int signals;
	pid_t web, fcgi; /* 0 when they ended */
	int names;	 /* what `flakehub list --names` writes to, or -1 */
	struct strbuf names_text;
};

static void release(struct serve *s)
{
	if (s->folder)
		private_remove(s->folder);
	free(s->url);
	free(s->cache_dir);
	free(s->lighttpd);
	free(s->responder);
	free(s->flakehub);
	free(s->nix_config);
	free(s->folder);
	free(s->config);
	free(s->web_config);
	free(s->socket);
	for (char **p = s->environment; p && *p; p++)
		free(*p);
	free(s->environment);
	cleanup_close(&s->listener);
	cleanup_close(&s->signals);
	cleanup_close(&s->names);
	strbuf_release(&s->names_text);
}

static char *default_cache_dir(void)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (!geteuid())
		return xstrdup("/var/cache/flakehub");
	if (cache && *cache == '/')
		return xasprintf("%s/flakehub", cache);
	return xasprintf("%s/.cache/flakehub", home ? home : "");
}

/* Make the cache, and find its path without symlinks: lighttpd obeys none. */
static int prepare_cache(struct serve *s, const char *dir, struct err *err)
{
	autofree char *path = dir ? xstrdup(dir) : default_cache_dir();
	autocache cache = CACHE_INIT;

	if (path[0] != '/') {
		autofree char *here = getcwd(NULL, 0);
		autofree char *relative = steal_ptr(&path);

		if (!here)
			return err_errno(err, "cannot tell where we are");
		path = xasprintf("%s/%s", here, relative);
	}
	if (cache_open(&cache, path, CACHE_WRITE, err) < 0)
		return -1;
	s->cache_dir = realpath(path, NULL);
	if (!s->cache_dir)
		return err_errno(err, "cannot find the cache %s", path);
	return 0;
}

static int find_programs(struct serve *s, struct err *err)
{
	autofree char *nix = NULL, *store = NULL;

	if (program_find("nix", &nix, err) < 0 ||
	    program_find("nix-store", &store, err) < 0 ||
	    program_find("lighttpd", &s->lighttpd, err) < 0 ||
	    program_find_own("flakehub.fcgi", &s->responder, err) < 0)
		return -1;
	return program_find_own("flakehub", &s->flakehub, err);
}

/* What Nix calls this machine. */
static void add_system(struct strbuf *out)
{
	struct utsname name;

	if (uname(&name) == 0)
		strbuf_addf(out, "systems = %s-linux\n", name.machine);
}

/* Settings that hold another path than ours are a path we cannot write. */
static int write_settings(struct serve *s, struct err *err)
{
	autostrbuf text = STRBUF_INIT;
	autosettings read = { 0 };

	strbuf_addf(&text, "cache-dir = %s\n", s->cache_dir);
	add_system(&text);
	/* It is the flake of who runs this. */
	strbuf_addstr(&text, "sandbox-eval = no\n");
	strbuf_addf(&text, "[flake]\nurl = %s\n", s->url);
	if (settings_parse(&read, text.buf, text.len, "settings", err) < 0)
		return -1;
	if (strcmp(read.cache_dir, s->cache_dir) != 0)
		return err_set(err, ERR_REFUSED,
			       "the cache's path cannot have a '#' after a "
			       "blank, nor end in one: %s",
			       s->cache_dir);
	return private_write(s->folder, "flakehub.conf", text.buf, text.len,
			     &s->config, err);
}

static int write_web_config(struct serve *s, struct err *err)
{
	const struct webserver web = {
		.host = s->address.host,
		.port = s->address.port,
		.cache_dir = s->cache_dir,
		.socket = s->socket,
		.directory = s->folder,
		.debug = s->debug,
	};
	autostrbuf text = STRBUF_INIT;

	webserver_format(&text, &web);
	return private_write(s->folder, "lighttpd.conf", text.buf, text.len,
			     &s->web_config, err);
}

static bool is_variable(const char *entry, const char *name)
{
	size_t len = strlen(name);

	return !strncmp(entry, name, len) && entry[len] == '=';
}

static void make_environment(struct serve *s)
{
	char *const *inherited = spawn_environment();
	size_t nr = 0, i;

	while (inherited[nr])
		nr++;
	s->environment = xcalloc(nr + 4, sizeof(*s->environment));
	for (i = nr = 0; inherited[i]; i++)
		if (!is_variable(inherited[i], "FLAKEHUB_CONFIG"))
			s->environment[nr++] = xstrdup(inherited[i]);
	s->environment[nr++] = xasprintf("FLAKEHUB_CONFIG=%s", s->config);
	s->environment[nr++] = xasprintf("FLAKEHUB=%s", s->flakehub);
	/* It was not in the environment, or this would be NULL. */
	if (s->nix_config)
		s->environment[nr++] =
			xasprintf("NIX_CONFIG=%s", s->nix_config);
}

/* All that can be wrong before anything runs. */
static int prepare(struct serve *s, const struct invocation *invocation,
		   struct err *err)
{
	const char *host = invocation->values[HOST];
	const char *port = invocation->values[PORT];

	if (target_url(invocation->args[0], &s->url, err) < 0 ||
	    find_programs(s, err) < 0 ||
	    nixenv_single_user(&s->nix_config, err) < 0 ||
	    address_resolve(&s->address, host ? host : "127.0.0.1",
			    port ? port : "5000", err) < 0 ||
	    address_check_free(&s->address, err) < 0 ||
	    prepare_cache(s, invocation->values[CACHE_DIR], err) < 0 ||
	    private_make(&s->folder, err) < 0)
		return -1;
	s->listener = private_listen(s->folder, "socket", &s->socket, err);
	if (s->listener < 0 || write_settings(s, err) < 0 ||
	    write_web_config(s, err) < 0)
		return -1;
	make_environment(s);
	return 0;
}

/* From here on they wait until we read them. */
static int catch_signals(struct serve *s, struct err *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return err_errno(err, "cannot block signals");
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signals < 0)
		return err_errno(err, "cannot wait for signals");
	return 0;
}

static pid_t start(struct serve *s, const char *const *argv, int in, int out,
		   struct err *err)
{
	struct spawn spawn = SPAWN_INIT;

	spawn.argv = argv;
	spawn.env = s->environment;
	spawn.in = in;
	spawn.out = out;
	spawn.err = STDERR_FILENO;
	/* Should we be killed, they end, too. */
	spawn.death_signal = SIGTERM;
	return spawn_start(&spawn, err);
}

static int start_servers(struct serve *s, struct err *err)
{
	const char *const responder[] = { s->responder, NULL };
	const char *const web[] = { s->lighttpd, "-D", "-f", s->web_config,
				    NULL };

	s->fcgi = start(s, responder, s->listener, STDERR_FILENO, err);
	if (s->fcgi < 0)
		return -1;
	s->web = start(s, web, -1, STDERR_FILENO, err);
	return s->web < 0 ? -1 : 0;
}

/* Ask for the images' names in another process: Nix may take its time. */
static void start_names(struct serve *s)
{
	const char *const argv[] = { s->flakehub, "list", "--names", NULL };
	struct err err = ERR_INIT;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return;
	if (start(s, argv, -1, fds[1], &err) < 0)
		close(fds[0]);
	else
		s->names = fds[0];
	close(fds[1]);
}

static void print_pulls(struct serve *s)
{
	const char *line = s->names_text.buf, *end;
	size_t nr = 0;

	for (; (end = strchr(line, '\n')); line = end + 1)
		if (nr++ < PULLS_MAX)
			printf("  docker pull %s/%.*s\n", s->address.name,
			       (int)(end - line), line);
	if (nr > PULLS_MAX)
		printf("  and %zu more\n", nr - PULLS_MAX);
	fflush(stdout);
}

static void read_names(struct serve *s)
{
	char text[4096];
	ssize_t n = read(s->names, text, sizeof(text));

	if (n < 0 && errno == EINTR)
		return;
	if (n > 0 && s->names_text.len < SERVE_NAMES_MAX) {
		strbuf_add(&s->names_text, text, (size_t)n);
		return;
	}
	print_pulls(s);
	close(s->names);
	s->names = -1;
}

static void print_ready(struct serve *s)
{
	autostrbuf url = STRBUF_INIT;

	text_clean(&url, s->url, strlen(s->url));
	if (s->nix_config)
		printf("Nix is not set up here: it runs single-user, in its "
		       "sandbox, for this run.\n");
	printf("Serving %s at %s; the cache is %s. Ctrl-C ends it.\n", url.buf,
	       s->address.name, s->cache_dir);
	printf("For log, list and inspect: %s --config %s COMMAND\n",
	       s->flakehub, s->config);
	fflush(stdout);
}

static void note_end(void *arg, pid_t pid, int status)
{
	struct serve *s = arg;

	if (pid == s->web)
		s->web = 0;
	if (pid == s->fcgi)
		s->fcgi = 0;
}

/* 1 to go on, 0 if somebody wants us to end, -1 if something else ended. */
static int take_signals(struct serve *s, struct err *err)
{
	struct signalfd_siginfo info;
	int asked = 0;

	while (read(s->signals, &info, sizeof(info)) == sizeof(info))
		asked |= info.ssi_signo != SIGCHLD;
	children_reap(note_end, s);
	if (asked)
		return 0;
	if (!s->fcgi)
		return err_set(err, ERR_SYSTEM, "flakehub.fcgi ended");
	return s->web ? 1 : webserver_ended(s->folder, err);
}

static int serve(struct serve *s, struct err *err)
{
	int64_t deadline = clock_monotonic_ms() + START_MS;
	bool ready = false;

	for (;;) {
		struct pollfd fds[] = {
			{ .fd = s->signals, .events = POLLIN },
			{ .fd = s->names, .events = POLLIN },
		};
		int rc;

		poll(fds, ARRAY_SIZE(fds), ready ? -1 : 20);
		rc = take_signals(s, err);
		if (rc <= 0)
			return rc;
		if (fds[1].revents)
			read_names(s);
		if (ready)
			continue;
		ready = address_accepts(&s->address);
		if (ready) {
			print_ready(s);
			start_names(s);
		} else if (clock_monotonic_ms() > deadline) {
			return err_set(err, ERR_SYSTEM,
				       "lighttpd does not listen");
		}
	}
}

static int check_usage(const struct invocation *invocation)
{
	const struct command *command = invocation->command;
	const char *port = invocation->values[PORT];

	if (invocation->config)
		return command_usage(command, "serve has no settings file");
	if (port && !is_port(port))
		return command_usage(command, "a port is a number from 1 to "
					      "65535");
	for (size_t i = HOST; i <= CACHE_DIR; i++)
		if (invocation->values[i] && !*invocation->values[i])
			return command_usage(command, "--%s is empty",
					     options[i].name);
	if (!*invocation->args[0])
		return command_usage(command, "FLAKE is empty");
	return EXIT_DONE;
}

static int run(const struct invocation *invocation)
{
	__attribute__((cleanup(release))) struct serve s = {
		.debug = invocation->values[DEBUG],
		.listener = -1,
		.signals = -1,
		.names = -1,
		.names_text = STRBUF_INIT,
	};
	struct err err = ERR_INIT;
	int rc = check_usage(invocation);

	if (rc)
		return rc;
	if (children_adopt(&err) < 0 || catch_signals(&s, &err) < 0 ||
	    prepare(&s, invocation, &err) < 0)
		return command_fail(&err);
	rc = start_servers(&s, &err);
	if (rc == 0)
		rc = serve(&s, &err);
	children_end(s.signals);
	return rc < 0 ? command_fail(&err) : EXIT_DONE;
}

const struct command command_serve = {
	.name = "serve",
	.arguments = "FLAKE",
	.summary = "Serve a flake's images, without settings, until Ctrl-C.",
	.help = "FLAKE is a folder or a reference such as github:owner/repo. "
		"In a git\nrepository what git tracks counts. The cache is "
		"/var/cache/flakehub for root,\nelse ~/.cache/flakehub.",
	.min_args = 1,
	.max_args = 1,
	.options = options,
	.run = run,
};
