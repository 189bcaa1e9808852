// SPDX-License-Identifier: MIT
#include "common/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cachefile.h"
#include "common/limits.h"
#include "common/secret.h"
#include "common/spawn.h"

#include "common/banned.h"

/* Enough to tell a key from a netrc file. */
#define START_SIZE 64

void credentials_release(struct credentials *c)
{
	for (size_t i = 0; c->env && c->env[i]; i++)
		free(c->env[i]);
	free(c->env);
	if (c->home) {
		static const char *const links[] = { ".netrc", ".gitconfig" };

		for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
			autofree char *path =
				xasprintf("%s/%s", c->home, links[i]);

			unlink(path);
		}
		rmdir(c->home);
	}
	free(c->home);
	free(c->own_netrc);
	*c = (struct credentials)CREDENTIALS_INIT;
}

static const char *get_env(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* Ours with one variable set; the array and its strings are owned. */
static void set_env(struct credentials *c, const char *name, const char *value)
{
	size_t nr = 0, len = strlen(name);
	char **env;

	if (!c->env) {
		char *const *ours = spawn_environment();

		while (ours[nr])
			nr++;
		c->env = xcalloc(nr + 1, sizeof(*c->env));
		for (size_t i = 0; i < nr; i++)
			c->env[i] = xstrdup(ours[i]);
	}
	for (nr = 0; c->env[nr]; nr++) {
		if (strncmp(c->env[nr], name, len) || c->env[nr][len] != '=')
			continue;
		free(c->env[nr]);
		c->env[nr] = xasprintf("%s=%s", name, value);
		return;
	}
	env = xreallocarray(c->env, nr + 2, sizeof(*env));
	env[nr] = xasprintf("%s=%s", name, value);
	env[nr + 1] = NULL;
	c->env = env;
}

/* A word for a shell, which is what git runs GIT_SSH_COMMAND by. */
static void quote(struct strbuf *out, const char *s)
{
	strbuf_addch(out, '\'');
	for (; *s; s++) {
		if (*s == '\'')
			strbuf_addstr(out, "'\\''");
		else
			strbuf_addch(out, *s);
	}
	strbuf_addch(out, '\'');
}

static void use_key(struct credentials *c, const char *file)
{
	autostrbuf command = STRBUF_INIT;

	strbuf_addstr(&command, "ssh -i ");
	quote(&command, file);
	/* No key of an agent's, and nobody to ask. */
	strbuf_addstr(&command, " -o IdentitiesOnly=yes -o BatchMode=yes");
	set_env(c, "GIT_SSH_COMMAND", command.buf);
}

/* What programs keep below the home folder stays where it was. */
static void keep_folders(struct credentials *c, const char *home)
{
	static const struct {
		const char *name, *folder;
	} kept[] = {
		{ "XDG_CACHE_HOME", ".cache" },
		{ "XDG_CONFIG_HOME", ".config" },
		{ "XDG_STATE_HOME", ".local/state" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		autofree char *path = xasprintf("%s/%s", home, kept[i].folder);
		const char *set = get_env(kept[i].name);

		set_env(c, kept[i].name, set ? set : path);
	}
}

/* A home folder in which .netrc is for the caller to make. */
static int make_home(struct credentials *c, const struct cache *cache,
		     struct err *err)
{
	const char *home = get_env("HOME");
	autofree char *name = NULL, *path = NULL;

	if (c->home)
		return 0;
	name = cachefile_tmp_name("home.");
	path = xasprintf("%s/%s", cache->path, name);
	if (mkdir(path, 0700))
		return err_errno(err, "cannot make %s", path);
	c->home = steal_ptr(&path);
	if (home) {
		autofree char *from = xasprintf("%s/.gitconfig", home);
		autofree char *to = xasprintf("%s/.gitconfig", c->home);

		/* git does without if it cannot be. */
		if (!access(from, R_OK) && symlink(from, to) && errno != EEXIST)
			return err_errno(err, "cannot make %s", to);
		keep_folders(c, home);
	}
	set_env(c, "HOME", c->home);
	return 0;
}

static int use_netrc(struct credentials *c, const struct cache *cache,
		     const char *file, struct err *err)
{
	autofree char *netrc = NULL;
	autostrbuf text = STRBUF_INIT;
	autoclose int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(err, "cannot read %s", file);
	if (strbuf_read(&text, fd, SETTINGS_MAX, file, err) ||
	    make_home(c, cache, err))
		return -1;
	secret_learn_netrc(text.buf);
	netrc = xasprintf("%s/.netrc", c->home);
	if (symlink(file, netrc))
		return err_errno(err, "cannot make %s", netrc);
	c->netrc = file;
	return 0;
}

/* The URL's user and password, before what a netrc file has besides. */
static int use_login(struct credentials *c, const struct cache *cache,
		     const struct login *login, struct err *err)
{
	autostrbuf text = STRBUF_INIT;
	autoclose int fd = -1;

	secret_learn_login(login->user, login->password);
	strbuf_addf(&text, "machine %s login %s password %s\n", login->host,
		    login->user, login->password);
	if (c->netrc) {
		autoclose int more = open(c->netrc, O_RDONLY | O_CLOEXEC);

		if (more < 0)
			return err_errno(err, "cannot read %s", c->netrc);
		if (strbuf_read(&text, more, SETTINGS_MAX, c->netrc, err))
			return -1;
	}
	if (make_home(c, cache, err))
		return -1;
	c->own_netrc = xasprintf("%s/.netrc", c->home);
	if (unlink(c->own_netrc) && errno != ENOENT)
		return err_errno(err, "cannot replace %s", c->own_netrc);
	fd = open(c->own_netrc,
		  O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || write_all(fd, text.buf, text.len))
		return err_errno(err, "cannot write %s", c->own_netrc);
	c->netrc = c->own_netrc;
	return 0;
}

static bool is_key(const char *start)
{
	return strstr(start, "-----BEGIN") && strstr(start, "PRIVATE KEY");
}

static bool is_netrc(const char *start)
{
	start += strspn(start, " \t\n");
	return !strncmp(start, "machine", 7) || !strncmp(start, "default", 7) ||
	       *start == '#';
}

/* Which of the two is it? */
static int tell_kind(const char *file, bool *key, struct err *err)
{
	char start[START_SIZE] = "";
	/* A FIFO would wait for a writer. */
	autoclose int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || read(fd, start, sizeof(start) - 1) < 0) {
		err_errno(err, "cannot read the credentials %s", file);
		err->code = ERR_REFUSED;
		return -1;
	}
	*key = is_key(start);
	if (*key || is_netrc(start))
		return 0;
	return err_set(err, ERR_REFUSED,
		       "the credentials %s are neither a netrc file, which "
		       "begins with machine or default, nor an ssh private key",
		       file);
}

int credentials_check(const struct flake_settings *flake, struct err *err)
{
	bool key;

	return flake->credentials ? tell_kind(flake->credentials, &key, err)
				  : 0;
}

static int use_file(struct credentials *c, const struct cache *cache,
		    const char *file, struct err *err)
{
	bool key;

	if (tell_kind(file, &key, err))
		return -1;
	if (!key)
		return use_netrc(c, cache, file, err);
	use_key(c, file);
	return 0;
}

int credentials_open(struct credentials *c, const struct cache *cache,
		     const struct flake_settings *flake, struct err *err)
{
	*c = (struct credentials)CREDENTIALS_INIT;
	if ((flake->credentials &&
	     use_file(c, cache, flake->credentials, err)) ||
	    (flake->login.user && use_login(c, cache, &flake->login, err))) {
		credentials_release(c);
		return -1;
	}
	return 0;
}
