// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/alloc.h"
#include "common/credentials.h"
#include "common/limits.h"
#include "common/secret.h"

#include "common/banned.h"

/*
 * A credentials file, and behind it a URL with its user and password: what
 * git and Nix are given for them.
 */

/* The words of our netrc file, which no user and no password can end. */
static void check_netrc(const char *file, const struct login *login)
{
	autoclose int fd = open(file, O_RDONLY | O_CLOEXEC);
	autofree char *want =
		xasprintf("machine %s login %s password %s\n", login->host,
			  login->user, login->password);
	autostrbuf text = STRBUF_INIT;
	struct err err = ERR_INIT;
	struct stat st;

	need(fd >= 0 && !fstat(fd, &st) && (st.st_mode & 07777) == 0600);
	need(!strbuf_read(&text, fd, SETTINGS_MAX * 2, file, &err));
	need(!strncmp(text.buf, want, strlen(want)));
	for (const char *p = want; p[1]; p++)
		need((unsigned char)*p >= ' ' && *p != 0x7f);
}

/* What every user of the host may read of a process. */
static void check_env(char *const *env)
{
	for (; env && *env; env++) {
		need(strchr(*env, '='));
		fuzz_need_no_secret(*env);
	}
}

static const struct cache *open_cache(void)
{
	static struct cache cache = CACHE_INIT;
	autofree char *path = xasprintf("%s/cache", fuzz_folder());
	struct err err = ERR_INIT;

	if (cache.fd < 0)
		need(!cache_open(&cache, path, CACHE_WRITE, &err));
	return &cache;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	const unsigned char *file = data, *url_part = NULL;
	size_t len = 0, url_len = 0;
	autofree char *url = NULL;
	autocredentials credentials = CREDENTIALS_INIT;
	struct flake_settings flake = { .name = NULL };
	struct err err = ERR_INIT;

	if (!fuzz_part(&data, &size, &file, &len))
		return 0;
	fuzz_part(&data, &size, &url_part, &url_len);
	url = url_part ? fuzz_string(url_part, url_len) : xstrdup("");
	if (flakeref_take_login(url, &flake.login, &err)) {
		fuzz_need_error(&err);
		fuzz_need_no_secret(err.msg);
		return 0;
	}
	if (len)
		flake.credentials = xstrdup(fuzz_file("file", file, len));
	if (credentials_open(&credentials, open_cache(), &flake, &err)) {
		fuzz_need_error(&err);
		fuzz_need_no_secret(err.msg);
		need(err.code == ERR_REFUSED);
	} else {
		need(!flake.login.user == !credentials.own_netrc);
		if (credentials.own_netrc)
			check_netrc(credentials.own_netrc, &flake.login);
		check_env(credentials.env);
	}
	secret_forget();
	free(flake.credentials);
	login_release(&flake.login);
	return 0;
}
