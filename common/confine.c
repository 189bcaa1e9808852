// SPDX-License-Identifier: MIT
#include "common/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/bwrap.h"
#include "common/flakeref.h"
#include "common/git.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/store.h"

#include "common/banned.h"

/* When stdin has ended, all processes in there are killed. */
#define WITH_LIFELINE                                                          \
	"exec 3<&0 </dev/null; "                                               \
	"{ read -r line <&3; kill -KILL -1; } >/dev/null 2>&1 & "              \
	"exec \"$@\" 3<&-"

#define DAEMON_SOCKET "/nix/var/nix/daemon-socket/socket"

void confine_init(struct confine *c, const struct cache *cache,
		  const struct settings *settings,
		  const struct flake_settings *flake,
		  const struct credentials *credentials)
{
	*c = (struct confine)CONFINE_INIT;
	c->cache = cache;
	c->settings = settings;
	c->flake = flake;
	c->credentials = credentials;
}

static void forget_words(struct confine *c)
{
	while (c->nr)
		free(c->words[--c->nr]);
}

void confine_release(struct confine *c)
{
	forget_words(c);
	free(c->words);
	free(c->why);
	*c = (struct confine)CONFINE_INIT;
}

static void add(struct confine *c, const char *word)
{
	ALLOC_GROW(c->words, c->nr, c->alloc);
	c->words[c->nr++] = xstrdup(word);
}

static void add2(struct confine *c, const char *option, const char *value)
{
	add(c, option);
	add(c, value);
}

static void add3(struct confine *c, const char *option, const char *from,
		 const char *to)
{
	add2(c, option, from);
	add(c, to);
}

static void add_lifeline(struct confine *c)
{
	add2(c, "--", "/bin/sh");
	add3(c, "-c", WITH_LIFELINE, "sh");
}

/* Show it, if it is there, where it is. */
static void show(struct confine *c, const char *path)
{
	add3(c, "--ro-bind-try", path, path);
}

static const char *get_env(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static bool is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return !strncmp(path, folder, len) && (!path[len] || path[len] == '/');
}

/* Programs and libraries: /bin may be a folder, or a link into /usr. */
static void show_system(struct confine *c)
{
	static const char *const tops[] = { "/bin",   "/sbin",	"/lib",
					    "/lib32", "/lib64", "/libx32" };
	/*
	 * No keys: not /etc/nix nor /etc/ssl as they are. And few: each is a
	 * mount, of 0.2 ms.
	 */
	static const char *const files[] = { "/etc/alternatives",
					     "/etc/ld.so.cache",
					     "/etc/static",
					     "/run/current-system",
					     "/etc/nix/nix.conf",
					     "/etc/nix/nix.custom.conf",
					     "/etc/ssl/certs",
					     "/etc/ssl/openssl.cnf",
					     "/etc/ssl/cert.pem",
					     "/etc/pki/tls/certs",
					     "/etc/pki/ca-trust/extracted",
					     "/etc/ca-certificates",
					     "/etc/resolv.conf",
					     "/etc/hosts",
					     "/etc/nsswitch.conf",
					     "/etc/gai.conf",
					     "/etc/group",
					     "/etc/gitconfig",
					     "/etc/ssh/ssh_config",
					     "/etc/ssh/ssh_config.d",
					     "/etc/ssh/ssh_known_hosts" };

	show(c, "/usr");
	for (size_t i = 0; i < ARRAY_SIZE(tops); i++) {
		char target[256];
		ssize_t n = readlink(tops[i], target, sizeof(target) - 1);

		if (n > 0) {
			target[n] = 0;
			add3(c, "--symlink", target, tops[i]);
		} else {
			show(c, tops[i]);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		show(c, files[i]);
}

/* Programs of PATH are found where they are, links into the store followed. */
static void show_path(struct confine *c)
{
	static const char *const shown[] = { "/usr", "/bin", "/sbin", "/nix",
					     "/run/current-system" };
	const char *p = get_env("PATH");
	autostrbuf path = STRBUF_INIT;

	for (size_t len; p && *p; p += len + (p[len] == ':')) {
		autofree char *entry = NULL, *real = NULL;
		bool is_shown = false;

		len = strcspn(p, ":");
		entry = xstrndup(p, len);
		real = *entry == '/' ? realpath(entry, NULL) : NULL;
		if (!real || !strcmp(real, "/"))
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
			is_shown |= is_below(real, shown[i]);
		if (!is_shown)
			show(c, real);
		strbuf_addf(&path, "%s%s", path.len ? ":" : "", real);
	}
	if (path.len)
		add3(c, "--setenv", "PATH", path.buf);
}

/*
 * Through a daemon the store is read alone, and the daemon's socket is there;
 * without one Nix writes derivations and sources to it.
 */
static void show_store(struct confine *c)
{
	const char *remote = get_env("NIX_REMOTE");
	const char *socket = get_env("NIX_DAEMON_SOCKET_PATH");
	struct statvfs fs;
	bool writable = !access(STORE_DIR, W_OK) && !statvfs(STORE_DIR, &fs) &&
			!(fs.f_flag & ST_RDONLY);
	bool is_daemon;

	if (!socket)
		socket = DAEMON_SOCKET;
	if (remote && strcmp(remote, "auto") != 0)
		is_daemon = !strncmp(remote, "daemon", 6) ||
			    !strncmp(remote, "unix://", 7);
	else
		is_daemon = !writable && !access(socket, F_OK);
	if (!is_daemon) {
		add3(c, "--bind", "/nix", "/nix");
		return;
	}
	add3(c, "--ro-bind", "/nix", "/nix");
	if (remote && !strncmp(remote, "unix://", 7))
		socket = remote + 7;
	else if (!remote || !strcmp(remote, "auto"))
		add3(c, "--setenv", "NIX_REMOTE", "daemon");
	if (!is_below(socket, "/nix"))
		add3(c, "--bind-try", socket, socket);
}

static bool is_daemon(const struct confine *c)
{
	for (size_t i = 0; i + 2 < c->nr; i++)
		if (!strcmp(c->words[i], "--bind") &&
		    !strcmp(c->words[i + 1], "/nix"))
			return false;
	return true;
}

static void show_variable(struct confine *c, const char *name)
{
	const char *value = get_env(name);

	if (value && *value == '/')
		show(c, value);
}

/* The folders that every evaluation has, and its processes. */
static void add_base(struct confine *c)
{
	/* Root's store and root's flakes have files of other users in them. */
	static const char *const capabilities[] = { "CAP_CHOWN", "CAP_FOWNER",
						    "CAP_DAC_OVERRIDE" };

	add(c, "bwrap");
	add(c, "--new-session");
	add3(c, "--unshare-pid", "--unshare-ipc", "--unshare-uts");
	for (size_t i = 0; !geteuid() && i < ARRAY_SIZE(capabilities); i++)
		add2(c, "--cap-add", capabilities[i]);
	add2(c, "--proc", "/proc");
	add2(c, "--dev", "/dev");
	add2(c, "--tmpfs", "/tmp");
	show_system(c);
	show_path(c);
	show_store(c);
	show_variable(c, "NIX_SSL_CERT_FILE");
	show_variable(c, "GIT_SSL_CAINFO");
	add2(c, "--unsetenv", "XDG_RUNTIME_DIR");
	add2(c, "--unsetenv", "SSH_AUTH_SOCK");
	add2(c, "--unsetenv", "FLAKEHUB_CONFIG");
	add2(c, "--chdir", "/");
}

/* ssh asks the user's entry for the home folder, and not HOME. */
static int write_passwd(const char *file, const char *home, struct err *err)
{
	autofree char *line = xasprintf("flakehub:x:%lu:%lu::%s:/bin/sh\n",
					(unsigned long)geteuid(),
					(unsigned long)getegid(), home);
	autoclose int fd = open(file,
				O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW |
					O_NONBLOCK | O_CLOEXEC,
				0644);

	if (fd < 0 || write_all(fd, line, strlen(line)))
		return err_errno(err, "cannot write %s", file);
	return 0;
}

static void show_file_at_home(struct confine *c, const char *home,
			      const char *name)
{
	const char *outer = get_env("HOME");
	autofree char *from = outer ? xasprintf("%s/%s", outer, name) : NULL;
	autofree char *to = xasprintf("%s/%s", home, name);

	if (from)
		add3(c, "--ro-bind-try", from, to);
}

/*
 * A home folder of the flake's own: in Nix's cache there are the sources of
 * flakes, and another flake's may be private.
 */
static int add_home(struct confine *c, struct err *err)
{
	static const struct {
		const char *name, *folder;
	} folders[] = {
		{ "XDG_CACHE_HOME", ".cache" },
		{ "XDG_CONFIG_HOME", ".config" },
		{ "XDG_STATE_HOME", ".local/state" },
	};
	const struct credentials *credentials = c->credentials;
	char hex[DIGEST_HEX_SIZE];
	autofree char *home = NULL, *passwd = NULL;

	digest_hex(&c->flake->id, hex);
	home = xasprintf("%s/git/%s.home", c->cache->path, hex);
	passwd = xasprintf("%s/.passwd", home);
	if (mkdir(home, 0700) && errno != EEXIST)
		return err_errno(err, "cannot make %s", home);
	if (write_passwd(passwd, home, err))
		return -1;
	add3(c, "--bind", home, home);
	add3(c, "--ro-bind", passwd, "/etc/passwd");
	add3(c, "--setenv", "HOME", home);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		autofree char *path =
			xasprintf("%s/%s", home, folders[i].folder);

		add3(c, "--setenv", folders[i].name, path);
	}
	show_file_at_home(c, home, ".gitconfig");
	show_file_at_home(c, home, ".ssh/known_hosts");
	if (credentials && credentials->netrc) {
		autofree char *netrc = xasprintf("%s/.netrc", home);

		add3(c, "--ro-bind", credentials->netrc, netrc);
		show(c, credentials->netrc);
	} else if (c->flake->credentials) {
		show(c, c->flake->credentials);
	}
	return 0;
}

/* What a repository borrows objects from. */
static void show_borrowed(struct confine *c, const char *common)
{
	autofree char *file = xasprintf("%s/objects/info/alternates", common);
	autoclose int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	autostrbuf borrowed = STRBUF_INIT;
	struct err ignored;

	if (fd < 0 ||
	    strbuf_read(&borrowed, fd, SMALL_FILE_MAX, file, &ignored))
		return;
	for (char *line = borrowed.buf, *next; *line; line = next) {
		next = strchrnul(line, '\n');
		if (*next)
			*next++ = 0;
		if (*line == '/')
			show(c, line);
	}
}

/* And, where it is in a repository, all of that. */
static void show_folder(struct confine *c, const char *path)
{
	autostrbuf common = STRBUF_INIT, top = STRBUF_INIT;
	struct err ignored;

	show(c, path);
	if (git_folders(path, &common, &top, &ignored))
		return;
	if (top.len)
		show(c, top.buf);
	show(c, common.buf);
	show_borrowed(c, common.buf);
}

/* "path:/a", "git+file:///a", "file:///a.tar.gz", "/a": the "/a", or NULL. */
static char *local_path(const struct flakeref *ref)
{
	const char *base = ref->base, *file = strstr(base, "file:");
	const char *path = NULL;

	if (ref->kind == FLAKEREF_FOLDER)
		path = base;
	else if (ref->kind == FLAKEREF_PATH)
		path = base + strlen("path:");
	else if (file)
		path = file + strlen("file:");
	if (path && !strncmp(path, "//", 2))
		path += 2;
	if (!path || *path != '/')
		return NULL;
	return ref->kind == FLAKEREF_FOLDER ? xstrdup(path)
					    : url_decode(path, strlen(path));
}

/* The flake's mirror, and what its URL names on this host. */
static int add_flake(struct confine *c, struct err *err)
{
	autoflakeref ref = FLAKEREF_INIT;
	autofree char *mirror = NULL, *path = NULL;
	char hex[DIGEST_HEX_SIZE];

	digest_hex(&c->flake->id, hex);
	mirror = xasprintf("%s/git/%s.git", c->cache->path, hex);
	show(c, mirror);
	if (flakeref_parse(&ref, c->flake->url, err))
		return -1;
	path = local_path(&ref);
	if (!path)
		return 0;
	if (ref.kind == FLAKEREF_TARBALL)
		show(c, path);
	else
		show_folder(c, path);
	return 0;
}

int confine_try(struct err *err)
{
	autoconfine c = CONFINE_INIT;

	add_base(&c);
	add_lifeline(&c);
	return bwrap_try(c.words, c.nr, err);
}

/*
 * Nix's own sandbox does not start inside of bubblewrap, and a build that an
 * evaluation asks for would be outside of both.
 */
static bool can_build(const struct confine *c)
{
	return !c->settings->import_from_derivation || is_daemon(c);
}

static void give_up(struct confine *c, const char *why)
{
	c->why = xstrdup(why);
	log_event(LOG_LEVEL_WARN, "event", "sandbox-eval", "msg",
		  "flakes are evaluated without a sandbox", "why", c->why,
		  NULL);
}

static int prepare(struct confine *c, struct err *err)
{
	forget_words(c);
	add_base(c);
	if (!can_build(c)) {
		give_up(c, "import-from-derivation is set, and without a Nix "
			   "daemon its builds cannot run in there");
		return 0;
	}
	if (add_home(c, err) || add_flake(c, err))
		return err_wrap(err, "sandbox-eval");
	add_lifeline(c);
	return 0;
}

int confine_words(struct confine *c, char *const **words, size_t *nr,
		  struct err *err)
{
	if (!c->prepared && prepare(c, err))
		return -1;
	c->prepared = true;
	*words = c->why ? NULL : c->words;
	*nr = c->why ? 0 : c->nr;
	return 0;
}

int confine_works(struct confine *c, struct err *err)
{
	struct err tried = ERR_INIT;

	if (c->works || c->why)
		return c->works;
	if (!bwrap_try(c->words, c->nr, &tried)) {
		c->works = true;
	} else if (tried.code == ERR_REFUSED) {
		give_up(c, tried.msg);
	} else {
		*err = tried;
		return err_wrap(err, "sandbox-eval: bubblewrap does not start "
				     "right now, so nothing is evaluated");
	}
	return c->works;
}

void confine_worked(struct confine *c)
{
	c->works = true;
}
