// SPDX-License-Identifier: MIT
#include "common/layertar.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/expansion.h"
#include "common/pathoptions.h"
#include "common/pattern.h"
#include "common/store.h"
#include "common/tree.h"

#include "common/banned.h"

/*
 * One tree of all store paths, as nix2container writes it.
 * Names may be rewritten to anywhere, so it has to be known whole before the
 * first byte: a node of some 150 bytes for each file.
 */
struct node {
	char *name;   /* "" is the root */
	char *source; /* NULL: a directory that others imply */
	char *target;
	enum tree_type type;
	mode_t mode;
	uint64_t size;
	const struct path_options *options; /* or NULL */
	struct node **children;		    /* sorted by name */
	size_t nr, alloc;
};

static void node_free(struct node *node)
{
	for (size_t i = 0; i < node->nr; i++)
		node_free(node->children[i]);
	free(node->children);
	free(node->name);
	free(node->source);
	free(node->target);
	free(node);
}

static void cleanup_node(struct node **node)
{
	node_free(*node);
}

static int compare(const char *a, size_t len, const char *b)
{
	int rc = strncmp(a, b, len);

	return rc ? rc : -(b[len] != 0);
}

/* The child of that name, made if need be. */
static struct node *get_child(struct node *node, const char *name, size_t len)
{
	size_t low = 0, high = node->nr;
	struct node *child;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int rc = compare(name, len, node->children[middle]->name);

		if (!rc)
			return node->children[middle];
		if (rc < 0)
			high = middle;
		else
			low = middle + 1;
	}
	child = xcalloc(1, sizeof(*child));
	child->name = xstrndup(name, len);
	/* They are pointers. NOLINTNEXTLINE(bugprone-sizeof-expression) */
	ALLOC_GROW(node->children, node->nr, node->alloc);
	memmove(node->children + low + 1, node->children + low,
		(node->nr - low) * sizeof(struct node *));
	node->children[low] = child;
	node->nr++;
	return child;
}

/* The node of a name in the image, or NULL; those above it are implied. */
static struct node *find(struct node *root, const char *name, struct err *err)
{
	struct node *node = root;

	if (*name == '/')
		node = get_child(root, "", 0);
	for (const char *p = name; *p;) {
		size_t len = strcspn(p, "/");

		if (len == 2 && !strncmp(p, "..", 2)) {
			err_set(err, ERR_MALFORMED,
				"a path is rewritten to %s, which goes up",
				name);
			return NULL;
		}
		if (len && !(len == 1 && *p == '.'))
			node = get_child(node, p, len);
		p += len + (p[len] == '/');
	}
	return node;
}

/* Is what stands at a name already the same as far as it must be? */
static int check_same(const struct node *node, const struct tree_entry *entry,
		      const struct path_options *options, const char *name,
		      struct err *err)
{
	if (!node->source)
		return 0;
	if (node->type != entry->type || node->mode != entry->mode)
		return err_set(err, ERR_MALFORMED,
			       "%s is both %s and %s, of different modes", name,
			       node->source, entry->path);
	if (node->type == TREE_FILE && node->size != entry->size)
		return err_set(err, ERR_MALFORMED,
			       "%s is both %s and %s, of different sizes", name,
			       node->source, entry->path);
	if (!path_options_same_perms(node->options, options))
		return err_set(err, ERR_MALFORMED,
			       "%s is both %s and %s, of different perms", name,
			       node->source, entry->path);
	return 0;
}

static int add_entry(struct node *root, const struct tree_entry *entry,
		     const struct path_options *options, struct err *err)
{
	autostrbuf name = STRBUF_INIT;
	struct node *node;

	if (path_options_rewrite(options, entry->path, &name, err))
		return -1;
	if (!name.len)
		return 0;
	node = find(root, name.buf, err);
	if (!node || check_same(node, entry, options, name.buf, err))
		return -1;
	free(node->source);
	free(node->target);
	node->source = xstrdup(entry->path);
	node->target =
		entry->type == TREE_SYMLINK ? xstrdup(entry->target) : NULL;
	node->type = entry->type;
	node->mode = entry->mode;
	node->size = entry->size;
	node->options = options;
	return 0;
}

static int add_path(struct node *root, const char *path,
		    const struct path_options *options, struct err *err)
{
	autotree *tree = tree_new(path, TREE_BY_BYTES, TREE_WHOLE);
	const struct tree_entry *entry;
	int rc;

	while ((rc = tree_next(tree, &entry, err)) > 0)
		if (add_entry(root, entry, options, err))
			return -1;
	return rc;
}

static int write_file(struct stream *stream, const struct node *node,
		      struct err *err)
{
	autoclose int fd = store_open(node->source, O_RDONLY, err);

	if (fd < 0 || layertar_data(stream, fd, node->size, node->source, err))
		return -1;
	return stream_zeros(stream, tar_padding(node->size), err);
}

static int write_node(struct stream *stream, const struct tar_options *options,
		      const struct node *node, const char *name,
		      struct err *err)
{
	static const enum tar_type types[] = {
		[TREE_FILE] = TAR_FILE,
		[TREE_SYMLINK] = TAR_SYMLINK,
		[TREE_DIRECTORY] = TAR_DIRECTORY,
	};
	struct tar_options own = *options;
	struct tar_entry entry = {
		.type = node->source ? types[node->type] : TAR_DIRECTORY,
		.mode = node->source ? node->mode : 0755,
		.size = node->size,
		.name = name,
		.target = node->target,
	};

	if (entry.type == TAR_SYMLINK)
		entry.mode = 0777;
	if (node->source && path_options_apply(node->options, node->source,
					       &own, &entry.mode, err))
		return -1;
	entry.link_mode = entry.mode;
	if (layertar_entry(stream, &own, &entry, err))
		return -1;
	return entry.type == TAR_FILE ? write_file(stream, node, err) : 0;
}

/* What is below a node whose name in the image is base. */
static int write_children(struct stream *stream,
			  const struct tar_options *options,
			  const struct node *node, const char *base,
			  struct err *err)
{
	for (size_t i = 0; i < node->nr; i++) {
		const struct node *child = node->children[i];
		const char *slash = *base && strcmp(base, "/") ? "/" : "";
		autofree char *name =
			*child->name
				? xasprintf("%s%s%s", base, slash, child->name)
				: xstrdup("/");

		if (write_node(stream, options, child, name, err) ||
		    write_children(stream, options, child, name, err))
			return -1;
	}
	return 0;
}

/* The options of each path, read from their JSON. */
struct all_options {
	struct pattern_budget budget;
	struct path_options **list; /* NULL for a path without */
	size_t nr;
};

static void all_options_release(struct all_options *all)
{
	for (size_t i = 0; i < all->nr; i++)
		path_options_free(all->list[i]);
	free(all->list);
}

int layertar_tree(struct stream *stream, struct teller *teller,
		  const struct layer_input *input, struct layer *layer,
		  struct err *err)
{
	__attribute__((cleanup(cleanup_node))) struct node *root =
		xcalloc(1, sizeof(*root));
	__attribute__((cleanup(all_options_release))) struct all_options all = {
		.budget = PATTERN_BUDGET_INIT,
		.list = xcalloc(input->nr_paths + 1,
				sizeof(struct path_options *)),
	};

	stream_plain(stream);
	all.budget.taken = &stream_expansion(stream)->steps;
	for (; all.nr < input->nr_paths; all.nr++) {
		const struct layer_path *path = &input->paths[all.nr];

		if (path->options &&
		    path_options_new(&all.list[all.nr], path->options,
				     &all.budget, path->path, err))
			return -1;
		if (add_path(root, path->path, all.list[all.nr], err)) {
			path_options_free(steal_ptr(&all.list[all.nr]));
			return -1;
		}
	}
	if (write_children(stream, &input->options, root, "", err))
		return -1;
	return layertar_end(stream, &input->options, err);
}
