// SPDX-License-Identifier: MIT
#include "common/flakeref.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/secret.h"

#include "common/banned.h"

struct scheme {
	const char *prefix; /* of the reference */
	enum flakeref_kind kind;
	const char *strip;  /* before the rest is a clone URL */
	const char *host;   /* of a forge, unless host= says another */
	const char *suffix; /* of a forge's clone URL */
};

static const struct scheme schemes[] = {
	{ "/", FLAKEREF_FOLDER, NULL, NULL, NULL },
	{ "path:", FLAKEREF_PATH, NULL, NULL, NULL },
	{ "git://", FLAKEREF_GIT, "", NULL, NULL },
	{ "git+http://", FLAKEREF_GIT, "git+", NULL, NULL },
	{ "git+https://", FLAKEREF_GIT, "git+", NULL, NULL },
	{ "git+ssh://", FLAKEREF_GIT, "git+", NULL, NULL },
	{ "git+git://", FLAKEREF_GIT, "git+", NULL, NULL },
	{ "git+file://", FLAKEREF_GIT, "git+", NULL, NULL },
	{ "git+file:/", FLAKEREF_GIT, "git+file:", NULL, NULL },
	{ "github:", FLAKEREF_FORGE, NULL, "github.com", ".git" },
	{ "gitlab:", FLAKEREF_FORGE, NULL, "gitlab.com", ".git" },
	{ "sourcehut:", FLAKEREF_FORGE, NULL, "git.sr.ht", "" },
	{ "https://", FLAKEREF_TARBALL, NULL, NULL, NULL },
	{ "http://", FLAKEREF_TARBALL, NULL, NULL, NULL },
	{ "file://", FLAKEREF_TARBALL, NULL, NULL, NULL },
	{ "tarball+https://", FLAKEREF_TARBALL, NULL, NULL, NULL },
	{ "tarball+http://", FLAKEREF_TARBALL, NULL, NULL, NULL },
	{ "tarball+file://", FLAKEREF_TARBALL, NULL, NULL, NULL },
};

void flakeref_release(struct flakeref *ref)
{
	free(ref->base);
	free(ref->clone_url);
	free(ref->params);
	free(ref->ref);
	free(ref->rev);
	*ref = (struct flakeref)FLAKEREF_INIT;
}

bool is_revision(const char *s)
{
	return strlen(s) == 40 && strspn(s, "0123456789abcdef") == 40;
}

bool flakeref_is_plain_path(const char *path)
{
	for (; *path; path++)
		if (!isalnum((unsigned char)*path) &&
		    !strchr("/-._~!$&'()*+,;=", *path))
			return false;
	return true;
}

void url_encode(struct strbuf *out, const char *s)
{
	for (; *s; s++) {
		if (isalnum((unsigned char)*s) || strchr("-._~/", *s))
			strbuf_addch(out, *s);
		else
			strbuf_addf(out, "%%%02X", (unsigned char)*s);
	}
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *url_decode(const char *s, size_t len)
{
	autostrbuf out = STRBUF_INIT;

	for (size_t i = 0; i < len; i++) {
		int high, low;

		if (s[i] != '%') {
			strbuf_addch(&out, s[i]);
			continue;
		}
		if (len - i < 3)
			return NULL;
		high = hex_value(s[i + 1]);
		low = hex_value(s[i + 2]);
		if (high < 0 || low < 0 || !(high | low))
			return NULL;
		strbuf_addch(&out, (char)(high << 4 | low));
		i += 2;
	}
	return strbuf_detach(&out, NULL);
}

static const struct scheme *find_scheme(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (!strncmp(text, schemes[i].prefix,
			     strlen(schemes[i].prefix)))
			return &schemes[i];
	return NULL;
}

static int set_rev(struct flakeref *ref, const char *rev, struct err *err)
{
	if (!is_revision(rev))
		return err_set(err, ERR_MALFORMED,
			       "rev is a commit's 40 lowercase hex digits");
	free(ref->rev);
	ref->rev = xstrdup(rev);
	return 0;
}

/* HOST or HOST:PORT. A password with a '/' in it would look like a port. */
static bool has_bad_port(const char *host, size_t len)
{
	const char *colon;

	if (len && *host == '[') {
		const char *bracket = memchr(host, ']', len);

		if (!bracket)
			return true;
		len -= (size_t)(bracket + 1 - host);
		host = bracket + 1;
	}
	colon = memchr(host, ':', len);
	if (!colon)
		return false;
	len -= (size_t)(colon + 1 - host);
	return strspn(colon + 1, "0123456789") < len;
}

static int broken_escape(struct err *err)
{
	return err_set(err, ERR_MALFORMED,
		       "a flake reference has a broken escape, %% without two "
		       "hex digits");
}

static int read_param(struct flakeref *ref, const char *param, size_t len,
		      struct strbuf *kept, char **host, struct err *err)
{
	const char *equals = memchr(param, '=', len);
	autofree char *value = NULL;

	if (!equals)
		return err_set(err, ERR_MALFORMED,
			       "a flake reference's query is key=value&…");
	/* It would stand in the arguments of git and Nix. */
	if (secret_is_key(param, (size_t)(equals - param)))
		return err_set(err, ERR_MALFORMED,
			       "what sounds like a password or a token in a "
			       "flake reference's query would stand in the "
			       "process list: write it to a netrc file and "
			       "set credentials to that");
	value = url_decode(equals + 1, len - (size_t)(equals + 1 - param));
	if (!value)
		return broken_escape(err);
	if (!strncmp(param, "ref=", 4)) {
		free(ref->ref);
		ref->ref = steal_ptr(&value);
		return 0;
	}
	if (!strncmp(param, "rev=", 4))
		return set_rev(ref, value, err);
	if (!strncmp(param, "host=", 5)) {
		if (strpbrk(value, "@/?#") ||
		    has_bad_port(value, strlen(value)))
			return err_set(err, ERR_MALFORMED,
				       "host= is a host's name, with :PORT at "
				       "most; credentials may be a netrc file");
		free(*host);
		*host = xstrdup(value);
	}
	if (kept->len)
		strbuf_addch(kept, '&');
	strbuf_add(kept, param, len);
	return 0;
}

static int read_query(struct flakeref *ref, const char *query, char **host,
		      struct err *err)
{
	autostrbuf kept = STRBUF_INIT;

	while (*query) {
		size_t len = strcspn(query, "&");

		if (len && read_param(ref, query, len, &kept, host, err))
			return -1;
		query += len;
		query += *query == '&';
	}
	ref->params = strbuf_detach(&kept, NULL);
	return 0;
}

/* owner/repo[/ref or rev] */
static int read_forge(struct flakeref *ref, const struct scheme *scheme,
		      const char *text, size_t len, const char *host,
		      struct err *err)
{
	const char *rest = text + strlen(scheme->prefix);
	const char *end = text + len;
	const char *slash = memchr(rest, '/', (size_t)(end - rest));
	const char *third =
		slash ? memchr(slash + 1, '/', (size_t)(end - slash - 1))
		      : NULL;
	const char *repo_end = third ? third : end;
	autofree char *owner = NULL, *repo = NULL, *last = NULL;

	if (!slash || slash == rest || slash + 1 == repo_end)
		return err_set(err, ERR_MALFORMED,
			       "%sOWNER/REPOSITORY[/REF] is expected",
			       scheme->prefix);
	owner = url_decode(rest, (size_t)(slash - rest));
	repo = url_decode(slash + 1, (size_t)(repo_end - slash - 1));
	last = third ? url_decode(third + 1, (size_t)(end - third - 1)) : NULL;
	if (!owner || !repo || (third && !last))
		return broken_escape(err);
	if (last && is_revision(last)) {
		if (set_rev(ref, last, err))
			return -1;
	} else if (last && *last) {
		free(ref->ref);
		ref->ref = steal_ptr(&last);
	}
	ref->base = xstrndup(text, (size_t)(repo_end - text));
	ref->clone_url =
		xasprintf("https://%s/%s/%s%s", host ? host : scheme->host,
			  owner, repo, scheme->suffix);
	return 0;
}

static bool is_http(const char *scheme, size_t len)
{
	return (len >= 4 && !strncmp(scheme + len - 4, "http", 4)) ||
	       (len >= 5 && !strncmp(scheme + len - 5, "https", 5));
}

/* What is behind "SCHEME://"; NULL if the reference does not begin so. */
static char *find_authority(const char *url)
{
	const char *p = url;

	while (isalnum((unsigned char)*p) || (*p && strchr("+-.", *p)))
		p++;
	return strncmp(p, "://", 3) ? NULL : (char *)(uintptr_t)(p + 3);
}

/*
 * Only http asks for passwords; the messages of others, and Nix's arguments,
 * would show it where it is not known as one.
 */
static bool has_useless_password(const char *url)
{
	const char *user = find_authority(url);
	const char *end, *colon;

	if (!user || is_http(url, (size_t)(user - 3 - url)))
		return false;
	end = memrchr(user, '@', strcspn(user, "/"));
	colon = end ? memchr(user, ':', (size_t)(end - user)) : NULL;
	return colon != NULL;
}

static int check_http_host(const char *url, struct err *err)
{
	const char *host = find_authority(url), *at;
	size_t len;

	if (!host || !is_http(url, (size_t)(host - 3 - url)))
		return 0;
	len = strcspn(host, "/?");
	at = memrchr(host, '@', len);
	if (at) {
		len -= (size_t)(at + 1 - host);
		host = at + 1;
	}
	if (has_bad_port(host, len))
		return err_set(err, ERR_MALFORMED,
			       "a port is digits; in a user's name or "
			       "password '/' is written %%2F and '?' %%3F");
	return 0;
}

static int parse(struct flakeref *ref, const char *text, struct err *err)
{
	const struct scheme *scheme = find_scheme(text);
	size_t len = strcspn(text, "?");
	autofree char *host = NULL;

	if (!scheme)
		return err_set(err, ERR_MALFORMED,
			       "a flake reference is an absolute path or "
			       "begins with path:, git:, git+https:, "
			       "git+http:, git+ssh:, git+file:, github:, "
			       "gitlab:, sourcehut:, https: or http:");
	if (strchr(text, '#'))
		return err_set(err, ERR_MALFORMED,
			       "a flake reference here has no '#': the "
			       "repository name says which output");
	if (check_http_host(text, err))
		return -1;
	if (has_useless_password(text))
		return err_set(err, ERR_MALFORMED,
			       "only http: and https: take a password; "
			       "credentials may be an ssh key");
	ref->kind = scheme->kind;
	if (read_query(ref, text[len] ? text + len + 1 : "", &host, err))
		return -1;
	if (scheme->kind == FLAKEREF_FORGE)
		return read_forge(ref, scheme, text, len, host, err);
	ref->base = xstrndup(text, len);
	if (scheme->strip)
		ref->clone_url = xstrndup(text + strlen(scheme->strip),
					  len - strlen(scheme->strip));
	/* git decodes URLs, and "/srv/x" is none. */
	if (ref->clone_url && *ref->clone_url == '/') {
		char *path = url_decode(ref->clone_url, strlen(ref->clone_url));

		if (!path)
			return broken_escape(err);
		free(ref->clone_url);
		ref->clone_url = path;
	}
	return 0;
}

int flakeref_parse(struct flakeref *ref, const char *text, struct err *err)
{
	*ref = (struct flakeref)FLAKEREF_INIT;
	if (parse(ref, text, err)) {
		flakeref_release(ref);
		return -1;
	}
	return 0;
}

void flakeref_pin(struct strbuf *out, const struct flakeref *ref,
		  const char *git_ref, const char *rev)
{
	const char *separator = "?";

	strbuf_addstr(out, ref->base);
	if (ref->kind == FLAKEREF_FORGE)
		strbuf_addf(out, "/%s", rev);
	if (*ref->params) {
		strbuf_addf(out, "?%s", ref->params);
		separator = "&";
	}
	if (ref->kind == FLAKEREF_FORGE)
		return;
	if (git_ref) {
		strbuf_addf(out, "%sref=", separator);
		url_encode(out, git_ref);
		separator = "&";
	}
	strbuf_addf(out, "%srev=%s", separator, rev);
}

void login_release(struct login *login)
{
	free(login->host);
	free(login->user);
	free(login->password);
	*login = (struct login){ .host = NULL };
}

/* netrc(5) has no escapes. */
static bool is_netrc_word(const char *s)
{
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return false;
	return *s && *s != '"' && *s != '#';
}

int flakeref_take_login(char *text, struct login *login, struct err *err)
{
	char *rest = find_authority(text), *host, *colon;
	size_t len;

	*login = (struct login){ .host = NULL };
	if (!rest || !is_http(text, (size_t)(rest - 3 - text)))
		return 0;
	host = memrchr(rest, '@', strcspn(rest, "/?#"));
	if (!host)
		return 0;
	host++;
	colon = memchr(rest, ':', (size_t)(host - rest));
	len = (size_t)(host - 1 - rest);
	login->user = url_decode(rest, colon ? (size_t)(colon - rest) : len);
	/* A forge's token may stand alone. */
	login->password =
		colon ? url_decode(colon + 1, (size_t)(host - 1 - colon - 1))
		      : xstrdup("x");
	login->host = xstrndup(host, strcspn(host, ":/?#"));
	memmove(rest, host, strlen(host) + 1);
	if (login->user && login->password && is_netrc_word(login->user) &&
	    is_netrc_word(login->password) && is_netrc_word(login->host))
		return 0;
	login_release(login);
	return err_set(err, ERR_MALFORMED,
		       "user and password have blanks or broken escapes: set "
		       "credentials to a netrc file");
}
