// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/settings_table.h"

#include "common/banned.h"

/* A settings file: written as one again, it reads back as it was. */

/* A setting's line, as an operator would write it. */
static void format_setting(struct strbuf *out, const struct setting *s,
			   const void *base)
{
	const void *field = (const char *)base + s->offset;
	const struct image_settings *image = base;

	switch (s->type) {
	case SETTING_TIME:
		strbuf_addf(out, "%s = %jds\n", s->key,
			    (intmax_t) * (const int64_t *)field);
		return;
	case SETTING_SIZE:
		/* There is no unit below K. */
		need(*(const int64_t *)field % 1024 == 0);
		strbuf_addf(out, "%s = %jdK\n", s->key,
			    (intmax_t) * (const int64_t *)field / 1024);
		return;
	case SETTING_NUMBER:
		strbuf_addf(out, "%s = %jd\n", s->key,
			    (intmax_t) * (const int64_t *)field);
		return;
	case SETTING_BOOL:
		strbuf_addf(out, "%s = %s\n", s->key,
			    *(const bool *)field ? "yes" : "no");
		return;
	case SETTING_WORD:
		strbuf_addf(out, "%s = %s\n", s->key,
			    s->words[*(const unsigned int *)field]);
		return;
	case SETTING_SYSTEMS:
		strbuf_addf(out, "%s =", s->key);
		for (size_t i = 0; i < image->nr_systems; i++)
			strbuf_addf(out, " %s", image->systems[i]);
		strbuf_addch(out, '\n');
		return;
	case SETTING_FILE:
	case SETTING_URL:
		if (*(char *const *)field)
			strbuf_addf(out, "%s = %s\n", s->key,
				    *(char *const *)field);
		return;
	}
	need(!"a setting's type");
}

static void format_scope(struct strbuf *out, enum setting_scope scope,
			 const void *base)
{
	for (size_t i = 0; i < SETTINGS_NR; i++)
		if (settings_table[i].scope == scope)
			format_setting(out, &settings_table[i], base);
}

static void format(struct strbuf *out, const struct settings *settings)
{
	format_scope(out, SETTING_GLOBAL, settings);
	format_scope(out, SETTING_IMAGE, &settings->image);
	for (size_t i = 0; i < settings->nr_flakes; i++) {
		const struct flake_settings *flake = &settings->flakes[i];

		strbuf_addf(out, "[flake %s]\n", flake->name);
		format_scope(out, SETTING_FLAKE, flake);
		format_scope(out, SETTING_IMAGE, &flake->image);
	}
}

static void check_ranges(const struct settings *settings)
{
	for (size_t i = 0; i < SETTINGS_NR; i++) {
		const struct setting *s = &settings_table[i];
		const void *base = s->scope == SETTING_GLOBAL
					   ? (const void *)settings
					   : &settings->image;
		const int64_t *value =
			(const void *)((const char *)base + s->offset);

		if (s->scope != SETTING_FLAKE && s->type <= SETTING_NUMBER)
			need(*value >= s->min && *value <= s->max);
	}
	need(settings->cache_dir[0] == '/' && settings->image.nr_systems);
}

/* A name leads to the flake of its first component, or to the unnamed one. */
static void check_find(const struct settings *settings)
{
	for (size_t i = 0; i < settings->nr_flakes; i++) {
		const struct flake_settings *flake = &settings->flakes[i];
		autofree char *text = xasprintf("%s%sa/b", flake->name,
						*flake->name ? "/" : "zzzz/");
		struct repository_name name;
		const char *attribute;
		struct err err = ERR_INIT;

		if (repository_name_parse(&name, text, strlen(text), &err) ||
		    !strcmp(flake->name, "zzzz"))
			continue;
		need(settings_find_flake(settings, &name, &attribute));
		if (*flake->name) {
			need(settings_find_flake(settings, &name, &attribute) ==
			     flake);
			fuzz_need_same(attribute, "a/b");
		}
	}
}

static void check_flake(const struct flake_settings *flake)
{
	fuzz_need_no_secret(flake->name);
	need(flake->url && !strpbrk(flake->url, " \t\n"));
	need(!flake->credentials || flake->credentials[0] == '/');
	need(!flake->login.user == !flake->login.password);
	need(!strchr(flake->name, '/') && !strstr(flake->name, ".."));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	autosettings settings, again;
	autostrbuf text = STRBUF_INIT, same = STRBUF_INIT;
	struct err err = ERR_INIT;

	settings_init(&again);
	if (settings_parse(&settings, (const char *)data, size, "file", &err)) {
		fuzz_need_error(&err);
		need(!strncmp(err.msg, "file:", 5));
		fuzz_need_no_secret(err.msg);
		return 0;
	}
	check_ranges(&settings);
	check_find(&settings);
	for (size_t i = 0; i < settings.nr_flakes; i++)
		check_flake(&settings.flakes[i]);
	format(&text, &settings);
	settings_release(&again);
	if (settings_parse(&again, text.buf, text.len, "file", &err))
		fuzz_need_same(err.msg, text.buf);
	format(&same, &again);
	fuzz_need_same(same.buf, text.buf);
	for (size_t i = 0; i < settings.nr_flakes; i++)
		need(digest_equal(&settings.flakes[i].id, &again.flakes[i].id));
	return 0;
}
