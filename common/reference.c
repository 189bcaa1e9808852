// SPDX-License-Identifier: MIT
#include "common/reference.h"

#include <string.h>

#include "common/banned.h"

static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_tag_char(char c)
{
	return is_lower_alnum(c) || (c >= 'A' && c <= 'Z') || c == '_';
}

/* The length of the run of [a-z0-9] at the start of s. */
static size_t run(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && is_lower_alnum(s[n]))
		n++;
	return n;
}

/* The length of the separator at the start of s, 0 if there is none. */
static size_t separator(const char *s, size_t len)
{
	size_t n = 0;

	if (len && s[0] == '.')
		return 1;
	if (len && s[0] == '_')
		return len > 1 && s[1] == '_' ? 2 : 1;
	while (n < len && s[n] == '-')
		n++;
	return n;
}

/* The length of the component at the start of s, 0 if there is none. */
static size_t component(const char *s, size_t len)
{
	size_t n = run(s, len);

	while (n) {
		size_t sep = separator(s + n, len - n);
		size_t more = sep ? run(s + n + sep, len - n - sep) : 0;

		if (!more)
			break;
		n += sep + more;
	}
	return n;
}

/*
 * distribution-spec, "Pulling manifests":
 *
 * name      ::= component ("/" component)*
 * component ::= [a-z0-9]+ (separator [a-z0-9]+)*
 * separator ::= "." | "_" | "__" | "-"+
 */
static bool is_name(const char *s, size_t len)
{
	for (;;) {
		size_t n = component(s, len);

		if (!n)
			return false;
		if (n == len)
			return true;
		if (s[n] != '/')
			return false;
		s += n + 1;
		len -= n + 1;
	}
}

int repository_name_parse(struct repository_name *name, const char *s,
			  size_t len, struct err *err)
{
	if (len > REPOSITORY_NAME_MAX)
		return err_set(err, ERR_MALFORMED,
			       "a repository name has at most %d characters",
			       REPOSITORY_NAME_MAX);
	if (!is_name(s, len))
		return err_set(err, ERR_MALFORMED,
			       "a repository name is lower-case letters and "
			       "digits, with single '.', '_', '__' or '-' "
			       "inside, and parts divided by '/'");
	memcpy(name->text, s, len);
	name->text[len] = 0;
	return 0;
}

/* tag ::= [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127} */
int tag_parse(struct tag *tag, const char *s, size_t len, struct err *err)
{
	if (!len || len > TAG_MAX)
		return err_set(err, ERR_MALFORMED,
			       "a tag has 1 to %d characters", TAG_MAX);
	for (size_t i = 0; i < len; i++)
		if (!is_tag_char(s[i]) && (!i || (s[i] != '.' && s[i] != '-')))
			return err_set(err, ERR_MALFORMED,
				       "a tag is letters, digits, '_', '.' and "
				       "'-', and starts with none of the last "
				       "two");
	memcpy(tag->text, s, len);
	tag->text[len] = 0;
	return 0;
}

bool tag_is_passive(const struct tag *tag)
{
	static const char suffix[] = "-esgztoc";
	size_t len = strlen(tag->text), n = sizeof(suffix) - 1;

	return !strncmp(tag->text, "sha256-", 7) ||
	       (len > n && !strcmp(tag->text + len - n, suffix));
}

int reference_parse(struct reference *ref, const char *s, size_t len,
		    struct err *err)
{
	ref->is_digest = memchr(s, ':', len);
	if (ref->is_digest)
		return digest_parse(&ref->digest, s, len, err);
	return tag_parse(&ref->tag, s, len, err);
}

const char *reference_str(const struct reference *ref,
			  char out[REFERENCE_STR_SIZE])
{
	if (ref->is_digest)
		return digest_str(&ref->digest, out);
	memcpy(out, ref->tag.text, strlen(ref->tag.text) + 1);
	return out;
}

int image_name_parse(struct repository_name *name, struct reference *ref,
		     const char *s, struct err *err)
{
	size_t len = strcspn(s, ":@");
	const char *rest = s[len] ? s + len + 1 : "latest";

	if (repository_name_parse(name, s, len, err) < 0)
		return -1;
	ref->is_digest = s[len] == '@';
	if (ref->is_digest)
		return digest_parse(&ref->digest, rest, strlen(rest), err);
	return tag_parse(&ref->tag, rest, strlen(rest), err);
}
