// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "common/git.h"

#include "common/banned.h"

/* What `git ls-remote --symref` prints. */

static bool is_hash(const char *s)
{
	size_t len = strlen(s);

	return (len == 40 || len == 64) && strspn(s, "0123456789abcdef") == len;
}

/* The ref of a tag has the tag's name, or one that is written so. */
static void check_found(const struct git_refs *refs, const struct tag *tag)
{
	const struct git_ref *found = NULL;
	struct err err = ERR_INIT;
	struct tag mapped;

	if (git_refs_find(refs, tag, &found, &err)) {
		fuzz_need_error(&err);
		return;
	}
	need(found >= refs->refs && found < refs->refs + refs->nr);
	need(!git_tag_of(found->name, &mapped));
	fuzz_need_same(mapped.text, tag->text);
}

static void check_ref(const struct git_refs *refs, const struct git_ref *ref)
{
	const struct git_ref *named = git_refs_named(refs, ref->name);
	struct tag tag;

	need(is_hash(ref->hash));
	need(!strncmp(ref->name, "refs/heads/", 11) ||
	     !strncmp(ref->name, "refs/tags/", 10));
	need(named && !strcmp(named->name, ref->name));
	need(git_refs_of_commit(refs, ref->hash));
	if (!git_tag_of(ref->name, &tag))
		check_found(refs, &tag);
}

static void format(struct strbuf *out, const struct git_refs *refs)
{
	if (refs->head_name)
		strbuf_addf(out, "ref: %s\tHEAD\n", refs->head_name);
	if (*refs->head)
		strbuf_addf(out, "%s\tHEAD\n", refs->head);
	for (size_t i = 0; i < refs->nr; i++)
		strbuf_addf(out, "%s\t%s\n", refs->refs[i].hash,
			    refs->refs[i].name);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	autorefs refs = GIT_REFS_INIT, again = GIT_REFS_INIT;
	autostrbuf text = STRBUF_INIT, same = STRBUF_INIT;
	struct err err = ERR_INIT;
	struct tag latest;

	if (git_refs_parse(&refs, (const char *)data, size, &err)) {
		fuzz_need_error(&err);
		return 0;
	}
	need(!*refs.head || is_hash(refs.head));
	for (size_t i = 0; i < refs.nr && i < 64; i++)
		check_ref(&refs, &refs.refs[i]);
	need(!tag_parse(&latest, "main", 4, &err));
	check_found(&refs, &latest);
	format(&text, &refs);
	need(!git_refs_parse(&again, text.buf, text.len, &err));
	format(&same, &again);
	fuzz_need_same(same.buf, text.buf);
	return 0;
}
