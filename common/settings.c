// SPDX-License-Identifier: MIT
#include "common/settings.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/limits.h"
#include "common/settings_table.h"

#include "common/banned.h"

/*
 * The grammar. Blanks around a line, its key and its value do not count, nor
 * does what follows a '#' at the start of a line or after a blank.
 *
 * file    ::= setting* section*
 * section ::= "[flake]" setting* | "[flake NAME]" setting*
 * setting ::= key "=" value
 */

#define BLANKS " \t\r"

struct parser {
	struct settings *settings;
	struct flake_settings *flake; /* whose section it is, or NULL */
	size_t section_line;
	/* Where each setting was set in this section; 0 if it was not. */
	size_t lines[SETTINGS_NR];
	/* Where the section of each flake starts. */
	size_t *flake_lines;
	size_t alloc_lines, alloc_flakes;
};

static void release_image(struct image_settings *image)
{
	for (size_t i = 0; i < image->nr_systems; i++)
		free(image->systems[i]);
	free(image->systems);
}

static void copy_image(struct image_settings *to,
		       const struct image_settings *from)
{
	*to = *from;
	to->systems = xcalloc(from->nr_systems, sizeof(*to->systems));
	for (size_t i = 0; i < from->nr_systems; i++)
		to->systems[i] = xstrdup(from->systems[i]);
}

/* Where the fields of a scope are; NULL if this section has none. */
static void *scope_base(struct settings *settings, struct flake_settings *flake,
			enum setting_scope scope)
{
	if (scope == SETTING_IMAGE)
		return flake ? &flake->image : &settings->image;
	if (scope == SETTING_FLAKE)
		return flake;
	return flake ? NULL : settings;
}

/* A flake's images are as those of all, which are known by now. */
static void set_defaults(struct settings *settings,
			 struct flake_settings *flake)
{
	for (size_t i = 0; i < SETTINGS_NR; i++) {
		const struct setting *s = &settings_table[i];
		void *base = scope_base(settings, flake, s->scope);
		struct err err = ERR_INIT;

		if (!base || !s->standard)
			continue;
		if (flake && s->scope == SETTING_IMAGE)
			continue;
		if (setting_parse(s, base, s->standard, strlen(s->standard),
				  &err) < 0)
			assert(!"a default is a good value");
	}
}

void settings_init(struct settings *settings)
{
	*settings = (struct settings){ 0 };
	set_defaults(settings, NULL);
}

static void release_flake(struct flake_settings *flake)
{
	free(flake->name);
	free(flake->url);
	login_release(&flake->login);
	free(flake->credentials);
	release_image(&flake->image);
}

void settings_release(struct settings *settings)
{
	for (size_t i = 0; i < settings->nr_flakes; i++)
		release_flake(&settings->flakes[i]);
	free(settings->flakes);
	free(settings->cache_dir);
	release_image(&settings->image);
	*settings = (struct settings){ 0 };
}

/* Close the section that is open. */
static int end_section(struct parser *p, size_t *line, struct err *err)
{
	struct flake_settings *flake = p->flake;

	if (!flake)
		return 0;
	*line = p->section_line;
	if (!flake->url)
		return err_set(err, ERR_MALFORMED, "[flake%s%s] has no url",
			       *flake->name ? " " : "", flake->name);
	if (flakeref_take_login(flake->url, &flake->login, err))
		return err_wrap(err, "url");
	digest_of(flake->url, strlen(flake->url), &flake->id);
	return 0;
}

/* The number of blanks at the start of s[0..len). */
static size_t blanks(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && strchr(BLANKS, s[n]))
		n++;
	return n;
}

/* The length of s[0..len) without blanks at its end. */
static size_t trimmed(const char *s, size_t len)
{
	while (len && strchr(BLANKS, s[len - 1]))
		len--;
	return len;
}

/* What stands in the brackets: "flake" or "flake NAME". */
static int section_name(char *name, size_t size, const char *s, size_t len,
			struct err *err)
{
	struct repository_name component;
	size_t word = 5, n;
	struct err bad;

	if (len < word || memcmp(s, "flake", word) != 0 ||
	    (len > word && !strchr(BLANKS, s[word])))
		return err_set(err, ERR_MALFORMED,
			       "a section is [flake] or [flake NAME]");
	word += blanks(s + word, len - word);
	n = len - word;
	if (n && (repository_name_parse(&component, s + word, n, &bad) < 0 ||
		  memchr(s + word, '/', n)))
		return err_set(err, ERR_MALFORMED,
			       "a flake's name is lower-case letters and "
			       "digits, with single '.', '_', '__' or '-' "
			       "inside");
	assert(n < size);
	memcpy(name, s + word, n);
	name[n] = 0;
	return 0;
}

static int check_repeated(const struct parser *p, const char *name,
			  struct err *err)
{
	const struct settings *settings = p->settings;

	for (size_t i = 0; i < settings->nr_flakes; i++)
		if (!strcmp(settings->flakes[i].name, name))
			return err_set(err, ERR_MALFORMED,
				       "[flake%s%s] stands already in line %zu",
				       *name ? " " : "", name,
				       p->flake_lines[i]);
	return 0;
}

static void add_flake(struct parser *p, const char *name, size_t line)
{
	struct settings *settings = p->settings;
	size_t nr = settings->nr_flakes;

	ALLOC_GROW(settings->flakes, nr, p->alloc_flakes);
	ALLOC_GROW(p->flake_lines, nr, p->alloc_lines);
	p->flake_lines[nr] = line;
	p->flake = &settings->flakes[nr];
	*p->flake = (struct flake_settings){ .name = xstrdup(name) };
	settings->nr_flakes++;
	set_defaults(settings, p->flake);
	copy_image(&p->flake->image, &settings->image);
	memset(p->lines, 0, sizeof(p->lines));
	p->section_line = line;
}

/* A line that starts with '['. */
static int parse_section(struct parser *p, const char *s, size_t len,
			 size_t *line, struct err *err)
{
	char name[REPOSITORY_NAME_MAX + 1];
	size_t here = *line;

	if (s[len - 1] != ']')
		return err_set(err, ERR_MALFORMED,
			       "a section's line ends with ']'");
	len = trimmed(s + 1, len - 2);
	if (section_name(name, sizeof(name), s + 1, len, err) < 0 ||
	    check_repeated(p, name, err) < 0 || end_section(p, line, err) < 0)
		return -1;
	*line = here;
	add_flake(p, name, here);
	return 0;
}

static int wrong_scope(const struct setting *setting, struct err *err)
{
	if (setting->scope == SETTING_FLAKE)
		return err_set(err, ERR_MALFORMED,
			       "%s belongs in a [flake] section", setting->key);
	return err_set(err, ERR_MALFORMED,
		       "%s is for all flakes: it belongs before the first "
		       "section",
		       setting->key);
}

static int unknown_key(const char *key, size_t len, struct err *err)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz-";

	/* Whatever else stands there may be a password in a wrong place. */
	if (!len || len > 32 || strspn(key, chars) < len)
		return err_set(err, ERR_MALFORMED,
			       "what is before the '=' is no key");
	return err_set(err, ERR_MALFORMED, "unknown key %.*s", (int)len, key);
}

static int parse_setting(struct parser *p, const char *s, size_t len,
			 size_t line, struct err *err)
{
	const char *equals = memchr(s, '=', len), *value;
	const struct setting *setting;
	size_t key_len, i;
	void *base;

	if (!equals)
		return err_set(err, ERR_MALFORMED,
			       "a line is key = value, [flake] or [flake "
			       "NAME]");
	key_len = trimmed(s, (size_t)(equals - s));
	setting = setting_find(s, key_len);
	if (!setting)
		return unknown_key(s, key_len, err);
	base = scope_base(p->settings, p->flake, setting->scope);
	if (!base)
		return wrong_scope(setting, err);
	i = (size_t)(setting - settings_table);
	if (p->lines[i])
		return err_set(err, ERR_MALFORMED,
			       "%s is set already in line %zu", setting->key,
			       p->lines[i]);
	p->lines[i] = line;
	value = equals + 1;
	value += blanks(value, (size_t)(s + len - value));
	return setting_parse(setting, base, value, (size_t)(s + len - value),
			     err);
}

/* The length of a line without its comment and the blanks at its end. */
static size_t content(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] == '#' && (!i || strchr(BLANKS, s[i - 1])))
			len = i;
	return trimmed(s, len);
}

static int parse_line(struct parser *p, const char *s, size_t len, size_t *line,
		      struct err *err)
{
	size_t skip;

	for (size_t i = 0; i < len; i++)
		if (((unsigned char)s[i] < ' ' && !strchr(BLANKS, s[i])) ||
		    !s[i])
			return err_set(err, ERR_MALFORMED,
				       "a control character");
	len = content(s, len);
	skip = blanks(s, len);
	s += skip;
	len -= skip;
	if (!len)
		return 0;
	if (s[0] == '[')
		return parse_section(p, s, len, line, err);
	return parse_setting(p, s, len, *line, err);
}

static int parse_lines(struct parser *p, const char *text, size_t len,
		       size_t *line, struct err *err)
{
	const char *end = text + len;

	for (*line = 1; text < end; ++*line) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));

		if (!nl)
			nl = end;
		if (parse_line(p, text, (size_t)(nl - text), line, err) < 0)
			return -1;
		text = nl + 1;
	}
	return end_section(p, line, err);
}

int settings_parse(struct settings *settings, const char *text, size_t len,
		   const char *file, struct err *err)
{
	struct parser p = { .settings = settings };
	size_t line;
	int rc;

	settings_init(settings);
	rc = parse_lines(&p, text, len, &line, err);
	if (rc < 0)
		err_wrap(err, "%s:%zu", file, line);
	free(p.flake_lines);
	return rc;
}

int settings_load(struct settings *settings, const char *file, char **path,
		  struct err *err)
{
	const char *env = getenv("FLAKEHUB_CONFIG");
	autostrbuf text = STRBUF_INIT;
	autoclose int fd = -1;

	settings_init(settings);
	if (!file)
		file = env && *env ? env : SETTINGS_DEFAULT_FILE;
	if (path)
		*path = xstrdup(file);
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_errno(err, "%s", file);
	if (strbuf_read(&text, fd, SETTINGS_MAX, file, err) < 0)
		return -1;
	settings_release(settings);
	return settings_parse(settings, text.buf, text.len, file, err);
}

static void format_row(struct strbuf *out, const struct setting *s)
{
	const char *hash = s->scope == SETTING_FLAKE ? "#" : "";

	strbuf_addf(out, "\n# %s\n%s%s =", s->text, hash, s->key);
	if (s->standard)
		strbuf_addf(out, " %s", s->standard);
	strbuf_addch(out, '\n');
}

void settings_format_defaults(struct strbuf *out)
{
	strbuf_addstr(out, "# flakehub.conf(5): every setting with its "
			   "default.\n");
	for (size_t i = 0; i < SETTINGS_NR; i++)
		if (settings_table[i].scope != SETTING_FLAKE)
			format_row(out, &settings_table[i]);
	strbuf_addstr(out, "\n# One flake without a name, and any number of "
			   "named ones as [flake NAME].\n"
			   "# In a flake's section these may stand, too, for "
			   "it alone:\n#");
	for (size_t i = 0; i < SETTINGS_NR; i++)
		if (settings_table[i].scope == SETTING_IMAGE)
			strbuf_addf(out, " %s", settings_table[i].key);
	strbuf_addstr(out, "\n#[flake]\n");
	for (size_t i = 0; i < SETTINGS_NR; i++)
		if (settings_table[i].scope == SETTING_FLAKE)
			format_row(out, &settings_table[i]);
}

const struct flake_settings *
settings_find_flake(const struct settings *settings,
		    const struct repository_name *name, const char **attribute)
{
	const struct flake_settings *unnamed = NULL;
	size_t len = strcspn(name->text, "/");

	for (size_t i = 0; i < settings->nr_flakes; i++) {
		const struct flake_settings *flake = &settings->flakes[i];

		if (!*flake->name)
			unnamed = flake;
		else if (strlen(flake->name) == len &&
			 !memcmp(flake->name, name->text, len)) {
			*attribute = name->text + len + !!name->text[len];
			return flake;
		}
	}
	*attribute = name->text;
	return unnamed;
}
