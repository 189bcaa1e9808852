// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/flakeref.h"
#include "common/log.h"

#include "common/banned.h"

/* A flake reference, as a setting has it; its login, and its pins. */

#define REV "0123456789abcdef0123456789abcdef01234567"

/* Is there a "user:password@" before the host, as RFC 3986 has it? */
static bool has_password(const char *url)
{
	const char *authority = strstr(url, "://"), *at;

	if (!authority || strcspn(url, "/?:") < (size_t)(authority - url))
		return false;
	authority += 3;
	at = memrchr(authority, '@', strcspn(authority, "/?#"));
	return at && memchr(authority, ':', (size_t)(at - authority));
}

static void check_escapes(const char *text)
{
	autostrbuf encoded = STRBUF_INIT;
	autofree char *back = NULL;

	url_encode(&encoded, text);
	need(!strpbrk(encoded.buf, " ?#&=+@:\"<>\n"));
	back = url_decode(encoded.buf, encoded.len);
	need(back);
	fuzz_need_same(back, text);
}

/* A pin of a reference is one, of the same repository. */
static void check_pin(const struct flakeref *ref)
{
	autoflakeref pinned = FLAKEREF_INIT;
	autostrbuf text = STRBUF_INIT, same = STRBUF_INIT;
	struct err err = ERR_INIT;

	if (ref->kind != FLAKEREF_GIT && ref->kind != FLAKEREF_FORGE)
		return;
	flakeref_pin(&text, ref, "refs/heads/a+b c&d", REV);
	if (flakeref_parse(&pinned, text.buf, &err))
		fuzz_need_same(err.msg, "");
	need(pinned.kind == ref->kind);
	fuzz_need_same(pinned.rev, REV);
	fuzz_need_same(pinned.base, ref->base);
	fuzz_need_same(pinned.clone_url, ref->clone_url);
	fuzz_need_same(pinned.params, ref->params);
	if (ref->kind == FLAKEREF_GIT)
		fuzz_need_same(pinned.ref, "refs/heads/a+b c&d");
	flakeref_pin(&same, &pinned, "refs/heads/a+b c&d", REV);
	fuzz_need_same(same.buf, text.buf);
}

/* Without its login a reference has no password, and is one still. */
static void check_login(const char *text)
{
	autofree char *url = xstrdup(text);
	autoflakeref ref = FLAKEREF_INIT;
	struct login login, none;
	struct err err = ERR_INIT;

	if (flakeref_take_login(url, &login, &err)) {
		fuzz_need_error(&err);
		fuzz_need_no_secret(err.msg);
		return;
	}
	need(!login.user == !login.password && !login.user == !login.host);
	if (login.user)
		need(!strpbrk(login.user, " \t\n") &&
		     !strpbrk(login.password, " \t\n") &&
		     !strpbrk(login.host, " \t\n"));
	need(!has_password(url));
	need(!flakeref_take_login(url, &none, &err) && !none.user);
	if (login.user && flakeref_parse(&ref, url, &err))
		fuzz_need_same(err.msg, "");
	login_release(&login);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	autofree char *text = fuzz_string(data, size);
	autoflakeref ref = FLAKEREF_INIT;
	struct err err = ERR_INIT;

	check_escapes(text);
	if (flakeref_parse(&ref, text, &err)) {
		fuzz_need_error(&err);
		fuzz_need_no_secret(err.msg);
		return 0;
	}
	need(ref.base && ref.params);
	need(!ref.rev || is_revision(ref.rev));
	need(!ref.clone_url ==
	     (ref.kind != FLAKEREF_GIT && ref.kind != FLAKEREF_FORGE));
	check_pin(&ref);
	check_login(text);
	return 0;
}
