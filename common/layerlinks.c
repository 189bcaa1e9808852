// SPDX-License-Identifier: MIT
#include "common/layertar.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/alloc.h"
#include "common/store.h"
#include "common/strbuf.h"
#include "common/teller.h"
#include "common/tree.h"
#include "common/utf8.h"

#include "common/banned.h"

/*
 * The contents are walked side by side, each in its order, and merged as they
 * go: nothing of a tree is kept.
 */
struct head {
	const char *path; /* of the content */
	size_t path_len;
	char *entered;		     /* path, if a symlink led there, */
	char *prefix;		     /* and the symlink's name in the image */
	unsigned int depth;	     /* such symlinks on the way */
	struct strbuf name;	     /* with a prefix, the entry's */
	struct tree *tree;	     /* NULL: of ours */
	const struct own_entry *own; /* the next one */
	const struct tree_entry *entry; /* NULL at the tree's end */
};

/* An environment of environments has two; what is beyond stays a symlink. */
#define DEPTH_MAX 4

/*
 * What programs expect of a root and packages do not bring: each stands in
 * for what none of them has. In order, as a tree gives them.
 */
struct own_entry {
	struct tree_entry entry;
	mode_t mode;
	const char *text; /* of a file */
};

/* Of names in the struct initialisers, which no parentheses go around. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define OWN(type_, path_, mode_, text_)                                        \
	{                                                                      \
		.entry = { .type = type_,                                      \
			   .path = path_,                                      \
			   .path_len = sizeof(path_) - 1 },                    \
		.mode = mode_, .text = text_                                   \
	}
/* NOLINTEND(bugprone-macro-parentheses) */

static const struct own_entry own_entries[] = {
	OWN(TREE_DIRECTORY, "/etc", 0755, NULL),
	OWN(TREE_FILE, "/etc/group", 0644, "root:x:0:\nnobody:x:65534:\n"),
	OWN(TREE_FILE, "/etc/passwd", 0644,
	    "root:x:0:0:root:/root:/bin/sh\n"
	    "nobody:x:65534:65534:nobody:/:/bin/false\n"),
	OWN(TREE_DIRECTORY, "/root", 0700, NULL),
	OWN(TREE_DIRECTORY, "/tmp", 01777, NULL),
};

struct heads {
	struct head *list;
	size_t nr, alloc;
};

static void heads_release(struct heads *heads)
{
	for (size_t i = 0; i < heads->nr; i++) {
		tree_free(heads->list[i].tree);
		free(heads->list[i].entered);
		free(heads->list[i].prefix);
		strbuf_release(&heads->list[i].name);
	}
	free(heads->list);
}

static bool has_content(const struct heads *heads, const char *path)
{
	for (size_t i = 0; i < heads->nr; i++)
		if (!strcmp(heads->list[i].path, path))
			return true;
	return false;
}

/* The entry's path in the image: "/bin/x". */
static const char *head_name(const struct head *head)
{
	return head->prefix ? head->name.buf
			    : head->entry->path + head->path_len;
}

/*
 * A link of that name would be in the way of every store path: the layers
 * below have it as a directory.
 */
static bool hides_store(const struct head *head)
{
	const char *name = head_name(head);

	return head->entry->type != TREE_DIRECTORY &&
	       (!strcmp(name, "/nix") || !strcmp(name, "/nix/store"));
}

static int head_advance(struct head *head, struct teller *teller,
			struct err *err)
{
	int rc;

	if (!head->tree) {
		const struct own_entry *end =
			own_entries + ARRAY_SIZE(own_entries);

		head->entry = head->own < end ? &head->own++->entry : NULL;
		return 0;
	}
	while ((rc = tree_next(head->tree, &head->entry, err)) > 0) {
		if (head->prefix) {
			strbuf_reset(&head->name);
			strbuf_addf(&head->name, "%s%s", head->prefix,
				    head->entry->path + head->path_len);
		}
		if (!hides_store(head))
			return 0;
		teller_warn(teller,
			    "%s is in %s and is not a directory: it is left "
			    "out, since it would hide the store",
			    head_name(head), head->path);
	}
	return rc;
}

/* Room for a head before the i-th; others may be elsewhere then. */
static struct head *heads_grow(struct heads *heads, size_t i)
{
	ALLOC_GROW(heads->list, heads->nr, heads->alloc);
	memmove(heads->list + i + 1, heads->list + i,
		(heads->nr - i) * sizeof(*heads->list));
	heads->nr++;
	return &heads->list[i];
}

/* Begin with a content; its own directory is "/" and in the image already. */
static int heads_add(struct heads *heads, const char *path,
		     struct teller *teller, struct err *err)
{
	struct head *head = heads_grow(heads, heads->nr);

	*head = (struct head){
		.path = path,
		.path_len = strlen(path),
		.name = STRBUF_INIT,
		.tree = tree_new(path, TREE_BY_CHARACTERS, TREE_NAMES_ONLY),
	};
	if (head_advance(head, teller, err))
		return -1;
	if (!head->entry || head->entry->type != TREE_DIRECTORY)
		return err_set(err, ERR_MALFORMED,
			       "%s is among the image's contents but is not a "
			       "directory",
			       path);
	return head_advance(head, teller, err);
}

static int heads_add_own(struct heads *heads, struct teller *teller,
			 struct err *err)
{
	struct head *head = heads_grow(heads, heads->nr);

	*head = (struct head){ .path = "",
			       .name = STRBUF_INIT,
			       .own = own_entries };
	return head_advance(head, teller, err);
}

/* The first in order; of those with the same name the first content's. */
static struct head *heads_least(const struct heads *heads)
{
	struct head *least = NULL;

	for (size_t i = 0; i < heads->nr; i++) {
		struct head *head = &heads->list[i];

		if (head->entry &&
		    (!least ||
		     utf8_compare_paths(head_name(head), head_name(least)) < 0))
			least = head;
	}
	return least;
}

/*
 * Is it at a symlink to a directory of the store? 1 and where, 0, or -1. One
 * to a directory that it is in itself has no end.
 */
static int head_leads(const struct head *head, struct strbuf *dir,
		      struct err *err)
{
	struct err none = ERR_INIT;
	struct stat st;

	if (!head->tree || head->entry->type != TREE_SYMLINK ||
	    head->depth == DEPTH_MAX || !store_has_path(head->entry->path))
		return 0;
	strbuf_reset(dir);
	strbuf_add(dir, head->entry->path, head->entry->path_len);
	if (store_follow(dir, &st, &none)) {
		if (none.code == ERR_UNKNOWN || none.code == ERR_REFUSED)
			return 0;
		*err = none;
		return -1;
	}
	return S_ISDIR(st.st_mode) &&
	       (strncmp(head->entry->path, dir->buf, dir->len) != 0 ||
		head->entry->path[dir->len] != '/');
}

/* Has another head a directory of that name, or a symlink to another one? */
static int heads_share(const struct heads *heads, const struct head *head,
		       const char *dir, struct err *err)
{
	autostrbuf other_dir = STRBUF_INIT;

	for (size_t i = 0; i < heads->nr; i++) {
		const struct head *other = &heads->list[i];
		int rc;

		if (other == head || !other->entry ||
		    strcmp(head_name(other), head_name(head)) != 0)
			continue;
		if (other->entry->type == TREE_DIRECTORY)
			return 1;
		rc = head_leads(other, &other_dir, err);
		if (rc < 0 || (rc && strcmp(other_dir.buf, dir) != 0))
			return rc;
	}
	return 0;
}

/* In place of the symlink that the i-th head is at, go on with what it names. */
static int heads_follow(struct heads *heads, size_t i, const char *dir,
			struct teller *teller, struct err *err)
{
	struct head *from = &heads->list[i];
	struct head into = {
		.entered = xstrdup(dir),
		.path_len = strlen(dir),
		.prefix = xstrdup(head_name(from)),
		.depth = from->depth + 1,
		.name = STRBUF_INIT,
	};

	into.path = into.entered;
	into.tree = tree_new(into.path, TREE_BY_CHARACTERS, TREE_NAMES_ONLY);
	*heads_grow(heads, i + 1) = into;
	if (head_advance(&heads->list[i], teller, err))
		return -1;
	return head_advance(&heads->list[i + 1], teller, err);
}

/*
 * buildEnv makes a symlink of a directory that one package alone has: where
 * another brings a directory of that name, or the root does, they share it as
 * if the symlink were the directory itself. 1 if one was, and the least head
 * is to be looked for again.
 */
static int heads_enter(struct heads *heads, const struct head *winner,
		       struct teller *teller, struct err *err)
{
	autofree char *name = xstrdup(head_name(winner));
	autostrbuf dir = STRBUF_INIT;

	for (size_t i = (size_t)(winner - heads->list); i < heads->nr; i++) {
		struct head *head = &heads->list[i];
		int rc;

		if (!head->entry || strcmp(head_name(head), name) != 0)
			continue;
		rc = head_leads(head, &dir, err);
		if (rc > 0)
			rc = heads_share(heads, head, dir.buf, err);
		if (rc < 0)
			return -1;
		if (rc)
			return heads_follow(heads, i, dir.buf, teller, err) ? -1
									    : 1;
		if (head == winner && head->entry->type != TREE_DIRECTORY)
			return 0;
	}
	return 0;
}

/* Do not enter the directory that the head is at. */
static void head_skip(struct head *head)
{
	const char *dir = head->entry->path;
	size_t len = head->entry->path_len;

	if (head->tree) {
		tree_skip(head->tree);
		return;
	}
	while (head->own < own_entries + ARRAY_SIZE(own_entries) &&
	       !strncmp(head->own->entry.path, dir, len))
		head->own++;
}

/* The other head has what is of the same name as the winner's. */
static void warn_of_both(const struct head *winner, const struct head *other,
			 struct teller *teller)
{
	bool share = winner->entry->type == TREE_DIRECTORY &&
		     other->entry->type == TREE_DIRECTORY;

	if (other->tree && !share)
		teller_warn(teller, "%s is in %s and in %s: the first is taken",
			    head_name(winner), winner->path, other->path);
	else if (!share && other->entry->type == TREE_DIRECTORY)
		teller_warn(teller,
			    "%s is in %s and is not a directory: the image "
			    "has no such directory",
			    head_name(winner), winner->path);
}

/*
 * Go on with all that have the name of the winner. Where both have a
 * directory they share it; else the other's is left out.
 */
static int heads_pass(const struct heads *heads, struct head *winner,
		      struct teller *teller, struct err *err)
{
	bool directory = winner->entry->type == TREE_DIRECTORY;

	for (struct head *head = winner + 1; head < heads->list + heads->nr;
	     head++) {
		if (!head->entry || strcmp(head_name(head), head_name(winner)))
			continue;
		warn_of_both(winner, head, teller);
		if (!directory && head->entry->type == TREE_DIRECTORY)
			head_skip(head);
		if (head_advance(head, teller, err))
			return -1;
	}
	return head_advance(winner, teller, err);
}

/* Of a directory, whoever brings it: what is a file of ours says nothing. */
static mode_t directory_mode(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(own_entries); i++)
		if (own_entries[i].entry.type == TREE_DIRECTORY &&
		    !strcmp(own_entries[i].entry.path, name))
			return own_entries[i].mode;
	return 0755;
}

static int add_own_file(struct stream *stream,
			const struct tar_options *options,
			const struct own_entry *own, struct err *err)
{
	struct tar_entry entry = {
		.type = TAR_FILE,
		.name = own->entry.path,
		.mode = own->mode,
		.size = strlen(own->text),
	};

	if (layertar_entry(stream, options, &entry, err) ||
	    stream_write(stream, own->text, (size_t)entry.size, err))
		return -1;
	return stream_zeros(stream, tar_padding(entry.size), err);
}

static int add_link(struct stream *stream, const struct layer_input *input,
		    const struct head *head, struct err *err)
{
	struct tar_entry entry = { .name = head_name(head) };

	if (head->entry->type == TREE_DIRECTORY) {
		entry.type = TAR_DIRECTORY;
		entry.mode = input->kind == LAYER_ROOT
				     ? directory_mode(entry.name)
				     : 0755;
	} else if (!head->tree) {
		/* The one after it is the next already. */
		return add_own_file(stream, &input->options, head->own - 1,
				    err);
	} else {
		entry.type = TAR_SYMLINK;
		entry.target = head->entry->path;
	}
	return layertar_entry(stream, &input->options, &entry, err);
}

int layertar_links(struct stream *stream, struct teller *teller,
		   const struct layer_input *input, struct layer *layer,
		   struct err *err)
{
	__attribute__((cleanup(heads_release))) struct heads heads = { 0 };
	struct head *least;

	for (size_t i = 0; i < input->nr_paths; i++)
		if (!has_content(&heads, input->paths[i].path) &&
		    heads_add(&heads, input->paths[i].path, teller, err))
			return -1;
	if (input->kind == LAYER_ROOT && heads_add_own(&heads, teller, err))
		return -1;
	while ((least = heads_least(&heads))) {
		int rc = input->kind == LAYER_ROOT
				 ? heads_enter(&heads, least, teller, err)
				 : 0;

		if (rc < 0)
			return -1;
		if (!rc && (add_link(stream, input, least, err) ||
			    heads_pass(&heads, least, teller, err)))
			return -1;
	}
	return layertar_end(stream, &input->options, err);
}
